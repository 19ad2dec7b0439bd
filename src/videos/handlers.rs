//! Endpoints of videos.

pub mod answer;
mod media;
pub mod moderation;
pub mod resumable;
mod rules;
mod upload;

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    Change, ChangeOutcome, DeleteOutcome, Denial, Failure, Readers, RenditionsBody, Video,
    VideoStatus, check_title, seconds_until,
};
use crate::{
    app::App,
    http::{
        Code, Error, Result,
        extract::{Authenticated, Json, VideoPath, non_null},
        page::Page,
        rate::Limits,
        respond::Message,
    },
    ids::{UserId, VideoId},
    language::Language,
    storage::{MediaUrls, StorageKey},
};
pub use media::{media, serve};
pub use rules::rules;
pub use upload::{receive, upload};

/// A video as its owner sees it.
#[derive(Serialize)]
struct VideoBody {
    video_id: VideoId,
    title: String,
    status: VideoStatus,
    uploaded_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processed_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processed_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    poster_url: Option<String>,
    #[serde(flatten)]
    renditions: RenditionsBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    original_url: Option<String>,
    is_public: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    hidden_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
    votes: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<ProgressBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<String>,
}

/// Progress of a video that is being processed.
#[derive(Serialize)]
struct ProgressBody {
    percent: i16,
    /// None until the worker has an estimate.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_left: Option<u64>,
}

impl ProgressBody {
    fn new(video: &Video) -> Option<Self> {
        (video.status == VideoStatus::Processing).then(|| Self {
            percent: video.progress,
            seconds_left: video.ready_at.map(seconds_until),
        })
    }
}

impl VideoBody {
    fn new(video: &Video, addresses: &MediaUrls, language: Language) -> Self {
        let readers = if video.is_public {
            Readers::Public
        } else {
            Readers::Holder
        };
        let (mut processed_url, mut poster_url) = (None, None);
        let mut renditions = RenditionsBody::default();
        if let Some((clip, poster)) = video.outputs() {
            processed_url = Some(readers.url(addresses, clip));
            poster_url = Some(readers.url(addresses, poster));
            let attempt = (video.id, video.attempt);
            renditions = RenditionsBody::new(&video.renditions, attempt, addresses, readers);
        }
        let failure = video.failure();
        Self {
            video_id: video.id,
            title: video.title.clone(),
            status: video.status,
            uploaded_at: video.uploaded_at,
            processed_at: video.processed_at,
            processed_url,
            poster_url,
            renditions,
            original_url: None,
            is_public: video.is_public,
            hidden_reason: video.hidden_reason.clone(),
            answer: video.answer.clone(),
            votes: video.votes,
            progress: ProgressBody::new(video),
            failure_code: failure.as_ref().map(Failure::code),
            failure_reason: failure.map(|failure| failure.message(language)),
        }
    }

    fn with_original(video: &Video, addresses: &MediaUrls, language: Language) -> Self {
        Self {
            original_url: Some(addresses.signed(StorageKey::Original(video.id))),
            ..Self::new(video, addresses, language)
        }
    }
}

impl From<Denial> for Error {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Forbidden => Code::Forbidden.into(),
            Denial::NotFound => Code::NotFound.into(),
        }
    }
}

/// `GET /api/videos`
pub async fn list_own(
    app: web::Data<App>,
    caller: Authenticated,
    language: Language,
    request: HttpRequest,
    page: Page,
) -> Result<HttpResponse> {
    let (limit, offset) = (page.fetch_limit(), page.offset());
    let videos = super::list_own(&app.backends.db, caller.user(), limit, offset).await?;
    let (videos, has_next) = page.trim(&videos);
    let bodies: Vec<_> = videos
        .iter()
        .map(|video| VideoBody::new(video, &app.media_urls, language))
        .collect();
    Ok(page.private(&bodies, has_next, &request))
}

