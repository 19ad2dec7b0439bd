//! Forms as browsers send them without files (`application/x-www-form-urlencoded`).

use std::{future::Future, pin::Pin};

use actix_web::{FromRequest, HttpMessage as _, HttpRequest, dev::Payload, mime, web};
use serde::de::DeserializeOwned;

use super::{
    Code, Error,
    extract::{read_body, reject_encoded},
};

/// The fields of a form. As [`super::extract::Json`] it never decompresses, and limits the size and
/// the time of the body.
#[derive(Debug)]
pub struct Fields<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Fields<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_form = request.content_type() == mime::APPLICATION_WWW_FORM_URLENCODED.essence_str();
        let head = reject_encoded(request);
        let body = payload.take();
        Box::pin(async move {
            head?;
            if !is_form {
                return Err(Code::InvalidForm.into());
            }
            let bytes = read_body(body).await?;
            let text = str::from_utf8(&bytes).map_err(|_not_text| Code::InvalidForm)?;
            match web::Query::<T>::from_query(text) {
                Ok(fields) => Ok(Self(fields.into_inner())),
                Err(_) => Err(Code::InvalidForm.into()),
            }
        })
    }
}
