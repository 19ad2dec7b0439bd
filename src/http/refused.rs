//! Bodies that are refused before they end. The server then closes the connection, and for a while reads
//! on and throws away, so that a client that still sends sees the answer. Of a body in chunks that
//! nobody holds any more it would read whatever comes, for ever: so it is held until the answer is out.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_web::{
    Error, HttpMessage as _,
    body::{BodySize, BoxBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::PayloadError,
    http::header,
    middleware::Next,
    web::Bytes,
};
use futures_util::{Stream, StreamExt as _};

/// A request's body; the handler has one clone, the answer the other.
#[derive(Clone)]
struct Held(Rc<RefCell<Payload>>);

impl Held {
    fn take_from(request: &mut ServiceRequest) -> Self {
        let held = Self(Rc::new(RefCell::new(request.take_payload())));
        let payload = Box::pin(held.clone());
        request.set_payload(Payload::Stream { payload });
        held
    }
}

impl Stream for Held {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.borrow_mut().poll_next_unpin(context)
    }
}

/// The body of an answer that keeps the one of its request.
pub struct Answer {
    body: BoxBody,
    _request: Option<Held>,
}

impl MessageBody for Answer {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}

/// Holds the chunks of one request; for [`actix_web::middleware::from_fn`], as the outermost.
pub async fn hold_chunks(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<Answer>, Error> {
    let is_chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    let held = is_chunked.then(|| Held::take_from(&mut request));
    let response = next.call(request).await?;
    Ok(response.map_body(|_, body| Answer {
        body: body.boxed(),
        _request: held,
    }))
}
