//! Signed media URLs, with HMAC-SHA-256 (RFC 2104) over key and expiry.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};

use super::StorageKey;

/// Time bucket within which signed URLs are identical, so that browsers can cache them (s).
pub const BUCKET_SECS: u64 = 3600;

/// Domain separation from other uses of the secret.
const CONTEXT: &str = "anb media address v1";

/// Signs and checks URLs.
#[derive(Clone)]
pub struct Signer {
    key: hmac::Key,
    /// Also accepted, during secret rotation.
    other: Option<hmac::Key>,
}

impl Signer {
    /// Derives the signing key from `secret`, and the additionally accepted key from `other`.
    pub fn new(secret: &SecretString, other: Option<&SecretString>) -> Self {
        Self {
            key: derive(secret),
            other: other.map(derive),
        }
    }

    /// Returns expiry (Unix time, s) and signature (hexadecimal), valid for one to two buckets.
    pub fn sign(&self, key: StorageKey, now: SystemTime) -> (u64, String) {
        let expires = (seconds(now) / BUCKET_SECS + 2) * BUCKET_SECS;
        let tag = hmac::sign(&self.key, message(key, expires).as_bytes());
        (expires, hex::encode(tag))
    }

    /// Returns whether the signature is valid and not expired. Compares in constant time.
    pub fn verify(&self, key: StorageKey, expires: u64, signature: &str, now: SystemTime) -> bool {
        let Ok(tag) = hex::decode(signature) else {
            return false;
        };
        let message = message(key, expires);
        let is_ours = [Some(&self.key), self.other.as_ref()]
            .into_iter()
            .flatten()
            .any(|key| hmac::verify(key, message.as_bytes(), &tag).is_ok());
        is_ours && seconds(now) < expires
    }
}

fn derive(secret: &SecretString) -> hmac::Key {
    let parent = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    let derived = hmac::sign(&parent, CONTEXT.as_bytes());
    hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())
}

fn message(key: StorageKey, expires: u64) -> String {
    format!("{key}\n{expires}")
}

/// Returns the seconds since 1970.
pub fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::VideoId;

    #[test]
    fn signature_is_valid_only_for_its_key_and_time() {
        let signer = Signer::new(&"secret".into(), None);
        let key = StorageKey::Original(VideoId::generate());
        let now = UNIX_EPOCH + Duration::from_secs(10_000 * BUCKET_SECS + 5);
        let (expires, signature) = signer.sign(key, now);
        assert!(signer.verify(key, expires, &signature, now));
        assert_eq!(
            signer.sign(key, now + Duration::from_mins(1)),
            (expires, signature.clone())
        );

        let later = now + Duration::from_secs(2 * BUCKET_SECS);
        assert!(!signer.verify(key, expires, &signature, later), "expired");
        assert!(
            !signer.verify(key, expires + 1, &signature, now),
            "other expiry"
        );
        let other = StorageKey::Original(VideoId::generate());
        assert!(!signer.verify(other, expires, &signature, now), "other key");
        assert!(
            !Signer::new(&"other".into(), None).verify(key, expires, &signature, now),
            "other secret"
        );
        let rotated = Signer::new(&"other".into(), Some(&"secret".into()));
        assert!(rotated.verify(key, expires, &signature, now), "rotated");
        assert!(!signer.verify(key, expires, "xyz", now), "not hexadecimal");
    }
}
