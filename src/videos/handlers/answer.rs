//! What the owner of a hidden video answers to the organisers.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::VideoBody;
use crate::{
    app::App,
    http::{
        Code, Result,
        extract::{Authenticated, Json, VideoPath},
        rate::Limits,
    },
    ids::{UserId, VideoId},
    language::Language,
    videos::{
        find_own,
        moderation::{self, AnswerOutcome, check_answer},
    },
};

#[derive(Deserialize)]
pub struct AnswerRequest {
    text: String,
}

/// `POST /api/videos/{video_id}/answer`
pub async fn answer(
    app: web::Data<App>,
    limits: web::Data<Limits>,
    caller: Authenticated,
    language: Language,
    VideoPath(video): VideoPath,
    Json(AnswerRequest { text }): Json<AnswerRequest>,
) -> Result<HttpResponse> {
    answer_within_limit(&app, &limits, caller.user(), video, &text).await?;
    let video = find_own(&app.backends.db, caller.user(), video).await??;
    let body = VideoBody::with_original(&video, &app.media_urls, language);
    Ok(HttpResponse::Ok().json(body))
}

/// Records an answer, unless the user has reached the rate limit.
pub async fn answer_within_limit(
    app: &App,
    limits: &Limits,
    user: UserId,
    video: VideoId,
    text: &str,
) -> Result<()> {
    let text = check_answer(text)?;
    limits.write.take(&user)?;
    match moderation::answer(&app.backends.db, user, video, &text).await? {
        AnswerOutcome::Answered => Ok(()),
        AnswerOutcome::AlreadyAnswered => Err(Code::AlreadyAnswered.into()),
        AnswerOutcome::NotHidden => Err(Code::NotHidden.into()),
        AnswerOutcome::Denied(denial) => Err(denial.into()),
    }
}
