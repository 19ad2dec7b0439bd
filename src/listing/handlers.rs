//! Endpoints of the public listing.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{PublicVideo, Ranking};
use crate::{
    app::App,
    http::{
        Error, Result,
        cache::{Built, PageCache},
        filter,
        page::PublicPage,
    },
    ids::VideoId,
    storage::{MediaUrls, StorageKey},
    validate::Problem,
    videos::{Readers, RenditionsBody},
};

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
    #[serde(flatten)]
    renditions: RenditionsBody,
    uploaded_at: DateTime<Utc>,
    processed_at: Option<DateTime<Utc>>,
}

impl PublicVideoBody {
    fn new(video: &PublicVideo, urls: &MediaUrls) -> Self {
        let clip = StorageKey::Clip(video.id, video.attempt);
        let poster = StorageKey::Poster(video.id, video.attempt);
        Self {
            video_id: video.id,
            title: video.title.clone(),
            username: video.username(),
            city: video.city.clone(),
            votes: video.votes,
            processed_url: urls.public(clip),
            poster_url: urls.public(poster),
            renditions: renditions(video, urls),
            uploaded_at: video.uploaded_at,
            processed_at: video.processed_at,
        }
    }
}

fn renditions(video: &PublicVideo, urls: &MediaUrls) -> RenditionsBody {
    let attempt = (video.id, video.attempt);
    RenditionsBody::new(&video.renditions, attempt, urls, Readers::Public)
}

#[derive(Deserialize)]
pub struct ListQuery {
    city: Option<String>,
    q: Option<String>,
}

/// `GET /api/public/videos`
pub async fn list_videos(
    app: web::Data<App>,
    cache: web::Data<PageCache>,
    request: HttpRequest,
    PublicPage(page): PublicPage,
    query: web::Query<ListQuery>,
) -> Result<HttpResponse> {
    let city = filter::city(query.city.as_deref())?;
    let text = filter::text(query.q.as_deref())?;
    let key = format!("videos {} {city:?} {text:?}", page.key());
    let list = async || {
        let (city, range) = (city.as_deref(), page.range());
        let (found, stopped_at) = match &text {
            None => (
                super::rank(&app.backends.db, Ranking::Videos, city, range).await?,
                None,
            ),
            Some(text) => {
                let found = super::search(&app, text, city, range).await?;
                (found.videos, found.stopped_at)
            }
        };
        let (found, end) = page.trim_with_cursor(&found, PublicVideo::rank_key);
        let next = match stopped_at {
            None => page.next(end),
            Some(place) => page.continue_search(place, found.len()),
        };
        let bodies: Vec<_> = found
            .iter()
            .map(|video| PublicVideoBody::new(video, &app.media_urls))
            .collect();
        Built::list(&bodies, next)
    };
    let cached = cache.get(key, list).await?;
    Ok(cached.respond(&request, page))
}

#[derive(Serialize)]
struct Place {
    position: i64,
    username: String,
    city: String,
    votes: i64,
    video_id: VideoId,
    title: String,
    video_url: String,
    #[serde(flatten)]
    renditions: RenditionsBody,
}

#[derive(Deserialize)]
pub struct RankingQuery {
    city: Option<String>,
    by: Option<String>,
}

/// `GET /api/public/rankings`
pub async fn rank(
    app: web::Data<App>,
    cache: web::Data<PageCache>,
    request: HttpRequest,
    PublicPage(page): PublicPage,
    query: web::Query<RankingQuery>,
) -> Result<HttpResponse> {
    let ranking = match query.by.as_deref() {
        None | Some("player") => Ranking::Players,
        Some("video") => Ranking::Videos,
        Some(_) => return Err(Error::field("by", Problem::Invalid)),
    };
    let city = filter::city(query.city.as_deref())?;
    let key = format!("rankings {ranking:?} {} {city:?}", page.key());
    let list = async || {
        let ranked = super::rank(&app.backends.db, ranking, city.as_deref(), page.range()).await?;
        let (ranked, end) = page.trim_with_cursor(&ranked, PublicVideo::rank_key);
        let mut places = Vec::with_capacity(ranked.len());
        for (video, position) in ranked.iter().zip(page.position() + 1..) {
            let clip = StorageKey::Clip(video.id, video.attempt);
            places.push(Place {
                position,
                username: video.username(),
                city: video.city.clone(),
                votes: video.votes,
                video_id: video.id,
                title: video.title.clone(),
                video_url: app.media_urls.public(clip),
                renditions: renditions(video, &app.media_urls),
            });
        }
        Built::list(&places, page.next(end))
    };
    let cached = cache.get(key, list).await?;
    Ok(cached.respond(&request, page))
}