/// `GET /api/videos/{video_id}`
pub async fn detail(
    app: web::Data<App>,
    caller: Authenticated,
    language: Language,
    VideoPath(video): VideoPath,
) -> Result<HttpResponse> {
    let video = super::find_own(&app.backends.db, caller.user(), video).await??;
    let body = VideoBody::with_original(&video, &app.media_urls, language);
    Ok(HttpResponse::Ok().json(body))
}

/// The members to change; those that are absent stay unchanged.
#[derive(Deserialize)]
pub struct ChangeRequest {
    #[serde(default, deserialize_with = "non_null")]
    title: Option<String>,
    #[serde(default, deserialize_with = "non_null")]
    is_public: Option<bool>,
}

/// `PATCH /api/videos/{video_id}`
pub async fn change(
    app: web::Data<App>,
    limits: web::Data<Limits>,
    caller: Authenticated,
    language: Language,
    VideoPath(video): VideoPath,
    Json(change): Json<ChangeRequest>,
) -> Result<HttpResponse> {
    let ChangeRequest { title, is_public } = change;
    if title.is_none() && is_public.is_none() {
        return Err(Code::NothingToChange.into());
    }
    let title = title.as_deref().map(check_title).transpose()?;
    let change = Change { title, is_public };
    apply(&app, &limits, caller, language, video, &change).await
}

/// `POST` or `PUT /api/videos/{video_id}/publish`
pub async fn publish(
    app: web::Data<App>,
    limits: web::Data<Limits>,
    caller: Authenticated,
    language: Language,
    VideoPath(video): VideoPath,
) -> Result<HttpResponse> {
    let change = Change {
        title: None,
        is_public: Some(true),
    };
    apply(&app, &limits, caller, language, video, &change).await
}

async fn apply(
    app: &App,
    limits: &Limits,
    caller: Authenticated,
    language: Language,
    video: VideoId,
    change: &Change,
) -> Result<HttpResponse> {
    let changed = change_within_limit(app, limits, caller.user(), video, change).await?;
    let body = VideoBody::with_original(&changed, &app.media_urls, language);
    Ok(HttpResponse::Ok().json(body))
}

/// Changes a user's video, unless the user has reached the rate limit.
pub async fn change_within_limit(
    app: &App,
    limits: &Limits,
    user: UserId,
    video: VideoId,
    change: &Change,
) -> Result<Video> {
    limits.write.take(&user)?;
    match super::change(&app.backends, user, video, change).await? {
        ChangeOutcome::Changed(video) => Ok(*video),
        ChangeOutcome::Denied(denial) => Err(denial.into()),
        ChangeOutcome::NotPublishable => Err(Code::NotPublishable.into()),
        ChangeOutcome::Hidden => Err(Code::HiddenVideo.into()),
    }
}

#[derive(Serialize)]
struct Deleted {
    #[serde(flatten)]
    message: Message,
    video_id: VideoId,
}

/// `DELETE /api/videos/{video_id}`
pub async fn delete(
    app: web::Data<App>,
    limits: web::Data<Limits>,
    caller: Authenticated,
    language: Language,
    VideoPath(video): VideoPath,
) -> Result<HttpResponse> {
    delete_within_limit(&app, &limits, caller.user(), video).await?;
    Ok(HttpResponse::Ok().json(Deleted {
        message: Message::new(
            language,
            "El video ha sido eliminado exitosamente.",
            "The video was deleted.",
        ),
        video_id: video,
    }))
}

/// Deletes a user's video, unless the user has reached the rate limit.
pub async fn delete_within_limit(
    app: &App,
    limits: &Limits,
    user: UserId,
    video: VideoId,
) -> Result<()> {
    limits.write.take(&user)?;
    match super::delete(&app.backends, user, video).await? {
        DeleteOutcome::Deleted => Ok(()),
        DeleteOutcome::Denied(denial) => Err(denial.into()),
        DeleteOutcome::Published => Err(Code::PublishedVideo.into()),
    }
}
