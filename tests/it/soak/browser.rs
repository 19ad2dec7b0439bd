//! A browser, or an app with a token: keeps cookies and entity tags, follows no redirect, and
//! records each request.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use rand::{RngExt as _, rngs::StdRng};
use reqwest::{
    Client, Method, RequestBuilder,
    header::{self, HeaderMap},
    redirect::Policy,
};
use serde_json::{Value, json};

use super::world::World;
use crate::{pages::visitor::keep_cookies, support::PASSWORD};

/// Maximum time of a request. The program's own limits are shorter.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Number of pages whose tags a browser keeps.
const MAX_TAGS: usize = 200;

pub struct Browser<'a> {
    pub world: &'a World,
    http: Client,
    cookies: BTreeMap<String, String>,
    token: Option<String>,
    tags: HashMap<String, String>,
}

/// An expected response.
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    /// Returns a header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// Returns the body, or null if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Returns a client that repeats nothing by itself.
pub fn client() -> Client {
    let client = Client::builder()
        .redirect(Policy::none())
        .retry(reqwest::retry::never());
    client.build().unwrap()
}

impl<'a> Browser<'a> {
    pub fn new(world: &'a World) -> Self {
        Self {
            world,
            http: client(),
            cookies: BTreeMap::new(),
            token: None,
            tags: HashMap::new(),
        }
    }

    /// Forgets the session, but keeps the connections, as another person on the same network.
    pub fn forget(&mut self) {
        self.cookies.clear();
        self.token = None;
        self.tags.clear();
    }

    /// Returns the cookies as a header.
    pub fn cookies(&self) -> String {
        let cookies = self.cookies.iter();
        let cookies: Vec<_> = cookies
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        cookies.join("; ")
    }

    /// Builds a request of the page, or of the app if there is a token.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self
            .http
            .request(method, format!("{}{path}", self.world.site));
        if let Some(token) = &self.token {
            return request.bearer_auth(token);
        }
        let request = request
            .header(header::ACCEPT_LANGUAGE, "es-CO")
            .header("sec-fetch-site", "same-origin");
        if self.cookies.is_empty() {
            request
        } else {
            request.header(header::COOKIE, self.cookies())
        }
    }

    /// Sends a request. Returns the response if its status is among the expected ones.
    pub async fn send(
        &mut self,
        kind: &'static str,
        request: RequestBuilder,
        expected: &[u16],
    ) -> Option<Reply> {
        let request = request.timeout(TIMEOUT).build().unwrap();
        let what = format!("{} {}", request.method(), request.url().path());
        let asked = Instant::now();
        let answer = async {
            let answer = self.http.execute(request).await?;
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            let body = answer.bytes().await?.to_vec();
            Ok(Reply {
                status,
                headers,
                body,
            })
        };
        let answer: reqwest::Result<Reply> = answer.await;
        let records = &self.world.records;
        records.answered(kind, asked.elapsed());
        let reply = match answer {
            Ok(reply) if expected.contains(&reply.status) => reply,
            Ok(reply) => {
                let failure = format!("{what}: {} {}", reply.status, reply.text());
                records.failed(kind, &failure);
                return None;
            }
            Err(error) => {
                records.failed(kind, &format!("{what}: {error:?}"));
                return None;
            }
        };
        keep_cookies(&mut self.cookies, &reply.headers);
        Some(reply)
    }

    /// Reads a page or a list, which may not have changed since this browser read it.
    pub async fn get(&mut self, kind: &'static str, path: &str) -> Option<Reply> {
        let mut request = self.request(Method::GET, path);
        if let Some(tag) = self.tags.get(path) {
            request = request.header(header::IF_NONE_MATCH, tag);
        }
        let reply = self.send(kind, request, &[200, 304]).await?;
        let tag = reply.header("etag").to_owned();
        if !tag.is_empty() && self.tags.len() < MAX_TAGS {
            self.tags.insert(path.to_owned(), tag);
        }
        Some(reply)
    }

    /// Sends a form of a page. Returns where the response leads.
    pub async fn form(
        &mut self,
        kind: &'static str,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Option<String> {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let request = self
            .request(Method::POST, path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        let reply = self.send(kind, request, &[303]).await?;
        Some(reply.header("location").to_owned())
    }

    /// Logs in by page or, at random, for a token. Returns whether that succeeded.
    pub async fn log_in(&mut self, email: &str, is_app: bool) -> bool {
        self.forget();
        if is_app {
            let request = self
                .request(Method::POST, "/api/auth/login")
                .json(&json!({ "email": email, "password": PASSWORD }));
            let Some(reply) = self.send("log in", request, &[200]).await else {
                return false;
            };
            let token = reply.json()["access_token"].as_str().map(str::to_owned);
            self.token = token;
            return self.token.is_some();
        }
        let fields = [("email", email), ("password", PASSWORD)];
        self.form("log in", "/entrar", &fields).await.is_some()
    }

    /// Signs up a new person by page, which logs in, or by the API.
    pub async fn sign_up(&mut self, email: &str, city: &str, is_app: bool) -> bool {
        self.forget();
        let mut fields = vec![
            ("first_name", "Mía"),
            ("last_name", "Ñáñez"),
            ("email", email),
            ("city", city),
            ("country", "Colombia"),
        ];
        if is_app {
            fields.extend([("password1", PASSWORD), ("password2", PASSWORD)]);
            let form: BTreeMap<_, _> = fields.into_iter().collect();
            let request = self.request(Method::POST, "/api/auth/signup").json(&form);
            return self.send("sign up", request, &[201]).await.is_some()
                && self.log_in(email, true).await;
        }
        fields.push(("password", PASSWORD));
        self.form("sign up", "/registro", &fields).await.is_some()
    }

    /// Logs out.
    pub async fn log_out(&mut self) {
        if self.token.is_some() {
            let request = self.request(Method::POST, "/api/auth/logout");
            self.send("log out", request, &[200]).await;
        } else {
            self.form("log out", "/salir", &[]).await;
        }
        self.forget();
    }

    pub fn is_app(&self) -> bool {
        self.token.is_some()
    }
}

/// Returns one of the values at random.
pub fn pick<'v, T>(rng: &mut StdRng, values: &'v [T]) -> &'v T {
    &values[rng.random_range(0..values.len())]
}
