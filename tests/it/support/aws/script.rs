//! An HTTP server that answers as a test tells it, for what no emulator shows.

use std::{
    convert::Infallible,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex},
};

use hyper::{
    HeaderMap, Request, Response,
    body::{Body as _, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use s3s::Body;
use tokio::{net::TcpListener, task::AbortHandle};

use crate::support::RUNTIME;

/// A server that keeps what it was asked.
pub struct Script {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    serving: AbortHandle,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `SendMessage`, `HeadBucket`, `SetInstanceProtection` …, `meta-data/instance-id` …
    pub operation: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// What the server answers.
pub struct ScriptedResponse {
    status: u16,
    header: Option<(&'static str, &'static str)>,
    body: String,
}

impl Script {
    /// Starts one. `answer` is told the operation, and how many of its kind came before.
    pub async fn start(
        answer: impl Fn(&str, usize) -> ScriptedResponse + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::default();
        let serving = RUNTIME.spawn(serve(listener, Arc::new(answer), Arc::clone(&asked)));
        Self {
            url,
            asked,
            serving: serving.abort_handle(),
        }
    }

    /// Returns all requests of one operation so far.
    pub fn asked(&self, operation: &str) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap();
        let of_operation = asked.iter().filter(|asked| asked.operation == operation);
        of_operation.cloned().collect()
    }

    /// Returns how many requests came so far.
    pub fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Asked {
    /// Returns the body, which must be JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Returns a field of the body, which must be a form.
    pub fn field(&self, name: &str) -> Option<String> {
        let field = form(&self.body).find(|(field, _)| field == name);
        field.map(|(_, value)| value)
    }
}

fn form(body: &[u8]) -> impl Iterator<Item = (String, String)> {
    let fields = url::form_urlencoded::parse(body);
    fields.map(|(name, value)| (name.into_owned(), value.into_owned()))
}

impl ScriptedResponse {
    pub fn ok(body: impl Into<String>) -> Self {
        Self::status(200, body)
    }

    pub fn status(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            header: None,
            body: body.into(),
        }
    }

    pub fn header(self, name: &'static str, value: &'static str) -> Self {
        let header = Some((name, value));
        Self { header, ..self }
    }

    /// Refuses as SQS does.
    pub fn sqs_error(status: u16, code: &str) -> Self {
        let body =
            serde_json::json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": "No."});
        Self::status(status, body.to_string())
    }

    /// Refuses as Auto Scaling does.
    pub fn query_error(status: u16, code: &str) -> Self {
        let error = format!("<Error><Code>{code}</Code><Message>No.</Message></Error>");
        Self::status(status, format!("<ErrorResponse>{error}</ErrorResponse>"))
    }

    /// Refuses as S3 does.
    pub fn s3_error(status: u16, code: &str) -> Self {
        let body = format!("<Error><Code>{code}</Code><Message>No.</Message></Error>");
        Self::status(status, body)
    }
}

async fn serve<A>(listener: TcpListener, answer: Arc<A>, asked: Arc<Mutex<Vec<Asked>>>)
where
    A: Fn(&str, usize) -> ScriptedResponse + Send + Sync + 'static,
{
    while let Ok((stream, _)) = listener.accept().await {
        let (answer, asked) = (Arc::clone(&answer), Arc::clone(&asked));
        let service = service_fn(move |request| {
            let (answer, asked) = (Arc::clone(&answer), Arc::clone(&asked));
            async move {
                let request = read(request).await;
                let earlier = {
                    let mut asked = asked.lock().unwrap();
                    let equal = asked
                        .iter()
                        .filter(|old| old.operation == request.operation);
                    let earlier = equal.count();
                    asked.push(request.clone());
                    earlier
                };
                let answer = answer(&request.operation, earlier);
                let mut response = Response::builder().status(answer.status);
                if let Some((name, value)) = answer.header {
                    response = response.header(name, value);
                }
                Ok::<_, Infallible>(response.body(Body::from(answer.body)).unwrap())
            }
        });
        RUNTIME.spawn(async move {
            // A client that goes away in the middle is no affair of ours.
            drop(
                http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await,
            );
        });
    }
}

async fn read(mut request: Request<Incoming>) -> Asked {
    let mut body = Vec::new();
    while let Some(frame) =
        poll_fn(|context| Pin::new(request.body_mut()).poll_frame(context)).await
    {
        // A client that goes away in the middle has sent what it has sent.
        let Ok(frame) = frame else { break };
        if let Ok(bytes) = frame.into_data() {
            body.extend_from_slice(&bytes);
        }
    }
    Asked {
        operation: operation(&request, &body),
        path: request.uri().to_string(),
        headers: request.headers().clone(),
        body,
    }
}

/// Names the operation: SQS says it in a header, Auto Scaling in the body, S3 by method and query. An
/// instance's metadata is named by its path.
fn operation(request: &Request<Incoming>, body: &[u8]) -> String {
    if let Some(item) = request.uri().path().strip_prefix("/latest/") {
        return item.to_owned();
    }
    if let Some((_, action)) = form(body).find(|(name, _)| name == "Action") {
        return action;
    }
    if let Some(target) = request.headers().get("x-amz-target") {
        let target = target.to_str().unwrap();
        return target.strip_prefix("AmazonSQS.").unwrap().to_owned();
    }
    let query = request.uri().query().unwrap_or_default();
    let is_bucket = request.uri().path().trim_matches('/').split('/').count() == 1;
    let has = |name: &str| {
        let mut parts = query.split('&');
        parts.any(|part| part.split('=').next() == Some(name))
    };
    let name = match request.method().as_str() {
        "HEAD" if is_bucket => "HeadBucket",
        "GET" if has("versions") => "ListObjectVersions",
        "GET" if has("uploads") => "ListMultipartUploads",
        "GET" if is_bucket => "ListObjectsV2",
        "GET" => "GetObject",
        "PUT" if has("partNumber") => "UploadPart",
        "PUT" if has("tagging") => "PutObjectTagging",
        "PUT" => "PutObject",
        "POST" if has("uploads") => "CreateMultipartUpload",
        "POST" if has("delete") => "DeleteObjects",
        "POST" => "CompleteMultipartUpload",
        "DELETE" if has("uploadId") => "AbortMultipartUpload",
        "DELETE" if has("tagging") => "DeleteObjectTagging",
        _ => "another",
    };
    name.to_owned()
}
