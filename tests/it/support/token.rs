//! Forged tokens.

use std::time::{SystemTime, UNIX_EPOCH};

use anb::ids::UserId;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

/// `{"alg":"none","typ":"JWT"}`
pub const UNSIGNED_HEAD: &str = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";

/// Signs claims of `user` like the API, with any secret and expiry.
pub fn sign(user: UserId, secret: &str, expires: u64) -> String {
    let claims = json!({
        "sub": user.to_string(), "jti": uuid::Uuid::now_v7(), "iat": seconds(), "exp": expires,
    });
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
}

/// Returns the seconds since 1970.
pub fn seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}
