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
    /// The light rendition of the clip: `processed/{video}/{attempt}-l.mp4`.
    Light(VideoId, i32),
    /// The small poster: `processed/{video}/{attempt}-s.jpg`.
    Thumb(VideoId, i32),
}

impl StorageKey {
    /// Parses exactly the output of [`fmt::Display`], so that no key can escape its folder.
    pub fn parse(text: &str) -> Option<Self> {
        let key = match text.split_once('/')? {
            ("uploads", file) => Self::Original(VideoId::parse(file.strip_suffix(".mp4")?)?),
            ("processed", rest) => {
                let (video, file) = rest.split_once('/')?;
                let video = VideoId::parse(video)?;
                let (attempt, kind) = split(file)?;
                match kind {
                    ".mp4" => Self::Clip(video, attempt),
                    ".jpg" => Self::Poster(video, attempt),
                    "-l.mp4" => Self::Light(video, attempt),
                    "-s.jpg" => Self::Thumb(video, attempt),
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
            Self::Light(video, attempt) => format!("{video}/{attempt}-l.mp4"),
            Self::Thumb(video, attempt) => format!("{video}/{attempt}-s.jpg"),
        }
    }

    /// Returns the keys of everything that an attempt may store.
    pub fn outputs(video: VideoId, attempt: i32) -> [Self; 4] {
        [
            Self::Clip(video, attempt),
            Self::Poster(video, attempt),
            Self::Light(video, attempt),
            Self::Thumb(video, attempt),
        ]
    }

    pub fn video(self) -> VideoId {
        match self {
            Self::Original(video)
            | Self::Clip(video, _)
            | Self::Poster(video, _)
            | Self::Light(video, _)
            | Self::Thumb(video, _) => video,
        }
    }

    /// Returns the attempt that stores an output, or none for an original.
    pub fn attempt(self) -> Option<i32> {
        match self {
            Self::Original(_) => None,
            Self::Clip(_, attempt)
            | Self::Poster(_, attempt)
            | Self::Light(_, attempt)
            | Self::Thumb(_, attempt) => Some(attempt),
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Original(_) | Self::Clip(..) | Self::Light(..) => "video/mp4",
            Self::Poster(..) | Self::Thumb(..) => "image/jpeg",
        }
    }
}

/// Returns the attempt that wrote a file, finished or not, in a video's folder.
pub fn attempt_of(file: &str) -> Option<i32> {
    Some(split(file)?.0)
}

/// Splits the name of an output, such as `12-l.mp4`, into its attempt and the rest.
fn split(file: &str) -> Option<(i32, &str)> {
    let (attempt, kind) = file.split_at_checked(file.find(['.', '-'])?)?;
    Some((attempt.parse().ok()?, kind))
}

impl fmt::Display for StorageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = match self.attempt() {
            None => "uploads",
            Some(_) => "processed",
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
            StorageKey::Light(video, 12),
            StorageKey::Thumb(video, 1),
        ] {
            assert_eq!(StorageKey::parse(&key.to_string()), Some(key));
        }
        for wrong in [
            format!("uploads/{video}"),
            format!("uploads/../processed/{video}/1.mp4"),
            format!("processed/{video}/01.mp4"),
            format!("processed/{video}/+1.mp4"),
            format!("processed/{video}/-1.mp4"),
            format!("processed/{video}/01-l.mp4"),
            format!("processed/{video}/1-s.mp4"),
            format!("processed/{video}/1-l.jpg"),
            format!("processed/{video}/1-l-l.mp4"),
            format!("processed/{video}/1-l"),
            format!("processed/{video}/-l.mp4"),
            format!("processed/{video}/1.exe"),
            format!("processed/{video}/1.mp4.part"),
            format!("/uploads/{video}.mp4"),
            "uploads/x.mp4".to_owned(),
            String::new(),
        ] {
            assert_eq!(StorageKey::parse(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_output_names_its_attempt() {
        let video = VideoId::generate();
        for key in StorageKey::outputs(video, 12) {
            assert_eq!((key.video(), key.attempt()), (video, Some(12)));
            let name = key.name();
            let (_, file) = name.split_once('/').unwrap();
            assert_eq!(attempt_of(file), Some(12), "{file}");
            assert_eq!(attempt_of(&format!("{file}.part")), Some(12), "{file}");
        }
        assert_eq!(attempt_of("notes.txt"), None);
    }
}
