//! Vote endpoints.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::{CastOutcome, Votes, queries};
use crate::{
    app::App,
    http::{
        Code, Result,
        extract::{Authenticated, VideoPath},
        page::Page,
        rate::Limits,
        respond::Message,
    },
    language::Language,
};

/// `POST /api/public/videos/{video_id}/vote`
pub async fn cast(
    app: web::Data<App>,
    votes: web::Data<Votes>,
    limits: web::Data<Limits>,
    caller: Authenticated,
    language: Language,
    VideoPath(video): VideoPath,
) -> Result<HttpResponse> {
    let user = caller.user();
    if let Err(refused) = limits.write.take(&user) {
        // Report duplicates even when rate-limited.
        let mut connection = app.db.connection().await?;
        let is_cast = queries::is_cast(&mut connection, user, video).await?;
        return Err(if is_cast {
            Code::AlreadyVoted.into()
        } else {
            refused
        });
    }
    match votes.cast(user, video).await? {
        CastOutcome::Counted => {
            let message = Message::new(language, "Voto registrado exitosamente.", "Vote counted.");
            Ok(HttpResponse::Ok().json(message))
        }
        CastOutcome::AlreadyVoted => Err(Code::AlreadyVoted.into()),
        CastOutcome::OwnVideo => Err(Code::OwnVideo.into()),
        CastOutcome::NotFound => Err(Code::NotFound.into()),
    }
}

#[derive(Deserialize)]
pub struct ListQuery {
    page: Option<String>,
    limit: Option<String>,
}

/// `GET /api/user/votes`
pub async fn list(
    app: web::Data<App>,
    caller: Authenticated,
    request: HttpRequest,
    query: web::Query<ListQuery>,
) -> Result<HttpResponse> {
    let page = Page::parse(query.page.as_deref(), query.limit.as_deref())?;
    let videos = {
        let mut connection = app.db.connection().await?;
        queries::list(
            &mut connection,
            caller.user(),
            page.fetch_limit(),
            page.offset(),
        )
        .await?
    };
    let (videos, has_next) = page.trim(&videos);
    Ok(page.private(&videos, has_next, &request))
}
