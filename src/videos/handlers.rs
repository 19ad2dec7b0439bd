//! Endpoints of videos.

mod media;
mod upload;

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    By, Change, ChangeOutcome, DeleteOutcome, Denial, Failure, Ranked, Video, check_title,
    queries::lists,
};
use crate::{
    app::App,
    db::types::VideoStatus,
    http::{
        Code, Error, Result,
        cache::PageCache,
        extract::{Authenticated, Json, VideoPath},
        filter,
        page::Page,
        rate::Limits,
        respond::Message,
    },
    ids::VideoId,
    language::Language,
    storage::{MediaUrls, StorageKey},
};
pub use media::media;
pub use upload::upload;

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
    #[serde(skip_serializing_if = "Option::is_none")]
    original_url: Option<String>,
    is_public: bool,
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
    seconds_left: Option<i64>,
}

impl ProgressBody {
    fn new(video: &Video) -> Option<Self> {
        let left = |ready: DateTime<Utc>| (ready - Utc::now()).num_seconds().max(0);
        (video.status == VideoStatus::Processing).then(|| Self {
            percent: video.progress,
            seconds_left: video.ready_at.map(left),
        })
    }
}

impl VideoBody {
    async fn new(video: &Video, addresses: &MediaUrls, language: Language) -> anyhow::Result<Self> {
        let address = async |key| {
            if video.is_public {
                addresses.public(key).await
            } else {
                addresses.signed(key).await
            }
        };
        let (processed_url, poster_url) = match video.outputs() {
            Some((clip, poster)) => (Some(address(clip).await?), Some(address(poster).await?)),
            None => (None, None),
        };
        let failure = video.failure.as_ref().map(|row| {
            // A newer version of the program may have written an unknown reason.
            Failure::from_row(row).unwrap_or(Failure::ProcessingFailed)
        });
        Ok(Self {
            video_id: video.id,
            title: video.title.clone(),
            status: video.status,
            uploaded_at: video.uploaded_at,
            processed_at: video.processed_at,
            processed_url,
            poster_url,
            original_url: None,
            is_public: video.is_public,
            votes: video.votes,
            progress: ProgressBody::new(video),
            failure_code: failure.as_ref().map(Failure::code),
            failure_reason: failure.map(|failure| failure.message(language)),
        })
    }

