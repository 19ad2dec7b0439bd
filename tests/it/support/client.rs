//! A client of the API.

use reqwest::{Method, RequestBuilder, StatusCode, Url, multipart};
use serde_json::{Value, json};

use super::TestApp;

pub const PASSWORD: &str = "canasta-2026";

/// A complete response.
#[derive(Debug)]
pub struct Response {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Response {
    /// Sends a request and reads its response. A body that is not JSON becomes null.
    pub async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        Self {
            status,
            headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }

    /// Returns status and error code.
    pub fn refusal(&self) -> (u16, &str) {
        (
            self.status.as_u16(),
            self.body["code"].as_str().unwrap_or_default(),
        )
    }

    /// Returns the values of a header, joined as in RFC 9110 §5.3. Empty if the header is absent.
    pub fn header(&self, name: &str) -> String {
        let values = self.headers.get_all(name).iter();
        let values: Vec<_> = values.map(|value| value.to_str().unwrap()).collect();
        values.join(", ")
    }

    /// Returns field and code of each field error.
    pub fn fields(&self) -> Vec<(&str, &str)> {
        let fields = self.body["fields"].as_array();
        fields
            .into_iter()
            .flatten()
            .map(|field| {
                let text = |name: &str| field[name].as_str().unwrap();
                (text("field"), text("code"))
            })
            .collect()
    }

    /// Returns the body of a successful response. Panics on any other.
    pub fn ok(self) -> Value {
        assert!(self.status.is_success(), "{self:?}");
        self.body
    }
}

/// A logged-in user.
#[derive(Debug, Clone)]
pub struct Player {
    pub email: String,
    pub token: String,
}

impl TestApp {
    /// Builds a request without a token.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// Builds a request of `player`.
    pub fn as_player(&self, player: &Player, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).bearer_auth(&player.token)
    }

    /// Sends a request of `player` without a body.
    pub async fn call(&self, player: &Player, method: Method, path: &str) -> Response {
        Response::of(self.as_player(player, method, path)).await
    }

    /// Sends a GET request without a token.
    pub async fn get(&self, path: &str) -> Response {
        Response::of(self.request(Method::GET, path)).await
    }

    /// Signs up a user and logs in.
    pub async fn sign_up(&self, name: &str, city: &str) -> Player {
        let email = format!("{}@example.com", name.to_lowercase());
        let form = json!({
            "first_name": name, "last_name": "Prueba", "email": email,
            "password1": PASSWORD, "password2": PASSWORD, "city": city, "country": "Colombia",
        });
        Response::of(self.request(Method::POST, "/api/auth/signup").json(&form))
            .await
            .ok();
        self.log_in(&email).await
    }

    pub async fn log_in(&self, email: &str) -> Player {
        let credentials = json!({ "email": email, "password": PASSWORD });
        let answer = Response::of(
            self.request(Method::POST, "/api/auth/login")
                .json(&credentials),
        )
        .await;
        let token = answer.ok()["access_token"].as_str().unwrap().to_owned();
        Player {
            email: email.to_owned(),
            token,
        }
    }

    pub async fn upload(&self, player: &Player, bytes: Vec<u8>, is_public: bool) -> Response {
        let form = multipart::Form::new()
            .part(
                "video_file",
                multipart::Part::bytes(bytes).file_name("jugada.mp4"),
            )
            .text("title", "Mi mejor jugada")
            .text("is_public", is_public.to_string());
        let request = self.as_player(player, Method::POST, "/api/videos/upload");
        Response::of(request.multipart(form)).await
    }

    /// Uploads `bytes`, which must be accepted. Returns the video's id.
    pub async fn uploaded(&self, player: &Player, bytes: Vec<u8>, is_public: bool) -> String {
        let answer = self.upload(player, bytes, is_public).await.ok();
        answer["task_id"].as_str().unwrap().to_owned()
    }

    /// Returns a video as its owner sees it.
    pub async fn video(&self, player: &Player, id: &str) -> Value {
        let path = format!("/api/videos/{id}");
        Response::of(self.as_player(player, Method::GET, &path))
            .await
            .ok()
    }

    /// Fetches a file from an address that the API returned.
    pub async fn fetch(&self, address: &str) -> reqwest::Response {
        let base = Url::parse(&self.url).unwrap();
        let file = self.client.get(base.join(address).unwrap()).send();
        let file = file.await.unwrap();
        assert_eq!(file.status(), 200, "{address}");
        file
    }

    pub async fn vote(&self, player: &Player, id: &str) -> Response {
        let path = format!("/api/public/videos/{id}/vote");
        Response::of(self.as_player(player, Method::POST, &path)).await
    }
}
