//! One row of the contract table: a request and the promised response.

use std::{slice, time::Duration};

use anb::{http::Code, language::Language};
use futures_util::StreamExt as _;
use reqwest::{Method, RequestBuilder, multipart};
use serde_json::Value;
use tokio::time::sleep;

use super::{
    document::DOCUMENT,
    resumable::{LENGTH, METADATA},
    sources::with_parameters,
    world::{Caller, Setting, World},
};
use crate::support::{Response, Seed};

/// The client that sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Nobody,
    /// A client with an invalid token.
    InvalidToken(BadToken),
    Owner,
    /// Another player.
    Fan,
    /// A new player with a known password.
    Newcomer,
    /// A new player, to whom the upload of the row belongs, if it is about one.
    Uploader,
    /// A new player with the maximum number of open uploads that can be resumed.
    BusyUploader,
    /// A new player who has sent the maximum number of reports.
    BusyReporter,
    Organiser,
}

/// Why a token is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadToken {
    Garbage,
    /// Signed with another secret.
    Foreign,
    /// `alg: none`.
    Unsigned,
    /// With the claims of another user.
    Tampered,
    Expired,
    LoggedOut,
}

impl BadToken {
    pub const ALL: [Self; 6] = [
        Self::Garbage,
        Self::Foreign,
        Self::Unsigned,
        Self::Tampered,
        Self::Expired,
        Self::LoggedOut,
    ];
}

/// How a client sends its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// In `Authorization`.
    Client,
    /// In the session cookie of a page.
    Browser,
}

