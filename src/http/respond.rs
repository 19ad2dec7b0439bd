//! Middleware that gives each request an id and a span, and each error response its body. It logs
//! each request once, when its response is ready; the cause of a 5xx is logged only there.

use std::time::{Duration, Instant};

use actix_web::{
    HttpMessage as _, HttpRequest, HttpResponse, HttpResponseBuilder,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{self, Accept, Header as _, HeaderName, HeaderValue, Quality},
    },
    middleware::Next,
};
use serde::Serialize;
use tracing::{Instrument as _, Span, field};
use uuid::{Uuid, fmt::Urn};

use super::{
    Code, Error, Moments,
    extract::{self, RequestId},
    public_url::PublicUrl,
    representation::{Complete, HTML},
};
use crate::{language::Language, metric, validate::FieldBody};

/// Header with the id of the request, in every response.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Health probes of load balancers. Successful ones are not logged.
pub const PROBES: [&str; 2] = ["/health", "/ready"];

/// Headers that describe the replaced body.
const DESCRIBES_BODY: [HeaderName; 8] = [
    header::CACHE_CONTROL,
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::ETAG,
    header::LAST_MODIFIED,
    header::TRANSFER_ENCODING,
];

/// The media type of problem details (RFC 9457), for clients that accept it.
const PROBLEM_JSON: &str = "application/problem+json";

/// The links to the published contract (RFC 8631).
const CONTRACT_LINKS: HeaderValue = HeaderValue::from_static(
    "</openapi.json>; rel=\"service-desc\", </swagger/>; rel=\"service-doc\"",
);

/// Renders an error as a page for people. Returns the body, or none for JSON. It may add headers.
#[derive(Clone, Copy)]
pub struct ErrorFace(
    pub fn(&HttpRequest, &Error, RequestId, &mut HttpResponseBuilder) -> Option<String>,
);

/// Problem details (RFC 9457), with further members.
#[derive(Debug, Serialize)]
struct ErrorBody<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    code: &'a str,
    error: &'a str,
    message: &'a str,
    instance: Urn,
    request_id: Uuid,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<FieldBody>,
    #[serde(flatten)]
    moments: Moments,
}

/// A success response that consists of one sentence.
#[derive(Debug, Serialize)]
pub struct Message {
    message: &'static str,
}

impl Message {
    /// Chooses the sentence by the client's language.
    pub fn new(language: Language, spanish: &'static str, english: &'static str) -> Self {
        let message = language.select(spanish, english);
        Self { message }
    }
}

