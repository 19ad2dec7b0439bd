//! An HTTP proxy in front of one or several servers, faulty if a test wants it. It notes every
//! response.

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
use reqwest::{Body, redirect::Policy};
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
    /// It holds the response of a stream of events back until the stream ends.
    HoldsEvents,
}

/// A response of a server.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Index of the server.
    pub server: usize,
    pub method: Method,
    /// With the query.
    pub path: String,
    pub status: u16,
    pub cache_control: String,
}

/// Forwards requests until it is dropped.
pub struct Proxy {
    address: SocketAddr,
    line: Arc<Line>,
    listening: AbortHandle,
}

struct Line {
    /// They take turns.
    servers: Vec<String>,
    client: reqwest::Client,
    fault: Option<Fault>,
    requests: AtomicUsize,
    /// Whether a fault that happens once has happened.
    has_failed: AtomicBool,
    /// Number of streams of events that are held back.
    held: AtomicUsize,
    exchanges: Mutex<Vec<Exchange>>,
}

impl Proxy {
    /// Starts a proxy to the server at `url`.
    pub async fn to(url: &str, fault: Fault) -> Self {
        Self::start(vec![url.to_owned()], Some(fault)).await
    }

    /// Starts a proxy that sends requests to each of the servers in turn.
    pub async fn between(urls: &[&str]) -> Self {
        let servers = urls.iter().map(|url| (*url).to_owned());
        Self::start(servers.collect(), None).await
    }

    async fn start(servers: Vec<String>, fault: Option<Fault>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let line = Arc::new(Line {
            servers,
            // Like a browser, a proxy leaves redirects to its client.
            client: reqwest::Client::builder()
                .redirect(Policy::none())
                .build()
                .unwrap(),
            fault,
            requests: AtomicUsize::new(0),
            has_failed: AtomicBool::new(false),
            held: AtomicUsize::new(0),
            exchanges: Mutex::default(),
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

    /// Returns the responses of the servers so far.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.line.exchanges.lock().unwrap().clone()
    }

    /// Returns the number of streams of events that it holds back now.
    pub fn held(&self) -> usize {
        self.line.held.load(Ordering::SeqCst)
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
            Some(Fault::BadGateway(every)) if number.is_multiple_of(every) => {
                self.has_failed.store(true, Ordering::SeqCst);
                status(StatusCode::BAD_GATEWAY)
            }
            Some(Fault::UnavailableHead) if method == Method::HEAD && self.fails_now() => {
                status(StatusCode::SERVICE_UNAVAILABLE)
            }
            _ => self.forward(request, number % self.servers.len()).await?,
        };
        let is_end = response.status() == StatusCode::NO_CONTENT
            && method == Method::PATCH
            && !response.headers().contains_key("upload-expires");
        let is_lost = match self.fault {
            Some(Fault::LostCreation) => response.status() == StatusCode::CREATED,
            Some(Fault::LostEnd) => is_end,
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

    async fn forward(
        &self,
        request: Request<Incoming>,
        server: usize,
    ) -> io::Result<Response<Body>> {
        let (head, body) = request.into_parts();
        let (method, mut headers) = (head.method, head.headers);
        headers.remove("host");
        let url = format!("{}{}", self.servers[server], head.uri);
        let forwarded = self.client.request(method.clone(), url).headers(headers);
        let forwarded = if body.is_end_stream() {
            forwarded
        } else if let Some(Fault::Buffers) = self.fault {
            self.has_failed.store(true, Ordering::SeqCst);
            let whole: Vec<Bytes> = chunks(body).try_collect().await?;
            forwarded.body(whole.concat())
        } else {
            forwarded.body(Body::wrap_stream(chunks(body)))
        };
        let response = forwarded.send().await.map_err(io::Error::other)?;
        let header = |name: &str| {
            let value = response.headers().get(name);
            value.map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
        };
        let (cache_control, media_type) = (header("cache-control"), header("content-type"));
        self.exchanges.lock().unwrap().push(Exchange {
            server,
            method,
            path: head.uri.to_string(),
            status: response.status().as_u16(),
            cache_control,
        });
        let is_held = matches!(self.fault, Some(Fault::HoldsEvents));
        if is_held && media_type.starts_with("text/event-stream") {
            return self.hold(response).await;
        }
        Ok(response.into())
    }

    /// Returns a response once it is complete.
    async fn hold(&self, response: reqwest::Response) -> io::Result<Response<Body>> {
        self.has_failed.store(true, Ordering::SeqCst);
        let _held = Held::begin(&self.held);
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.map_err(io::Error::other)?;
        let mut whole = Response::new(body.into());
        (*whole.status_mut(), *whole.headers_mut()) = (status, headers);
        Ok(whole)
    }
}

/// Counts as held until dropped, also because the client has gone.
struct Held<'a>(&'a AtomicUsize);

impl<'a> Held<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn status(status: StatusCode) -> Response<Body> {
    let response = Response::builder().status(status);
    response.body(Body::default()).unwrap()
}

/// Returns the content of a body as a stream.
pub fn chunks(body: Incoming) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold(body, async |mut body| {
        let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await?;
        let bytes = frame.map(|frame| frame.into_data().unwrap_or_default());
        Some((bytes.map_err(io::Error::other), body))
    })
}
