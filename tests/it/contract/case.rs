//! One row of the table: a request, and what the contract promises as its answer.

use anb::{http::Code, language::Language};
use futures_util::StreamExt as _;
use reqwest::{Method, RequestBuilder, multipart};
use serde_json::Value;

use super::world::{Setting, World};
use crate::support::{Answer, Seed};

/// Who sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Nobody,
    /// Somebody with a token that is not good.
    Stranger(BadToken),
    /// The owner of the video.
    Owner,
    /// Another player.
    Fan,
    /// A new player, who has a password.
    Newcomer,
}

/// Why a token is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadToken {
    Garbage,
    /// Signed with a secret that is not ours.
    Foreign,
    /// `alg: none`.
    Unsigned,
    /// With the claims of somebody else.
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

/// Which video a path names.
#[derive(Debug, Clone, Copy)]
pub enum Video {
    /// A new one of the owner.
    Fresh(Seed<'static>),
    /// A new one that the fan has voted for.
    Voted(Seed<'static>),
    Unknown,
    Malformed,
}

/// A field of a form.
#[derive(Debug, Clone)]
pub enum Part {
    Text(&'static str),
    File(Vec<u8>),
}

#[derive(Debug, Clone)]
pub enum Body {
    None,
    /// `{n}` in it becomes a number of its own in each request.
    Json(Value),
    Raw(&'static str, String),
    Form(Vec<(&'static str, Part)>),
    /// A body of this type that begins like this and never ends.
    Endless(&'static str, &'static str),
}

/// What stands in the body of an answer.
#[derive(Debug, Clone)]
pub enum Expected {
    /// The error of this code, about these fields.
    Error(Code, &'static [(&'static str, &'static str)]),
    /// A sentence in Spanish and English, beside these keys.
    Sentence(&'static str, &'static str, &'static [&'static str]),
    /// An object with exactly these keys.
    Object(&'static [&'static str]),
    /// A list that is not empty, of objects with exactly these keys.
    List(&'static [&'static str]),
    /// A list of strings that is not empty.
    Strings,
    /// An empty list.
    Empty,
    /// A file.
    File,
    Nothing,
}

#[derive(Debug, Clone)]
pub struct Case {
    pub method: Method,
    /// As `src/server.rs` writes it.
    pub route: &'static str,
    pub setting: Setting,
    pub who: Who,
    pub video: Video,
    /// What stands for `{key:.*}`; in it `{id}` becomes the video's.
    pub key: &'static str,
    /// What follows the path: a slash, a query.
    pub tail: &'static str,
    pub header: Option<(&'static str, &'static str)>,
    pub body: Body,
    /// Sent a second time by who has the first answer already.
    pub is_repeated: bool,
    pub status: u16,
    pub expected: Expected,
}

impl Case {
    pub fn new(method: Method, route: &'static str, status: u16, expected: Expected) -> Self {
        Self {
            method,
            route,
            setting: Setting::Usual,
            who: Who::Nobody,
            video: Video::Fresh(Seed::PRIVATE),
            key: "",
            tail: "",
            header: None,
            body: Body::None,
            is_repeated: false,
            status,
            expected,
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

    pub fn about(self, video: Video) -> Self {
        Self { video, ..self }
    }

    pub fn key(self, key: &'static str) -> Self {
        Self { key, ..self }
    }

    pub fn tail(self, tail: &'static str) -> Self {
        Self { tail, ..self }
    }

    pub fn header(self, name: &'static str, value: &'static str) -> Self {
        Self {
            header: Some((name, value)),
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

    pub fn sends(self, body: Body) -> Self {
        Self { body, ..self }
    }

    /// Tells whether the endpoint reads JSON.
    pub fn has_json(&self) -> bool {
        matches!(self.body, Body::Json(_))
    }

    /// Tells whether the endpoint reads a body.
    pub fn has_body(&self) -> bool {
        !matches!(self.body, Body::None)
    }

    /// Makes the request and returns what is wrong with its answer.
    pub async fn problems(&self, world: &World, language: Language) -> Option<String> {
        let path = self.path(world).await;
        let token = world.token(self.who).await;
        let body = self.body.clone();
        let request = || {
            let mut request = world.app.request(self.method.clone(), &path);
            request = request.header("accept-language", language.tag());
            if let Some(token) = &token {
                request = request.bearer_auth(token);
            }
            if let Some((name, value)) = self.header {
                request = request.header(name, value);
            }
            request
        };
        let answer = if self.is_repeated {
            let first = Answer::of(request()).await;
            let tag = first.header("etag");
            Answer::of(request().header("if-none-match", tag)).await
        } else {
            Answer::of(attach(request(), body, world)).await
        };
        let wrong = self.compare(&answer, language);
        if wrong.is_empty() {
            return None;
        }
        let Self {
            method, setting, ..
        } = self;
        let wrong = wrong.join(", ");
        Some(format!("{method} {path} {setting:?}: {wrong}: {answer:?}"))
    }

    async fn path(&self, world: &World) -> String {
        let is_about_video = self.route.contains("{video_id}") || self.key.contains("{id}");
        let id = if is_about_video {
            world.video(self.video).await
        } else {
            String::new()
        };
        let key = self.key.replace("{id}", &id);
        let path = self.route.replace("{video_id}", &id);
        format!("{}{}", path.replace("{key:.*}", &key), self.tail)
    }

    fn compare(&self, answer: &Answer, language: Language) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut check = |is_right: bool, what: &str| {
            if !is_right {
                wrong.push(what.to_owned());
            }
        };
        let status = answer.status.as_u16();
        check(status == self.status, &format!("not {}", self.status));
        check(!answer.header("x-request-id").is_empty(), "no request id");
        let body = &answer.body;
        let has = |body: &Value, keys: &[&str]| {
            let found = body.as_object().map(|body| body.keys().collect::<Vec<_>>());
            found.is_some_and(|found| {
                found.len() == keys.len() && keys.iter().all(|key| body.get(key).is_some())
            })
        };
        match &self.expected {
            Expected::Error(code, fields) => {
                let message = code.message(language);
                check(code.status().as_u16() == self.status, "the code's status");
                check(body["code"] == code.name(), code.name());
                check(body["message"] == message, message);
                check(body["error"] == message, "error is not message");
                check(
                    body["request_id"] == answer.header("x-request-id"),
                    "another request id",
                );
                check(answer.fields() == *fields, &format!("not {fields:?}"));
                let keys: &[&str] = &["code", "error", "message", "request_id", "fields"];
                let count = keys.len() - usize::from(fields.is_empty());
                check(has(body, &keys[..count]), "other keys");
                check(
                    answer.header("content-language") == language.tag(),
                    "another language",
                );
                let comes_back = matches!(self.status, 429 | 503);
                check(
                    comes_back != answer.header("retry-after").is_empty(),
                    "retry-after",
                );
                let is_challenged = !answer.header("www-authenticate").is_empty();
                check((self.status == 401) == is_challenged, "www-authenticate");
                let encoding = answer.header("accept-encoding");
                let expected = if self.status == 415 { "identity" } else { "" };
                check(encoding == expected, "accept-encoding");
            }
            Expected::Sentence(spanish, english, others) => {
                let sentence = match language {
                    Language::Spanish => spanish,
                    Language::English => english,
                };
                check(body["message"] == **sentence, sentence);
                check(has(body, &[&["message"], *others].concat()), "other keys");
            }
            Expected::Object(keys) => check(has(body, keys), &format!("not {keys:?}")),
            Expected::List(keys) => {
                let entries = body.as_array().filter(|entries| !entries.is_empty());
                let is_right =
                    entries.is_some_and(|entries| entries.iter().all(|entry| has(entry, keys)));
                check(is_right, &format!("not a list of {keys:?}"));
            }
            Expected::Strings => check(body[0].is_string(), "not a list of strings"),
            Expected::Empty => check(*body == Value::Array(Vec::new()), "not an empty list"),
            // The files of the tests are digits, which happen to be JSON.
            Expected::File => check(
                answer.header("content-type").starts_with("video/"),
                "not a film",
            ),
            Expected::Nothing => check(body.is_null(), "a body"),
        }
        wrong
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
