//! The ranking endpoint.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    http::{Error, Result, cache::PageCache, filter, page::Page},
    ids::VideoId,
    storage::StorageKey,
    validate::Problem,
    videos::{self, By, Ranked},
};

#[derive(Deserialize)]
pub struct RankingQuery {
    page: Option<String>,
    limit: Option<String>,
    after: Option<String>,
    city: Option<String>,
    by: Option<String>,
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
}

/// `GET /api/public/rankings`
pub async fn rank(
    app: web::Data<App>,
    answers: web::Data<PageCache>,
    request: HttpRequest,
    query: web::Query<RankingQuery>,
) -> Result<HttpResponse> {
    let page = Page::parse_public(
        query.page.as_deref(),
        query.limit.as_deref(),
        query.after.as_deref(),
    )?;
    let by = match query.by.as_deref() {
        None | Some("player") => By::Player,
        Some("video") => By::Video,
        Some(_) => return Err(Error::field("by", Problem::Invalid)),
    };
    let city = filter::city(query.city.as_deref())?;
    let key = format!("rankings {by:?} {} {city:?}", page.key());
    let list = async || {
        let ranked = videos::ranked(&app, by, city.as_deref(), page.range()).await?;
        let (ranked, next) = page.trim_with_cursor(&ranked, Ranked::rank_key);
        let mut places = Vec::with_capacity(ranked.len());
        for (place, position) in ranked.iter().zip(page.position() + 1..) {
            let clip = StorageKey::Clip(place.id, place.attempt);
            places.push(Place {
                position,
                username: place.username(),
                city: place.city.clone(),
                votes: place.votes,
                video_id: place.id,
                title: place.title.clone(),
                video_url: app.media_urls.public(clip).await?,
            });
        }
        Ok((places, page.next(next)))
    };
    let answer = answers.get(key, list).await?;
    Ok(answer.respond(&request, page))
}
