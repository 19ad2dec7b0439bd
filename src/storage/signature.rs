//! Signed addresses of local media: HMAC-SHA-256 (RFC 2104) over key and expiry.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};

use super::StorageKey;

/// Addresses made within one such span are equal, so that browsers can cache what they name (s).
pub const BUCKET_SECS: u64 = 3600;

/// Separates this use of the secret from all others.
const CONTEXT: &str = "anb media address v1";

/// Signs and checks addresses.
#[derive(Clone)]
pub struct Signer {
    key: hmac::Key,
    /// Accepted as well, while secrets are rotated.
    other: Option<hmac::Key>,
}

impl Signer {
    /// Derives the signing key from the program's secret, and the one that is accepted as well from the other.
    pub fn new(secret: &SecretString, other: Option<&SecretString>) -> Self {
        Self {
            key: derive(secret),
            other: other.map(derive),
        }
    }

    /// Returns expiry (seconds since 1970) and signature (hexadecimal): good for one to two buckets.
    pub fn sign(&self, key: StorageKey, now: SystemTime) -> (u64, String) {
        let expires = (seconds(now) / BUCKET_SECS + 2) * BUCKET_SECS;
        let tag = hmac::sign(&self.key, message(key, expires).as_bytes());
        (expires, hex::encode(tag))
    }

    /// Tells whether the signature is ours and not expired; in constant time.
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
    fn a_signature_holds_for_its_key_and_time_only() {
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
