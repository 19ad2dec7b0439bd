//! Bodies that are refused before they end. The client hears the refusal at once; what it still sends is read
//! and thrown away before the connection is closed, for closing under a client that sends resets the
//! connection, and the answer may be lost. That goes on as long as an upload might: at the floor rate, and no
//! further than the largest upload. Afterwards the server reads on for a last moment (`DISCARD_TIMEOUT`).

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

/// How much of a refused body is read.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    bytes: u64,
    time: Duration,
}

/// Reads the rest of a body and throws it away, while its client keeps pace and nobody wants to stop.
async fn discard(mut body: Held, bounds: Bounds, shutdown: Shutdown) {
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

/// The body of an answer, and after it the rest of its request's.
pub struct Answer {
    /// None once it was sent: who waits for its end need not wait for the rest.
    body: Option<BoxBody>,
    size: BodySize,
    rest: Option<Rest>,
    /// To the very end: a body in chunks that nobody holds any more is read by the server itself, for ever.
    _held: Option<Held>,
}

impl MessageBody for Answer {
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

/// Reads a request's body to its end, whatever its handler does; for [`actix_web::middleware::from_fn`], as the
/// outermost.
pub async fn read_to_the_end(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<Answer>, Error> {
    let headers = request.headers();
    let has_body = headers.contains_key(header::TRANSFER_ENCODING)
        || headers
            .get(header::CONTENT_LENGTH)
            .is_some_and(|length| length != "0");
    let held = has_body.then(|| Held::take_from(&mut request));
    let shutdown = request.app_data::<web::Data<Shutdown>>().cloned();
    let bounds = request.app_data::<web::Data<App>>().map(|app| Bounds {
        bytes: app.upload.most_bytes(),
        time: app.upload.upload_timeout,
    });
    let response = next.call(request).await?;
    let rest = held.clone().zip(bounds).zip(shutdown);
    Ok(response.map_body(|_, body| Answer {
        size: body.size(),
        body: Some(body.boxed()),
        rest: rest.map(|((held, bounds), shutdown)| -> Rest {
            let rest = discard(held, bounds, Shutdown::clone(&shutdown));
            Box::pin(rest)
        }),
        _held: held,
    }))
}
