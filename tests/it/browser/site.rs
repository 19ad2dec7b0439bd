//! A site with the upload page, on another origin than the API.

use std::{fs, io, net::SocketAddr};

use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use reqwest::Body;
use tokio::{net::TcpListener, task::AbortHandle};

use crate::support::RUNTIME;

const PAGE: &str = include_str!("page.html");

/// Returns the module.
pub fn module() -> String {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/web/assets/upload.js");
    fs::read_to_string(file).unwrap()
}

/// Serves until it is dropped.
pub struct Listener {
    pub address: SocketAddr,
    serving: AbortHandle,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Answers every request with `answer`, and breaks the connection where that fails.
pub async fn listen<F>(
    answer: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
) -> Listener
where
    F: Future<Output = io::Result<Response<Body>>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = RUNTIME.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let connection = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(answer.clone()));
            RUNTIME.spawn(async { drop(connection.await) });
        }
    });
    Listener {
        address,
        serving: serving.abort_handle(),
    }
}

/// Serves the page at `/`.
pub async fn serve() -> Listener {
    listen(async |request: Request<Incoming>| {
        let (content_type, body) = match request.uri().path() {
            "/" => ("text/html", PAGE.to_owned()),
            "/upload.js" => ("text/javascript", module()),
            _ => {
                return Ok(Response::builder()
                    .status(404)
                    .body(Body::default())
                    .unwrap());
            }
        };
        let response = Response::builder().header("content-type", content_type);
        Ok(response.body(body.into()).unwrap())
    })
    .await
}
