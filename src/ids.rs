//! The identifiers that travel between modules. Each is its own type, so that a user's id can never
//! be passed where a video's is meant. In JSON every id is a string.

use std::fmt;

use diesel_derive_newtype::DieselNewType;
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

/// Identifies a user: `users.id`, a bigint identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, DieselNewType)]
pub struct UserId(pub i64);

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for UserId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Identifies a video: a `UUIDv7` (RFC 9562), so ids sort by time of upload.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, DieselNewType, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct VideoId(pub Uuid);

impl VideoId {
    /// Makes a new id from the current time and randomness.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// Parses the canonical form: 36 characters, lower case, hyphens. Any other spelling of the same
    /// number is refused, so that one video has one address.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Uuid::try_parse(text).ok()?;
        (id.to_string() == text).then_some(Self(id))
    }
}

impl fmt::Display for VideoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_video_id_has_one_spelling() {
        let id = VideoId::generate();
        assert_eq!(VideoId::parse(&id.to_string()), Some(id));
        assert_eq!(VideoId::parse(&id.to_string().to_uppercase()), None);
        assert_eq!(VideoId::parse(&id.0.simple().to_string()), None);
        assert_eq!(VideoId::parse("7"), None);
    }

    #[test]
    fn ids_are_strings_in_json() {
        assert_eq!(serde_json::to_string(&UserId(7)).unwrap(), "\"7\"");
    }
}
