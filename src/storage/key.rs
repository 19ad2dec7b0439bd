//! Typed storage keys. Only this module knows the names and media types of stored files.

use std::fmt;

use crate::ids::VideoId;

/// Key of a stored file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StorageKey {
    /// The file that the player uploaded: `uploads/{video}.mp4`.
    Original(VideoId),
    /// The clip of one attempt: `processed/{video}/{attempt}.mp4`.
    Clip(VideoId, i32),
    /// Its poster: `processed/{video}/{attempt}.jpg`.
    Poster(VideoId, i32),
}

impl StorageKey {
    /// Parses exactly the output of [`fmt::Display`], so that no key can escape its folder.
    pub fn parse(text: &str) -> Option<Self> {
        let key = match text.split_once('/')? {
            ("uploads", file) => Self::Original(VideoId::parse(file.strip_suffix(".mp4")?)?),
            ("processed", rest) => {
                let (video, file) = rest.split_once('/')?;
                let video = VideoId::parse(video)?;
                let attempt = attempt_of(file)?;
                match file.split_once('.')?.1 {
                    "mp4" => Self::Clip(video, attempt),
                    "jpg" => Self::Poster(video, attempt),
                    _ => return None,
                }
            }
            _ => return None,
        };
        // Rejects other spellings of the same number, such as `+1` and `01`.
        (key.to_string() == text).then_some(key)
    }

    /// Returns the name within the folder or prefix.
    pub fn name(self) -> String {
        match self {
            Self::Original(video) => format!("{video}.mp4"),
            Self::Clip(video, attempt) => format!("{video}/{attempt}.mp4"),
            Self::Poster(video, attempt) => format!("{video}/{attempt}.jpg"),
        }
    }

    pub fn video(self) -> VideoId {
        match self {
            Self::Original(video) | Self::Clip(video, _) | Self::Poster(video, _) => video,
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Original(_) | Self::Clip(..) => "video/mp4",
            Self::Poster(..) => "image/jpeg",
        }
    }
}

/// Returns the attempt that wrote a file, finished or not, in a video's folder.
pub fn attempt_of(file: &str) -> Option<i32> {
    let (attempt, _) = file.split_once('.')?;
    attempt.parse().ok()
}

impl fmt::Display for StorageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = match self {
            Self::Original(_) => "uploads",
            Self::Clip(..) | Self::Poster(..) => "processed",
        };
        write!(f, "{folder}/{}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_has_exactly_one_spelling() {
        let video = VideoId::generate();
        for key in [
            StorageKey::Original(video),
            StorageKey::Clip(video, 1),
            StorageKey::Poster(video, 12),
        ] {
            assert_eq!(StorageKey::parse(&key.to_string()), Some(key));
        }
        for wrong in [
            format!("uploads/{video}"),
            format!("uploads/../processed/{video}/1.mp4"),
            format!("processed/{video}/01.mp4"),
            format!("processed/{video}/+1.mp4"),
            format!("processed/{video}/1.exe"),
            format!("processed/{video}/1.mp4.part"),
            format!("/uploads/{video}.mp4"),
            "uploads/x.mp4".to_owned(),
            String::new(),
        ] {
            assert_eq!(StorageKey::parse(&wrong), None, "{wrong}");
        }
    }
}