    async fn with_original(
        video: &Video,
        addresses: &MediaUrls,
        language: Language,
    ) -> anyhow::Result<Self> {
        let original = addresses.signed(StorageKey::Original(video.id)).await?;
        Ok(Self {
            original_url: Some(original),
            ..Self::new(video, addresses, language).await?
        })
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

#[derive(Deserialize)]
pub struct ListQuery {
    page: Option<String>,
    limit: Option<String>,
}

/// `GET /api/videos`
pub async fn list_own(
    app: web::Data<App>,
    caller: Authenticated,
    language: Language,
    request: HttpRequest,
    query: web::Query<ListQuery>,
) -> Result<HttpResponse> {
    let page = Page::parse(query.page.as_deref(), query.limit.as_deref())?;
    let videos = {
        let mut connection = app.db.connection().await?;
        lists::own(
            &mut connection,
            caller.user(),
            page.fetch_limit(),
            page.offset(),
        )
        .await?
    };
    let (videos, has_next) = page.trim(&videos);
    let mut bodies = Vec::with_capacity(videos.len());
    for video in videos {
        bodies.push(VideoBody::new(video, &app.media_urls, language).await?);
    }
    Ok(page.private(&bodies, has_next, &request))
}

/// `GET /api/videos/{video_id}`
pub async fn detail(
    app: web::Data<App>,
    caller: Authenticated,
    language: Language,
    VideoPath(video): VideoPath,
) -> Result<HttpResponse> {
    let video = super::find_own(&app, caller.user(), video).await??;
    let body = VideoBody::with_original(&video, &app.media_urls, language).await?;
    Ok(HttpResponse::Ok().json(body))
}

#[derive(Deserialize)]
pub struct ChangeRequest {
    title: Option<String>,
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
    let title = title.as_deref().map(check_title).transpose()?;
    apply(
        &app,
        &limits,
        caller,
        language,
        video,
        Change { title, is_public },
    )
    .await
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
    apply(&app, &limits, caller, language, video, change).await
}

async fn apply(
    app: &App,
    limits: &Limits,
    caller: Authenticated,
    language: Language,
    video: VideoId,
    change: Change,
) -> Result<HttpResponse> {
    limits.write.take(&caller.user())?;
    let changed = if change.title.is_none() && change.is_public.is_none() {
        super::find_own(app, caller.user(), video).await??
    } else {
        match super::change(app, caller.user(), video, &change).await? {
            ChangeOutcome::Changed(video) => *video,
            ChangeOutcome::Denied(denial) => return Err(denial.into()),
            ChangeOutcome::NotPublishable => return Err(Code::NotPublishable.into()),
        }
    };
    let body = VideoBody::with_original(&changed, &app.media_urls, language).await?;
    Ok(HttpResponse::Ok().json(body))
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
    limits.write.take(&caller.user())?;
    match super::delete(&app, caller.user(), video).await? {
        DeleteOutcome::Deleted => Ok(HttpResponse::Ok().json(Deleted {
            message: Message::new(
                language,
                "El video ha sido eliminado exitosamente.",
                "The video was deleted.",
            ),
            video_id: video,
        })),
        DeleteOutcome::Denied(denial) => Err(denial.into()),
        DeleteOutcome::Published => Err(Code::PublishedVideo.into()),
    }
}

/// A video as the public sees it.
#[derive(Serialize)]
struct PublicVideoBody {
    video_id: VideoId,
    title: String,
    username: String,
    city: String,
    votes: i64,
    processed_url: String,
    poster_url: String,
    uploaded_at: DateTime<Utc>,
    processed_at: Option<DateTime<Utc>>,
}

impl PublicVideoBody {
    async fn new(video: &Ranked, addresses: &MediaUrls) -> anyhow::Result<Self> {
        let clip = StorageKey::Clip(video.id, video.attempt);
        let poster = StorageKey::Poster(video.id, video.attempt);
        Ok(Self {
            video_id: video.id,
            title: video.title.clone(),
            username: video.username(),
            city: video.city.clone(),
            votes: video.votes,
            processed_url: addresses.public(clip).await?,
            poster_url: addresses.public(poster).await?,
            uploaded_at: video.uploaded_at,
            processed_at: video.processed_at,
        })
    }
}

#[derive(Deserialize)]
pub struct PublicListQuery {
    page: Option<String>,
    limit: Option<String>,
    after: Option<String>,
    city: Option<String>,
    q: Option<String>,
}

/// `GET /api/public/videos`
pub async fn list_public(
    app: web::Data<App>,
    answers: web::Data<PageCache>,
    request: HttpRequest,
    query: web::Query<PublicListQuery>,
) -> Result<HttpResponse> {
    let page = Page::parse_public(
        query.page.as_deref(),
        query.limit.as_deref(),
        query.after.as_deref(),
    )?;
    let city = filter::city(query.city.as_deref())?;
    let text = filter::text(query.q.as_deref())?;
    let key = format!("videos {} {city:?} {text:?}", page.key());
    let list = async || {
        let (city, part) = (city.as_deref(), page.range());
        let (found, stopped_at) = match &text {
            None => (super::ranked(&app, By::Video, city, part).await?, None),
            Some(text) => {
                let found = super::search(&app, text, city, part).await?;
                (found.videos, found.stopped_at)
            }
        };
        let (found, end) = page.trim_with_cursor(&found, Ranked::rank_key);
        let next = match stopped_at {
            None => page.next(end),
            Some(place) => page.continue_search(place, found.len()),
        };
        let mut bodies = Vec::with_capacity(found.len());
        for video in found {
            bodies.push(PublicVideoBody::new(video, &app.media_urls).await?);
        }
        Ok((bodies, next))
    };
    let answer = answers.get(key, list).await?;
    Ok(answer.respond(&request, page))
}
