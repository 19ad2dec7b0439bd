//! Discards the rest of request bodies that are rejected before their end. The client receives the
//! error response at once. What it still sends is read and discarded before the connection is
//! closed: closing while the client sends would reset the connection and could lose the response.
//! Reading is bounded like an upload, by the minimum rate and the size of the largest upload.
//! Afterwards the server keeps reading for `DISCARD_TIMEOUT`.

use std::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use actix_web::{
    Error, HttpMessage as _,
    body::{BodySize, BoxBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::PayloadError,
    http::header,
    middleware::Next,
    web::{self, Bytes},
};
use futures_util::{Stream, StreamExt as _};
use tokio::time::{sleep, timeout};

use super::pace::{Pace, WINDOW};
use crate::{app::App, shutdown::Shutdown};

/// A request's body, shared by the handler and the response.
#[derive(Clone)]
struct SharedBody(Rc<RefCell<Payload>>);

impl SharedBody {
    fn take_from(request: &mut ServiceRequest) -> Self {
        let shared = Self(Rc::new(RefCell::new(request.take_payload())));
        let payload = Box::pin(shared.clone());
        request.set_payload(Payload::Stream { payload });
        shared
    }
}

impl Stream for SharedBody {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.borrow_mut().poll_next_unpin(context)
    }
}

/// Bounds on reading a rejected body.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    bytes: u64,
    time: Duration,
}

/// Reads and discards the rest of a body until the client is too slow or shutdown is requested.
async fn discard(mut body: SharedBody, bounds: Bounds, shutdown: Shutdown) {
    let reading = async {
        let mut pace = Pace::new(Instant::now());
        let mut left = bounds.bytes;
        while let Ok(Some(Ok(chunk))) = timeout(WINDOW, body.next()).await {
            let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            match left.checked_sub(length) {
                Some(fewer) if pace.keeps_up(chunk.len(), Instant::now()) => left = fewer,
                _ => return,
            }
        }
    };
    tokio::select! {
        () = reading => {}
        () = sleep(bounds.time) => {}
        () = shutdown.requested() => {}
    }
}

type Rest = Pin<Box<dyn Future<Output = ()>>>;

/// The body of a response. At its end, the rest of the request's body is discarded.
pub struct ResponseBody {
    /// Dropped once it is sent, so that its drop guards need not wait for the rest of the request.
    body: Option<BoxBody>,
    size: BodySize,
    rest: Option<Rest>,
    /// Retained to the end: Actix reads a dropped chunked payload itself, without bounds.
    _retained: Option<SharedBody>,
}

impl MessageBody for ResponseBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if let Some(body) = &mut self.body {
            if let Some(piece) = ready!(Pin::new(body).poll_next(context)) {
                return Poll::Ready(Some(piece));
            }
            self.body = None;
        }
        if let Some(rest) = &mut self.rest {
            ready!(rest.as_mut().poll(context));
            self.rest = None;
        }
        Poll::Ready(None)
    }
}

/// Reads a request's body to its end even if the handler does not. The outermost middleware, for
/// [`actix_web::middleware::from_fn`].
pub async fn discard_rest(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<ResponseBody>, Error> {
    let headers = request.headers();
    let has_body = headers.contains_key(header::TRANSFER_ENCODING)
        || headers
            .get(header::CONTENT_LENGTH)
            .is_some_and(|length| length != "0");
    let retained = has_body.then(|| SharedBody::take_from(&mut request));
    let shutdown = request.app_data::<web::Data<Shutdown>>().cloned();
    let bounds = request.app_data::<web::Data<App>>().map(|app| Bounds {
        bytes: app.upload.max_bytes(),
        time: app.upload.upload_timeout,
    });
    let response = next.call(request).await?;
    let rest = retained.clone().zip(bounds).zip(shutdown);
    Ok(response.map_body(|_, body| ResponseBody {
        size: body.size(),
        body: Some(body.boxed()),
        rest: rest.map(|((request_body, bounds), shutdown)| -> Rest {
            let rest = discard(request_body, bounds, Shutdown::clone(&shutdown));
            Box::pin(rest)
        }),
        _retained: retained,
    }))
}
