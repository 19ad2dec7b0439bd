//! A gateway from the browser to the API. It fails as a test tells it, and notes every request.

use std::{
    collections::HashMap,
    future::{pending, poll_fn, ready},
    io,
    sync::{Arc, Mutex},
};

use futures_util::{Stream, StreamExt as _, stream};
use hyper::{
    Method, Request, Response,
    body::{Body as _, Bytes, Incoming},
    header::HeaderValue,
};
use tokio::sync::watch;

use super::site::{Listener, listen};
use crate::support::eventually;

/// What happens to one request.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// It never arrives, and nothing says so.
    Hang,
    /// It arrives, but its response never does, and nothing says so.
    Silence,
    /// It arrives, and the connection breaks before its response.
    LostResponse,
    /// The connection breaks after this many bytes of the body.
    Break(usize),
    /// A proxy answers it with this status.
    Status(u16),
}

/// Forwards requests until it is dropped.
pub struct Gateway {
    pub url: String,
    line: Arc<Line>,
    _listener: Listener,
}

struct Line {
    server: String,
    client: reqwest::Client,
    faults: Mutex<HashMap<String, Fault>>,
    requests: Mutex<Vec<String>>,
    checksums: Mutex<usize>,
    connections: watch::Sender<()>,
}

impl Gateway {
    /// Starts a gateway to the API at `server`.
    pub async fn to(server: &str) -> Self {
        let line = Arc::new(Line {
            server: server.to_owned(),
            client: reqwest::Client::new(),
            faults: Mutex::default(),
            requests: Mutex::default(),
            checksums: Mutex::default(),
            connections: watch::Sender::new(()),
        });
        let carrier = Arc::clone(&line);
        let listener = listen(move |request| Arc::clone(&carrier).carry(request)).await;
        Self {
            url: format!("http://{}", listener.address),
            line,
            _listener: listener,
        }
    }

    /// Fails the next request of the kind `what`: a method, or `PATCH` with its `Upload-Offset`.
    pub fn fail(&self, what: &str, fault: Fault) {
        let mut faults = self.line.faults.lock().unwrap();
        faults.insert(what.to_owned(), fault);
    }

    /// Breaks every connection.
    pub fn cut(&self) {
        self.line.connections.send_replace(());
    }

    /// Returns the requests so far, named as in [`Gateway::fail`], without preflights.
    pub fn requests(&self) -> Vec<String> {
        self.line.requests.lock().unwrap().clone()
    }

    /// Returns the number of requests with an `Upload-Checksum`.
    pub fn checksums(&self) -> usize {
        *self.line.checksums.lock().unwrap()
    }

    /// Returns the number of requests of the kind `what`.
    pub fn count(&self, what: &str) -> usize {
        let requests = self.requests();
        requests.iter().filter(|request| *request == what).count()
    }

    /// Waits until there were `count` requests of the kind `what`.
    pub async fn until(&self, what: &str, count: usize) {
        eventually(what, 60, async || self.count(what) >= count).await;
    }
}

impl Line {
    /// Returns the response, or an error that breaks the client's connection.
    async fn carry(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> io::Result<Response<reqwest::Body>> {
        let mut connections = self.connections.subscribe();
        let fault = self.note(&request);
        let answer = async {
            if let Some(Fault::Hang) = fault {
                pending::<()>().await;
            }
            if let Some(Fault::Status(status)) = fault {
                let response = Response::builder().status(status);
                let response = response.header("access-control-allow-origin", "*");
                return Ok(response.body(reqwest::Body::default()).unwrap());
            }
            let response = self.forward(request, fault).await?;
            match fault {
                Some(Fault::Silence) => pending().await,
                Some(Fault::LostResponse) => Err(io::ErrorKind::ConnectionReset.into()),
                _ => Ok(response),
            }
        };
        tokio::select! {
            response = answer => response,
            _cut_or_dropped = connections.changed() => Err(io::ErrorKind::ConnectionReset.into()),
        }
    }

    /// Notes a request. Returns what happens to it.
    fn note(&self, request: &Request<Incoming>) -> Option<Fault> {
        if request.method() == Method::OPTIONS {
            return None;
        }
        let mut what = request.method().to_string();
        if let Some(offset) = request.headers().get("upload-offset") {
            what = format!("{what} {}", offset.to_str().unwrap());
        }
        if request.headers().contains_key("upload-checksum") {
            *self.checksums.lock().unwrap() += 1;
        }
        let fault = self.faults.lock().unwrap().remove(&what);
        self.requests.lock().unwrap().push(what);
        fault
    }

    async fn forward(
        &self,
        request: Request<Incoming>,
        fault: Option<Fault>,
    ) -> io::Result<Response<reqwest::Body>> {
        let (head, body) = request.into_parts();
        let mut headers = head.headers;
        headers.remove("host");
        let mut forwarded = self
            .client
            .request(head.method, format!("{}{}", self.server, head.uri))
            .headers(headers);
        if !body.is_end_stream() {
            let body = match fault {
                Some(Fault::Break(bytes)) => first_of(body, bytes).boxed(),
                _ => chunks(body).boxed(),
            };
            forwarded = forwarded.body(reqwest::Body::wrap_stream(body));
        }
        let response = forwarded.send().await.map_err(io::Error::other)?;
        let mut response: Response<reqwest::Body> = response.into();
        // On a connection that it used before, Chromium repeats any request that gets no response,
        // and the module does not know.
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert("connection", close);
        Ok(response)
    }
}

fn chunks(body: Incoming) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold(Box::pin(body), async |mut body| {
        let frame = poll_fn(|context| body.as_mut().poll_frame(context)).await?;
        let bytes = frame.map(|frame| frame.into_data().unwrap_or_default());
        Some((bytes.map_err(io::Error::other), body))
    })
}

/// Returns the first `bytes` of a longer body, and then an error.
fn first_of(body: Incoming, bytes: usize) -> impl Stream<Item = io::Result<Bytes>> {
    chunks(body).scan(bytes, |left, chunk| {
        let chunk = chunk.and_then(|mut chunk| {
            if *left == 0 {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            chunk.truncate(*left);
            *left -= chunk.len();
            Ok(chunk)
        });
        ready(Some(chunk))
    })
}
