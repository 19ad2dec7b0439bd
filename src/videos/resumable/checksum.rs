//! The checksum of a request's body.

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

/// An expected checksum, and the one of the bytes so far.
pub struct Checksum {
    context: Context,
    expected: Vec<u8>,
}

impl Checksum {
    /// The algorithms, as `Tus-Checksum-Algorithm` lists them.
    pub const ALGORITHMS: &str = "sha256,sha1";

    /// Begins the checksum of a body, or returns none if the algorithm is not supported.
    pub fn new(algorithm: &str, expected: Vec<u8>) -> Option<Self> {
        let algorithm = match algorithm {
            "sha1" => &SHA1_FOR_LEGACY_USE_ONLY,
            "sha256" => &SHA256,
            _ => return None,
        };
        Some(Self {
            context: Context::new(algorithm),
            expected,
        })
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
    }

    /// Returns whether the bytes are those that the client sent.
    pub fn matches(self) -> bool {
        self.context.finish().as_ref() == self.expected
    }
}
