//! The identifiers shared between modules. Each has its own type, so that a user's id cannot be
//! passed as a video's. In JSON every id is a string.

use std::fmt;

use diesel_derive_newtype::DieselNewType;
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

/// The id of a user (`users.id`, a bigint identity).
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

/// The id of a contest (`contests.id`, a bigint identity). Its name for clients is its slug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, DieselNewType)]
pub struct ContestId(pub i64);

/// The id of a video, a `UUIDv7` (RFC 9562), so ids sort by upload time.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, DieselNewType, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct VideoId(pub Uuid);

impl VideoId {
    /// Generates an id from the current time and randomness.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// Parses the canonical form of 36 lower-case characters with hyphens. Any other spelling is
    /// rejected, so that each video has exactly one address.
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
    fn only_canonical_video_id_is_parsed() {
        let id = VideoId::generate();
        assert_eq!(VideoId::parse(&id.to_string()), Some(id));
        assert_eq!(VideoId::parse(&id.to_string().to_uppercase()), None);
        assert_eq!(VideoId::parse(&id.0.simple().to_string()), None);
        assert_eq!(VideoId::parse("7"), None);
    }

    #[test]
    fn id_is_a_json_string() {
        assert_eq!(serde_json::to_string(&UserId(7)).unwrap(), "\"7\"");
    }
}
