//! Vote endpoints.

use actix_web::{HttpRequest, HttpResponse, web};

use super::{CastOutcome, Votes};
use crate::{
    app::App,
    http::{
        Code, Error, Result,
        extract::{Authenticated, VideoPath},
        page::Page,
        rate::Limits,
        respond::Message,
    },
    ids::{UserId, VideoId},
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
    cast_within_limit(&app, &votes, &limits, caller.user(), video).await?;
    let message = Message::new(language, "Voto registrado exitosamente.", "Vote counted.");
    Ok(HttpResponse::Ok().json(message))
}

/// Casts a vote unless the user has reached the rate limit. Returns an error unless it counts.
pub async fn cast_within_limit(
    app: &App,
    votes: &Votes,
    limits: &Limits,
    user: UserId,
    video: VideoId,
) -> Result<()> {
    if let Err(refused) = limits.write.take(&user) {
        // Report duplicates even when rate-limited.
        return Err(if super::is_cast(&app.backends.db, user, video).await? {
            Code::AlreadyVoted.into()
        } else {
            refused
        });
    }
    match votes.cast(user, video).await? {
        CastOutcome::Counted => Ok(()),
        CastOutcome::AlreadyVoted => Err(Code::AlreadyVoted.into()),
        CastOutcome::OwnVideo => Err(Code::OwnVideo.into()),
        CastOutcome::NotFound => Err(Code::NotFound.into()),
        CastOutcome::Closed {
            opens_at,
            closes_at,
        } => Err(Error::closed(Code::VotingClosed, opens_at, closes_at)),
        CastOutcome::NotEntered => Err(Code::NotInContest.into()),
        CastOutcome::AccountTooNew { allowed_at } => {
            Err(Error::early(Code::AccountTooNew, Some(allowed_at)))
        }
        CastOutcome::LimitReached { allowed_at } => Err(Error::early(Code::VoteLimit, allowed_at)),
    }
}

/// `GET /api/user/votes`
pub async fn list(
    app: web::Data<App>,
    caller: Authenticated,
    request: HttpRequest,
    page: Page,
) -> Result<HttpResponse> {
    let (limit, offset) = (page.fetch_limit(), page.offset());
    let videos = super::list(&app.backends.db, caller.user(), limit, offset).await?;
    let (videos, has_next) = page.trim(&videos);
    Ok(page.private(&videos, has_next, &request))
}
