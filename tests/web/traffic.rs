//! What a browser has logged: requests and responses, messages of the console.

use std::collections::HashMap;

use serde_json::Value;

/// A request of a page and its response.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub url: String,
    pub method: String,
    /// `Document`, `Stylesheet`, `Script`, `Font`, `Image`, `Media`, `Fetch`, `Other` …
    pub kind: String,
    /// None while there is no response.
    pub status: Option<u16>,
    /// Bytes of the response on the wire, with its head.
    pub bytes: u64,
    pub is_cached: bool,
}

/// The requests of a browser, in order.
#[derive(Default)]
pub struct Traffic {
    pub requests: Vec<Request>,
    /// Index of the latest request with an id. A redirect keeps the id.
    latest: HashMap<String, usize>,
}

impl Traffic {
    /// Adds the entries of the performance log.
    pub fn add(&mut self, log: &Value) {
        for entry in log.as_array().unwrap() {
            let entry: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
            let message = &entry["message"];
            self.note(message["method"].as_str().unwrap(), &message["params"]);
        }
    }

    fn note(&mut self, event: &str, details: &Value) {
        let Some(id) = details["requestId"].as_str() else {
            return;
        };
        if event == "Network.requestWillBeSent" {
            self.respond(id, &details["redirectResponse"]);
            self.latest.insert(id.to_owned(), self.requests.len());
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            self.requests.push(Request {
                url: text(&details["request"]["url"]),
                method: text(&details["request"]["method"]),
                kind: text(&details["type"]),
                ..Request::default()
            });
        } else if event == "Network.responseReceived" {
            self.respond(id, &details["response"]);
        } else if let Some(request) = self.of(id) {
            match event {
                "Network.requestServedFromCache" => request.is_cached = true,
                "Network.loadingFinished" => {
                    // In JSON, Chromium writes whole numbers of bytes as floats.
                    let bytes = details["encodedDataLength"].to_string();
                    let whole = bytes.split('.').next().unwrap();
                    request.bytes = whole.parse().unwrap_or_default();
                }
                _ => {}
            }
        }
    }

    fn of(&mut self, id: &str) -> Option<&mut Request> {
        let index = *self.latest.get(id)?;
        self.requests.get_mut(index)
    }

    fn respond(&mut self, id: &str, response: &Value) {
        let status = response["status"].as_u64();
        let is_cached = response["fromDiskCache"] == true;
        if let Some(request) = self.of(id).filter(|_| status.is_some()) {
            request.status = status.and_then(|status| status.try_into().ok());
            request.is_cached |= is_cached;
        }
    }
}

/// A message of the console that no page may cause, or a failed request.
pub enum Message {
    Failed,
    Unwanted(String),
}

/// Returns the warnings and errors of the browser's log: of scripts, of the content security policy,
/// and those of the browser itself.
pub fn messages(log: &Value) -> Vec<Message> {
    let entries = log.as_array().unwrap().iter();
    let entries = entries.filter(|entry| entry["level"] != "DEBUG" && entry["level"] != "INFO");
    entries
        .map(|entry| {
            let text = entry["message"].as_str().unwrap();
            // What the responses tell in more detail.
            if text.contains("Failed to load resource") {
                Message::Failed
            } else {
                Message::Unwanted(format!("console: {text}"))
            }
        })
        .collect()
}
