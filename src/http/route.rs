//! What most routes share.

use actix_web::{
    Resource, Route,
    body::{BoxBody, MessageBody},
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    guard,
    middleware::{Next, from_fn},
    web,
};
use tokio::time::timeout;

use super::Error;
use crate::db;

/// A resource whose response begins within [`db::QUERY_TIMEOUT`].
pub fn resource(
    path: &str,
) -> Resource<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = actix_web::Error,
        InitError = (),
    > + use<>,
> {
    web::resource(path).wrap(from_fn(with_response_timeout))
}

async fn with_response_timeout(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, actix_web::Error> {
    let head = request.request().clone();
    let response = timeout(db::QUERY_TIMEOUT, next.call(request)).await;
    response.unwrap_or_else(|_elapsed| {
        let error = Error::from(anyhow::Error::from(db::DatabaseTimeout));
        Ok(ServiceResponse::from_err(error, head))
    })
}

/// Matches `GET` and `HEAD` (RFC 9110 §9.3.2).
pub fn read() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}
