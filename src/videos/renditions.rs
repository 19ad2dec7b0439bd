//! What a processed video has besides its clip and poster: the light rendition, the thumb, and how
//! large all of it is. Videos that were processed by an earlier version have none of it.

use diesel::{AsChangeset, Queryable, QueryableByName, Selectable};
use serde::Serialize;

use crate::{
    db::schema::videos,
    ids::VideoId,
    media::Clip,
    storage::{MediaUrls, StorageKey},
};

/// The columns of a row, written with the attempt that they belong to.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, AsChangeset, Queryable, QueryableByName, Selectable,
)]
#[diesel(table_name = videos, treat_none_as_null = true)]
pub struct Renditions {
    pub clip_bytes: Option<i64>,
    /// None without a light rendition.
    pub light_bytes: Option<i64>,
    pub has_thumb: bool,
    /// Average colour of poster and thumb, six hexadecimal digits.
    pub colour: Option<String>,
}

impl Renditions {
    /// Describes a new clip.
    pub fn of(clip: &Clip) -> anyhow::Result<Self> {
        let light_bytes = clip.light.as_ref().map(|light| light.bytes.try_into());
        Ok(Self {
            clip_bytes: Some(clip.bytes.try_into()?),
            light_bytes: light_bytes.transpose()?,
            has_thumb: true,
            colour: Some(clip.colour.clone()),
        })
    }

    /// Returns the key of the light rendition, if there is one.
    pub fn light(&self, video: VideoId, attempt: i32) -> Option<StorageKey> {
        self.light_bytes.map(|_| StorageKey::Light(video, attempt))
    }

    /// Returns the key of the thumb, if there is one.
    pub fn thumb(&self, video: VideoId, attempt: i32) -> Option<StorageKey> {
        self.has_thumb.then_some(StorageKey::Thumb(video, attempt))
    }
}

/// Who may read a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Everybody, while the video is public.
    Public,
    /// Its holder, for one to two hours.
    Holder,
}

impl Readers {
    /// Returns a URL of `key` for these readers.
    pub fn url(self, urls: &MediaUrls, key: StorageKey) -> String {
        match self {
            Self::Public => urls.public(key),
            Self::Holder => urls.signed(key),
        }
    }
}

/// Members of a response about a video.
#[derive(Debug, Default, Serialize)]
pub struct RenditionsBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    light_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thumb_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clip_bytes: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    light_bytes: Option<i64>,
}

impl RenditionsBody {
    /// Describes the renditions of a processed video.
    pub fn new(
        renditions: &Renditions,
        (video, attempt): (VideoId, i32),
        urls: &MediaUrls,
        readers: Readers,
    ) -> Self {
        let url = |key| readers.url(urls, key);
        Self {
            light_url: renditions.light(video, attempt).map(url),
            thumb_url: renditions.thumb(video, attempt).map(url),
            clip_bytes: renditions.clip_bytes,
            light_bytes: renditions.light_bytes,
        }
    }
}
