//! A browser without JavaScript: keeps cookies, sends forms, follows no redirect.

use std::collections::BTreeMap;

use anb::auth::Tokens;
use reqwest::{
    Client, Method, RequestBuilder, StatusCode,
    header::{self, HeaderMap},
    redirect::Policy,
};

use crate::support::{Player, TestApp, proxy::Proxy};

pub struct Visitor {
    site: String,
    client: Client,
    cookies: BTreeMap<String, String>,
}

/// Stores the cookies of a response, and forgets those that it clears.
pub fn keep_cookies(cookies: &mut BTreeMap<String, String>, headers: &HeaderMap) {
    for value in headers.get_all(header::SET_COOKIE) {
        let cookie = value.to_str().unwrap().split(';').next().unwrap();
        let (name, value) = cookie.split_once('=').unwrap();
        if value.is_empty() {
            cookies.remove(name);
        } else {
            cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}

/// A page or a redirect.
#[derive(Debug)]
pub struct Page {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub html: String,
}

impl Page {
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// Returns where a redirect leads. Panics on any other response.
    pub fn location(&self) -> &str {
        assert_eq!(self.status, 303, "{self:?}");
        self.header("location")
    }

    /// Returns the page. Panics unless it is successful.
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{self:?}");
        self
    }

    pub fn has(&self, text: &str) -> bool {
        self.html.contains(text)
    }

    /// Returns the addresses of all links to pages of this site.
    pub fn links(&self) -> Vec<String> {
        let links = self.html.split("href=\"").skip(1);
        links
            .filter_map(|rest| rest.split('"').next())
            .filter(|link| link.starts_with('/') && !link.starts_with("/estatico/"))
            .map(|link| link.replace("&amp;", "&").replace("&#38;", "&"))
            .collect()
    }
}

impl Visitor {
    pub fn of(app: &TestApp) -> Self {
        Self {
            site: app.url.clone(),
            client: Client::builder().redirect(Policy::none()).build().unwrap(),
            cookies: BTreeMap::new(),
        }
    }

    /// Visits by way of a proxy.
    pub fn through(self, proxy: &Proxy) -> Self {
        let site = proxy.url();
        Self { site, ..self }
    }

    /// Returns a visitor with a session of `player`.
    pub async fn logged_in(app: &TestApp, player: &Player) -> Self {
        let tokens = Tokens::new(&app.serve.auth, app.db.clone(), &app.shutdown);
        let user = app.user_id(player).await;
        let lifetime = std::time::Duration::from_hours(48);
        let token = tokens.issue_for_page(user, lifetime).unwrap();
        let mut visitor = Self::of(app);
        visitor.cookies.insert("anb".to_owned(), token);
        visitor
    }

    pub fn set_cookie(&mut self, name: &str, value: &str) {
        self.cookies.insert(name.to_owned(), value.to_owned());
    }

    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self
            .client
            .request(method, format!("{}{path}", self.site))
            .header(header::ACCEPT, "text/html,application/xhtml+xml")
            .header(header::ACCEPT_LANGUAGE, "es-CO");
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if cookies.is_empty() {
            request
        } else {
            request.header(header::COOKIE, cookies.join("; "))
        }
    }

    pub async fn get(&mut self, path: &str) -> Page {
        let request = self.request(Method::GET, path);
        self.send(request).await
    }

    /// Sends a form from a page of the site.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let request = self
            .request(Method::POST, path)
            .header(header::ORIGIN, &self.site)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        self.send(request).await
    }

    pub async fn send(&mut self, request: RequestBuilder) -> Page {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        keep_cookies(&mut self.cookies, &headers);
        Page {
            status,
            headers,
            html: response.text().await.unwrap(),
        }
    }
}
