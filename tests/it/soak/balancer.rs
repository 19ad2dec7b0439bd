//! A load balancer in front of the APIs, like those of AWS: it checks `/ready`, passes requests to
//! the ready instances in turn, never repeats one, and leaves the drain to the instance.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use hyper::{
    Request, Response, StatusCode, body::Body as _, body::Incoming, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use reqwest::{Body, Client, redirect::Policy};
use tokio::{net::TcpListener, task::AbortHandle, time::sleep};

use crate::{
    processes::instance::{CHECK_INTERVAL, Instance},
    support::{RUNTIME, proxy::chunks},
};

/// Idle timeout of connections to the instances, which close theirs later.
const IDLE: Duration = Duration::from_mins(1);

/// Maximum time for which a request waits for a ready instance.
const PATIENCE: Duration = Duration::from_secs(30);

/// Forwards requests until it is dropped.
pub struct Balancer {
    address: SocketAddr,
    line: Arc<Line>,
    tasks: [AbortHandle; 2],
}

struct Line {
    instances: Vec<Instance>,
    turn: AtomicUsize,
    http: Client,
}

impl Balancer {
    /// Starts a balancer in front of ready instances.
    pub async fn of(urls: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let http = Client::builder()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .pool_idle_timeout(IDLE)
            .build();
        let line = Arc::new(Line {
            instances: urls.iter().map(|url| Instance::ready(url)).collect(),
            turn: AtomicUsize::new(0),
            http: http.unwrap(),
        });
        let listening = RUNTIME.spawn(listen(listener, Arc::clone(&line)));
        let checked = Arc::clone(&line);
        let checking = RUNTIME.spawn(async move { checked.check().await });
        Self {
            address,
            line,
            tasks: [listening.abort_handle(), checking.abort_handle()],
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Replaces an instance by a ready one.
    pub fn register(&self, number: usize, url: &str) {
        self.line.instances[number].register(url);
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

async fn listen(listener: TcpListener, line: Arc<Line>) {
    while let Ok((stream, _)) = listener.accept().await {
        drop(stream.set_nodelay(true));
        let line = Arc::clone(&line);
        let service = service_fn(move |request| {
            let line = Arc::clone(&line);
            async move { io::Result::Ok(line.carry(request).await) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        RUNTIME.spawn(async { drop(connection.await) });
    }
}

impl Line {
    async fn check(&self) {
        loop {
            for instance in &self.instances {
                instance.check(&self.http).await;
            }
            sleep(CHECK_INTERVAL).await;
        }
    }

    /// Returns the URL of the next ready instance. On a busy machine even the only one may seem not
    /// ready, so the request waits.
    async fn next(&self) -> Option<String> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            for _ in &self.instances {
                let turn = self.turn.fetch_add(1, Ordering::Relaxed);
                let instance = &self.instances[turn % self.instances.len()];
                if instance.is_ready() {
                    return Some(instance.url());
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
        None
    }

    async fn carry(&self, request: Request<Incoming>) -> Response<Body> {
        let Some(instance) = self.next().await else {
            return problem(StatusCode::SERVICE_UNAVAILABLE, "no instance is ready");
        };
        let (head, body) = request.into_parts();
        let url = format!("{instance}{}", head.uri);
        let forwarded = self.http.request(head.method, url).headers(head.headers);
        let forwarded = if body.is_end_stream() {
            forwarded
        } else {
            forwarded.body(Body::wrap_stream(chunks(body)))
        };
        match forwarded.send().await {
            Ok(response) => {
                let mut response = Response::<Body>::from(response);
                // It concerns the connection to the instance.
                response.headers_mut().remove("connection");
                response
            }
            Err(error) => problem(StatusCode::BAD_GATEWAY, &format!("{error:?}")),
        }
    }
}

/// Returns a response of the balancer itself.
fn problem(status: StatusCode, text: &str) -> Response<Body> {
    let response = Response::builder().status(status);
    response.body(format!("balancer: {text}").into()).unwrap()
}
