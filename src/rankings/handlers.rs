//! The endpoint of the rankings.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::{By, Question, Rankings};
use crate::{
    app::App,
    http::{Error, Result, cache, filter, page::Page},
    ids::VideoId,
    storage::StorageKey,
    validate::{FieldError, Problem},
};

/// How long the ranking may be kept (s).
const MAX_AGE_SECS: u32 = 1;

#[derive(Deserialize)]
pub struct RankingQuery {
    page: Option<String>,
    limit: Option<String>,
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
    rankings: web::Data<Rankings>,
    request: HttpRequest,
    query: web::Query<RankingQuery>,
) -> Result<HttpResponse> {
    let page = Page::parse(query.page.as_deref(), query.limit.as_deref())?;
    let by = match query.by.as_deref() {
        None | Some("player") => By::Player,
        Some("video") => By::Video,
        Some(_) => {
            return Err(Error::from(vec![FieldError {
                field: "by",
                problem: Problem::Invalid,
            }]));
        }
    };
    let city = filter::city(query.city.as_deref())?;
    let question = Question {
        by,
        city,
        limit: page.probe(),
        offset: page.offset(),
    };
    let rows = rankings.answer(&app, &question).await?;
    let (rows, has_next) = page.cut(&rows);
    let mut places = Vec::with_capacity(rows.len());
    for (row, position) in rows.iter().zip(page.offset() + 1..) {
        let clip = StorageKey::Clip(row.video, row.attempt);
        places.push(Place {
            position,
            username: format!("{} {}", row.first_name, row.last_name),
            city: row.city.clone(),
            votes: row.votes,
            video_id: row.video,
            title: row.title.clone(),
            video_url: app.addresses.public(clip).await?,
        });
    }
    cache::json(
        &request,
        &places,
        MAX_AGE_SECS,
        page.link(has_next, &request),
    )
}