/// Handles one request; for [`actix_web::middleware::from_fn`].
pub async fn finish_response(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody, BoxBody>>, actix_web::Error> {
    let started = Instant::now();
    let id = RequestId(Uuid::now_v7());
    request.extensions_mut().insert(id);
    let is_probe = PROBES.contains(&request.path());
    let span = if is_probe {
        Span::none()
    } else {
        tracing::info_span!(
            "request",
            request_id = %id.0,
            method = %request.method(),
            route = field::Empty,
        )
    };
    let response = next.call(request).instrument(span.clone()).await?;
    let mut response = response.map_into_left_body();

    let _entered = span.enter();
    // The pattern, not the path, which may contain a video's id or a signature.
    let route = response.request().match_pattern().unwrap_or_default();
    span.record("route", &route);
    count(route, &response, started.elapsed());
    if !is_probe || !response.status().is_success() {
        log(&response, started.elapsed());
    }
    if let Some(rendered) = render(&response, id) {
        let (request, _) = response.into_parts();
        response = ServiceResponse::new(request, rendered).map_into_right_body();
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::try_from(id.0.to_string()) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    // Default to `no-store`: the response may be private.
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    Ok(response)
}

/// Returns the response to send instead of `response`, if that is an error without a body.
fn render<B>(response: &ServiceResponse<B>, id: RequestId) -> Option<HttpResponse> {
    if response.response().extensions().contains::<Complete>() {
        return None;
    }
    let status = response.status();
    let ours = response
        .response()
        .error()
        .and_then(|error| error.as_error::<Error>());
    let fallback;
    let error = if let Some(error) = ours {
        error
    } else {
        fallback = Error::from(code_of(status)?);
        &fallback
    };
    let request = response.request();
    let language = extract::language(request);
    let message = error.code.message(language);
    let mut builder = HttpResponse::build(status);
    // Keeps the headers of inner middleware, such as CORS: allowed pages must read this response.
    for (name, value) in response.headers() {
        if !DESCRIBES_BODY.contains(name) {
            builder.append_header((name.clone(), value.clone()));
        }
    }
    builder.insert_header((header::CONTENT_LANGUAGE, language.tag()));
    builder.append_header((header::VARY, "Accept, Accept-Language"));
    if let Some(wait) = error.retry_after {
        builder.insert_header((header::RETRY_AFTER, whole_seconds(wait).to_string()));
    }
    if let Some(offset) = error.upload_offset {
        builder.insert_header(("upload-offset", offset));
    }
    if status == StatusCode::UNAUTHORIZED {
        builder.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
    }
    if error.code == Code::UnsupportedEncoding {
        // The accepted coding (RFC 9110 §15.5.16).
        builder.insert_header((header::ACCEPT_ENCODING, "identity"));
    }
    if error.code == Code::NotFound {
        builder.append_header((header::LINK, CONTRACT_LINKS));
    }
    let wants_problem = accepts_problem_json(request);
    if !wants_problem
        && let Some(ErrorFace(render)) = request.app_data()
        && let Some(page) = render(request, error, id, &mut builder)
    {
        return Some(builder.content_type(HTML).body(page));
    }
    if wants_problem {
        builder.content_type(PROBLEM_JSON);
    }
    Some(
        builder.json(ErrorBody {
            r#type: error_url(request, error.code),
            title: message,
            status: status.as_u16(),
            code: error.code.name(),
            error: message,
            message,
            instance: id.0.urn(),
            request_id: id.0,
            fields: error
                .fields
                .iter()
                .map(|field| field.body(language))
                .collect(),
            moments: error.moments,
        }),
    )
}

/// Returns the address that explains `code`.
fn error_url(request: &HttpRequest, code: Code) -> String {
    let origin = PublicUrl::of(request).unwrap_or_default();
    format!("{origin}/errors/{}", code.name())
}

fn accepts_problem_json(request: &HttpRequest) -> bool {
    Accept::parse(request).is_ok_and(|accepted| {
        let mut ranges = accepted.iter();
        ranges
            .any(|range| range.item.essence_str() == PROBLEM_JSON && range.quality > Quality::ZERO)
    })
}

/// Returns the code of an error raised by the framework.
fn code_of(status: StatusCode) -> Option<Code> {
    match status {
        StatusCode::BAD_REQUEST => Some(Code::ValidationFailed),
        StatusCode::NOT_FOUND => Some(Code::NotFound),
        StatusCode::METHOD_NOT_ALLOWED => Some(Code::MethodNotAllowed),
        StatusCode::NOT_ACCEPTABLE => Some(Code::NotAcceptable),
        StatusCode::REQUEST_TIMEOUT => Some(Code::BodyTooSlow),
        StatusCode::PRECONDITION_FAILED => Some(Code::PreconditionFailed),
        StatusCode::PAYLOAD_TOO_LARGE => Some(Code::BodyTooLarge),
        StatusCode::RANGE_NOT_SATISFIABLE => Some(Code::RangeNotSatisfiable),
        StatusCode::INTERNAL_SERVER_ERROR => Some(Code::Internal),
        _ => None,
    }
}

/// Rounds up: `Retry-After` has no fractions, and clients must not retry too early.
pub fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// Returns a method's metric label. Unknown methods share one, so clients cannot create new series.
fn label(method: &Method) -> String {
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ];
    if known.contains(method) {
        method.to_string()
    } else {
        "other".to_owned()
    }
}

/// Records the response and its duration in the metrics, by route.
fn count<B>(route: String, response: &ServiceResponse<B>, took: Duration) {
    let labels = [
        ("method", label(response.request().method())),
        ("route", route),
        ("status", response.status().as_u16().to_string()),
    ];
    metrics::counter!(metric::HTTP_REQUESTS, &labels).increment(1);
    metrics::histogram!(metric::HTTP_REQUEST_DURATION, &labels).record(took);
}

fn log<B>(response: &ServiceResponse<B>, took: Duration) {
    let status = response.status().as_u16();
    let took_ms = took.as_secs_f64() * 1000.0;
    if !response.status().is_server_error() {
        tracing::info!(status, took_ms, "request answered");
        return;
    }
    let error = response.response().error();
    let cause = error
        .and_then(|error| error.as_error::<Error>())
        .and_then(|ours| ours.cause.as_ref());
    match (cause, error) {
        (Some(cause), _) => tracing::error!(status, took_ms, "request failed: {cause:#}"),
        (None, Some(error)) => tracing::error!(status, took_ms, "request failed: {error}"),
        // `/ready` of a process that stops, or whose dependency fails; that is logged once already.
        (None, None) => tracing::info!(status, took_ms, "request answered"),
    }
}
