//! A faulty HTTP proxy, which notes every response.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use futures_util::{Stream, TryStreamExt as _, stream};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body as _, Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use reqwest::Body;
use tokio::{net::TcpListener, task::AbortHandle};

use super::RUNTIME;

/// What a proxy does to requests and responses.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// It receives a whole body before it forwards the request, like nginx by default.
    Buffers,
    /// It answers 502 to every so many requests.
    BadGateway(usize),
    /// It answers 503 to the first HEAD.
    UnavailableHead,
    /// It breaks the connection in place of the first 201.
    LostCreation,
    /// It breaks the connection in place of the response with which the video exists: a 204
    /// without `Upload-Expires`.
    LostEnd,
}

/// Forwards requests until it is dropped.
pub struct Proxy {
    address: SocketAddr,
    line: Arc<Line>,
    listening: AbortHandle,
}

struct Line {
    server: String,
    client: reqwest::Client,
    fault: Fault,
    requests: AtomicUsize,
    /// Whether a fault that happens once has happened.
    has_failed: AtomicBool,
    responses: Mutex<Vec<String>>,
}

impl Proxy {
    /// Starts a proxy to the server at `url`.
    pub async fn to(url: &str, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let line = Arc::new(Line {
            server: url.to_owned(),
            client: reqwest::Client::new(),
            fault,
            requests: AtomicUsize::new(0),
            has_failed: AtomicBool::new(false),
            responses: Mutex::default(),
        });
        let listening = RUNTIME.spawn(listen(listener, Arc::clone(&line)));
        Self {
            address,
            line,
            listening: listening.abort_handle(),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the responses of the server so far: method, status and `Cache-Control`.
    pub fn responses(&self) -> Vec<String> {
        self.line.responses.lock().unwrap().clone()
    }

    /// Returns whether a fault happened.
    pub fn has_failed(&self) -> bool {
        self.line.has_failed.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, line: Arc<Line>) {
    while let Ok((stream, _)) = listener.accept().await {
        let line = Arc::clone(&line);
        let service = service_fn(move |request| {
            let line = Arc::clone(&line);
            async move { line.carry(request).await }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        RUNTIME.spawn(async { drop(connection.await) });
    }
}

impl Line {
    /// Returns the response, or an error that breaks the client's connection.
    async fn carry(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let method = request.method().clone();
        let number = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
        let response = match self.fault {
            Fault::BadGateway(every) if number.is_multiple_of(every) => {
                self.has_failed.store(true, Ordering::SeqCst);
                status(StatusCode::BAD_GATEWAY)
            }
            Fault::UnavailableHead if method == Method::HEAD && self.fails_now() => {
                status(StatusCode::SERVICE_UNAVAILABLE)
            }
            _ => self.forward(request).await?,
        };
        let is_end = response.status() == StatusCode::NO_CONTENT
            && method == Method::PATCH
            && !response.headers().contains_key("upload-expires");
        let is_lost = match self.fault {
            Fault::LostCreation => response.status() == StatusCode::CREATED,
            Fault::LostEnd => is_end,
            _ => false,
        };
        if is_lost && self.fails_now() {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(response)
    }

    /// Returns true once.
    fn fails_now(&self) -> bool {
        !self.has_failed.swap(true, Ordering::SeqCst)
    }

    async fn forward(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let (head, body) = request.into_parts();
        let (method, mut headers) = (head.method, head.headers);
        headers.remove("host");
        let url = format!("{}{}", self.server, head.uri);
        let forwarded = self.client.request(method.clone(), url).headers(headers);
        let forwarded = if body.is_end_stream() {
            forwarded
        } else if let Fault::Buffers = self.fault {
            self.has_failed.store(true, Ordering::SeqCst);
            let whole: Vec<Bytes> = chunks(body).try_collect().await?;
            forwarded.body(whole.concat())
        } else {
            forwarded.body(Body::wrap_stream(chunks(body)))
        };
        let response = forwarded.send().await.map_err(io::Error::other)?;
        let cache_control = response.headers().get("cache-control");
        let cache_control = cache_control.map_or("", |value| value.to_str().unwrap());
        let noted = format!("{method} {} {cache_control}", response.status().as_u16());
        self.responses.lock().unwrap().push(noted);
        Ok(response.into())
    }
}

fn status(status: StatusCode) -> Response<Body> {
    let response = Response::builder().status(status);
    response.body(Body::default()).unwrap()
}

fn chunks(body: Incoming) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold(body, async |mut body| {
        let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await?;
        let bytes = frame.map(|frame| frame.into_data().unwrap_or_default());
        Some((bytes.map_err(io::Error::other), body))
    })
}