/// The video, or else the contest, that a path names.
#[derive(Debug, Clone, Copy)]
pub enum Video {
    /// A new contest, which is not the current one.
    Contest(Stage),
    /// A new video of the owner.
    Fresh(Seed<'static>),
    /// A new video that the fan has voted for.
    Voted(Seed<'static>),
    /// A new video that the fan has reported.
    Reported(Seed<'static>),
    /// A new hidden video, whose owner has answered.
    Answered,
    Unknown,
    Malformed,
    /// A new upload that can be resumed, of [`Who::Uploader`] or else of a player who sends nothing.
    Upload(Upload),
}

/// How far a contest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Planned,
    Voting,
    /// Voting is open, and the contest has a vote.
    Voted,
    Closed,
    Frozen,
    Published,
}

/// The state of an upload that can be resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upload {
    /// Without a byte, and with this length.
    Open(u32),
    Expired,
    /// Its bytes are missing in the storage.
    Lost,
}

/// The header that a second request changes.
#[derive(Debug, Clone, Copy)]
pub enum Again {
    /// `If-None-Match` has the entity tag of the first response.
    IfNoneMatch,
    With(&'static str, &'static str),
}

#[derive(Debug, Clone)]
pub enum Part {
    Text(&'static str),
    File(Vec<u8>),
}

#[derive(Debug, Clone)]
pub enum Body {
    None,
    /// `{n}` in it is replaced by a number that is unique per request.
    Json(Value),
    Raw(&'static str, String),
    Form(Vec<(&'static str, Part)>),
    /// The content type and the start of a body that never ends.
    Endless(&'static str, &'static str),
}

/// The expected body of a response. The document describes its members.
#[derive(Debug, Clone)]
pub enum Expected {
    /// The error with this code and these field errors.
    Error(Code, &'static [(&'static str, &'static str)]),
    /// A message in Spanish and English, possibly among other members.
    Sentence(&'static str, &'static str),
    /// An object.
    Object,
    /// A non-empty list.
    List,
    /// An empty list.
    Empty,
    /// A file of this content type.
    File(&'static str),
    Nothing,
}

#[derive(Debug, Clone)]
pub struct Case {
    pub method: Method,
    /// The path pattern as in `src/server.rs`.
    pub route: &'static str,
    pub setting: Setting,
    pub who: Who,
    pub sender: Sender,
    pub video: Video,
    /// Replaces the parameter of the route; `{id}` in it is replaced by the video's id.
    pub key: &'static str,
    /// Appended to the path: a slash or a query.
    pub tail: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Body,
    /// How the request is repeated. The second response counts.
    pub again: Option<Again>,
    /// Whether other requests ask where the upload is until this one, which sends it, ends.
    pub is_overtaken: bool,
    pub status: u16,
    pub expected: Expected,
    /// Why the request is refused although it is valid by the schemas of the document.
    pub beyond_schema: Option<&'static str>,
}

impl Case {
    pub fn new(method: Method, route: &'static str, status: u16, expected: Expected) -> Self {
        Self {
            method,
            route,
            setting: Setting::Usual,
            who: Who::Nobody,
            sender: Sender::Client,
            video: Video::Fresh(Seed::PRIVATE),
            key: "",
            tail: "",
            headers: Vec::new(),
            body: Body::None,
            again: None,
            is_overtaken: false,
            status,
            expected,
            beyond_schema: None,
        }
    }

    pub fn answers(self, status: u16, expected: Expected) -> Self {
        Self {
            status,
            expected,
            ..self
        }
    }

    pub fn refuses(self, status: u16, code: Code) -> Self {
        self.answers(status, Expected::Error(code, &[]))
    }

    pub fn refuses_fields(
        self,
        status: u16,
        code: Code,
        fields: &'static [(&'static str, &'static str)],
    ) -> Self {
        self.answers(status, Expected::Error(code, fields))
    }

    pub fn within(self, setting: Setting) -> Self {
        Self { setting, ..self }
    }

    pub fn by(self, who: Who) -> Self {
        Self { who, ..self }
    }

    /// Sends the token as the session cookie, with the `Sec-Fetch-Site` of a browser.
    pub fn by_browser(self, site: &str) -> Self {
        Self {
            sender: Sender::Browser,
            ..self.header("sec-fetch-site", site)
        }
    }

    pub fn about(self, video: Video) -> Self {
        Self { video, ..self }
    }

    pub fn key(self, key: &'static str) -> Self {
        Self { key, ..self }
    }

    pub fn tail(self, tail: &'static str) -> Self {
        Self { tail, ..self }
    }

    /// Adds a header, or replaces its value.
    pub fn header(self, name: &'static str, value: impl Into<String>) -> Self {
        let mut case = self.without(name);
        case.headers.push((name, value.into()));
        case
    }

    pub fn without(mut self, name: &'static str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self
    }

    pub fn again(self, again: Again) -> Self {
        Self {
            again: Some(again),
            ..self
        }
    }

    pub fn overtaken(self) -> Self {
        Self {
            is_overtaken: true,
            ..self
        }
    }

    pub fn json(self, body: Value) -> Self {
        Self {
            body: Body::Json(body),
            ..self
        }
    }

    pub fn form(self, parts: Vec<(&'static str, Part)>) -> Self {
        Self {
            body: Body::Form(parts),
            ..self
        }
    }

    pub fn beyond_schema(self, reason: &'static str) -> Self {
        Self {
            beyond_schema: Some(reason),
            ..self
        }
    }

    pub fn sends(self, body: Body) -> Self {
        Self { body, ..self }
    }

    /// Returns whether the endpoint reads JSON.
    pub fn has_json(&self) -> bool {
        matches!(self.body, Body::Json(_))
    }

    /// Returns whether the endpoint reads a body.
    pub fn has_body(&self) -> bool {
        !matches!(self.body, Body::None)
    }

    /// Sends the request. Returns its response and what is wrong with it.
    pub async fn run(&self, world: &World, language: Language) -> (Response, Option<String>) {
        let caller = world.caller(self.who).await;
        let path = self.path(world, &caller).await;
        let request = |method: &Method, changed: Option<(&str, &str)>| {
            let mut request = world.app.request(method.clone(), &path);
            request = request.header("accept-language", language.tag());
            match (&caller.token, self.sender) {
                (None, _) => {}
                (Some(token), Sender::Client) => request = request.bearer_auth(token),
                (Some(_), Sender::Browser) => {
                    let token = world.page_token(&caller);
                    request = request.header("cookie", format!("anb={token}"));
                }
            }
            let is_changed = |name: &str| changed.is_some_and(|(other, _)| other == name);
            for (name, value) in &self.headers {
                if !is_changed(name) {
                    request = request.header(*name, value);
                }
            }
            if let Some((name, value)) = changed {
                request = request.header(name, value);
            }
            request
        };
        let first = attach(request(&self.method, None), self.body.clone(), world);
        let answer = if self.is_overtaken {
            let others = async || Response::of(request(&Method::HEAD, None)).await;
            overtake(first, others).await
        } else {
            let first = Response::of(first).await;
            match self.again {
                None => first,
                Some(Again::IfNoneMatch) => {
                    let tag = first.header("etag");
                    Response::of(request(&self.method, Some(("if-none-match", &tag)))).await
                }
                Some(Again::With(name, value)) => {
                    Response::of(request(&self.method, Some((name, value)))).await
                }
            }
        };
        let mut wrong = self.compare(&answer, language);
        wrong.extend(DOCUMENT.problems(&self.method, self.route, &answer));
        if wrong.is_empty() {
            return (answer, None);
        }
        let Self {
            method, setting, ..
        } = self;
        let wrong = wrong.join(", ");
        let problem = format!("{method} {path} {setting:?}: {wrong}: {answer:?}");
        (answer, Some(problem))
    }

    async fn path(&self, world: &World, caller: &Caller) -> String {
        let is_about_video = self.route.contains("{video_id}") || self.key.contains("{id}");
        let id = match self.video {
            Video::Upload(upload) => world.upload(upload, self.who, caller).await,
            Video::Contest(stage) => world.contest(stage).await,
            _ if self.route.contains("{slug}") => "copa-desconocida".to_owned(),
            video if is_about_video => world.video(video).await,
            _ => String::new(),
        };
        let key = self.key.replace("{id}", &id);
        let path = with_parameters(self.route, |name| match name {
            "video_id" | "slug" => id.clone(),
            _ => key.clone(),
        });
        format!("{path}{}", self.tail)
    }

    fn compare(&self, answer: &Response, language: Language) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut check = |is_right: bool, what: &str| {
            if !is_right {
                wrong.push(what.to_owned());
            }
        };
        let status = answer.status.as_u16();
        check(status == self.status, &format!("not {}", self.status));
        check(!answer.header("x-request-id").is_empty(), "no request id");
        self.compare_upload(answer, &mut check);
        let body = &answer.body;
        let entries = body.as_array().map_or(slice::from_ref(body), Vec::as_slice);
        for entry in entries {
            if let Some(expected) = optional_members(entry["status"].as_str()) {
                let mut found = OPTIONAL.to_vec();
                found.retain(|name| entry.get(name).is_some());
                check(found == expected, &format!("not {expected:?}"));
            }
        }
        match &self.expected {
            Expected::Error(code, fields) => {
                let message = code.message(language);
                check(code.status().as_u16() == self.status, "wrong code status");
                if self.method == Method::HEAD {
                    check(body.is_null(), "a body");
                } else {
                    check(body["code"] == code.name(), code.name());
                    check(body["message"] == message, message);
                    check(body["error"] == message, "error differs from message");
                    check(
                        body["request_id"] == answer.header("x-request-id"),
                        "wrong request id",
                    );
                    check(answer.fields() == *fields, &format!("not {fields:?}"));
                }
                check(
                    answer.header("content-language") == language.tag(),
                    "wrong language",
                );
                let is_retryable = matches!(self.status, 423 | 429 | 503);
                check(
                    is_retryable != answer.header("retry-after").is_empty(),
                    "retry-after",
                );
                let is_challenged = !answer.header("www-authenticate").is_empty();
                check((self.status == 401) == is_challenged, "www-authenticate");
                let encoding = answer.header("accept-encoding");
                let is_compressed = *code == Code::UnsupportedEncoding;
                let expected = if is_compressed { "identity" } else { "" };
                check(encoding == expected, "accept-encoding");
            }
            Expected::Sentence(spanish, english) => {
                let sentence = language.select(spanish, english);
                check(body["message"] == **sentence, sentence);
            }
            Expected::Object => check(body.is_object(), "not an object"),
            Expected::List => {
                let entries = body.as_array().is_some_and(|entries| !entries.is_empty());
                check(entries, "not a list with entries");
            }
            Expected::Empty => check(*body == Value::Array(Vec::new()), "not an empty list"),
            // The test files consist of digits, which also parse as JSON.
            Expected::File(content_type) => check(
                answer.header("content-type").starts_with(content_type),
                content_type,
            ),
            Expected::Nothing => check(body.is_null(), "a body"),
        }
        wrong
    }

    /// Compares the headers of uploads that can be resumed. Some are absent once the video exists,
    /// which the document cannot express.
    fn compare_upload(&self, answer: &Response, check: &mut impl FnMut(bool, &str)) {
        if !self.route.starts_with("/api/uploads") {
            return;
        }
        check(answer.header("tus-resumable") == "1.0.0", "tus-resumable");
        let offset = answer.header("upload-offset");
        if offset.is_empty() || !answer.status.is_success() {
            return;
        }
        let is_upload = self.method == Method::POST || matches!(self.video, Video::Upload(_));
        let is_open = is_upload && offset != LENGTH.to_string();
        let expires = answer.header("upload-expires");
        check(is_open != expires.is_empty(), "upload-expires");
        if self.method == Method::HEAD {
            let expected = if is_open { METADATA } else { "" };
            let metadata = answer.header("upload-metadata");
            check(metadata == expected, "upload-metadata");
            let is_complete = offset == answer.header("upload-length");
            check(is_complete != is_open, "upload-length");
        }
    }
}

/// Sends a request, and others until the first one has a response.
async fn overtake(first: RequestBuilder, others: impl AsyncFn() -> Response) -> Response {
    let repeat = async {
        loop {
            sleep(Duration::from_millis(50)).await;
            others().await;
        }
    };
    tokio::select! {
        answer = Response::of(first) => answer,
        () = repeat => unreachable!(),
    }
}

/// Members that depend on the `status` of a video or of a probe, which the document cannot express
/// without conditions.
const OPTIONAL: [&str; 11] = [
    "processed_at",
    "processed_url",
    "poster_url",
    "light_url",
    "thumb_url",
    "clip_bytes",
    "light_bytes",
    "progress",
    "failure_code",
    "failure_reason",
    "failing",
];

/// Returns those that an object with this status has; none for an object without such a status.
fn optional_members(status: Option<&str>) -> Option<&'static [&'static str]> {
    match status? {
        "uploaded" | "ready" | "healthy" | "stopping" => Some(&[]),
        "processed" => Some(&OPTIONAL[..7]),
        "processing" => Some(&OPTIONAL[7..8]),
        "failed" => Some(&OPTIONAL[8..10]),
        "unavailable" => Some(&OPTIONAL[10..]),
        _ => None,
    }
}

fn attach(request: RequestBuilder, body: Body, world: &World) -> RequestBuilder {
    match body {
        Body::None => request,
        Body::Json(value) => {
            let text = value.to_string().replace("{n}", &world.next().to_string());
            request
                .header("content-type", "application/json")
                .body(text)
        }
        Body::Raw(content_type, text) => request.header("content-type", content_type).body(text),
        Body::Form(parts) => request.multipart(parts.into_iter().fold(
            multipart::Form::new(),
            |form, (name, part)| match part {
                Part::Text(text) => form.text(name, text),
                Part::File(bytes) => {
                    form.part(name, multipart::Part::bytes(bytes).file_name("jugada.mp4"))
                }
            },
        )),
        Body::Endless(content_type, head) => {
            let start = futures_util::stream::iter([Ok::<_, std::io::Error>(head)]);
            let body = start.chain(futures_util::stream::pending());
            let request = request.header("content-type", content_type);
            request.body(reqwest::Body::wrap_stream(body))
        }
    }
}
