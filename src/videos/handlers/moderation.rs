//! Endpoints of organisers: hiding a video from the public, and showing it again.

use actix_web::{FromRequest as _, HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    audit::By,
    auth::permissions::ModerateClips,
    http::{
        Code, Result,
        extract::{Json, May, VideoPath},
        respond::Message,
    },
    ids::VideoId,
    language::Language,
    videos::moderation::{self, HideIf, ModerationOutcome, check_reason},
};

#[derive(Deserialize)]
pub struct HideRequest {
    reason: String,
}

#[derive(Serialize)]
struct Moderated {
    #[serde(flatten)]
    message: Message,
    video_id: VideoId,
}

/// `POST /api/moderation/videos/{video_id}/hide`
pub async fn hide(
    app: web::Data<App>,
    staff: May<ModerateClips>,
    language: Language,
    VideoPath(video): VideoPath,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse> {
    // Read last, so that other users get 404 whatever they send.
    let Json(HideRequest { reason }) =
        Json::from_request(&request, &mut payload.into_inner()).await?;
    let reason = check_reason(&reason)?;
    let by = By::from(&staff);
    match moderation::hide(&app.backends, &by, video, &reason, HideIf::Always).await? {
        ModerationOutcome::Done => Ok(HttpResponse::Ok().json(Moderated {
            message: Message::new(language, "El video está oculto.", "The clip is hidden."),
            video_id: video,
        })),
        ModerationOutcome::Unchanged => Err(Code::AlreadyHidden.into()),
        ModerationOutcome::NotFound => Err(Code::NotFound.into()),
    }
}

/// `POST /api/moderation/videos/{video_id}/show`
pub async fn show(
    app: web::Data<App>,
    staff: May<ModerateClips>,
    language: Language,
    VideoPath(video): VideoPath,
) -> Result<HttpResponse> {
    match moderation::show(&app.backends, &By::from(&staff), video).await? {
        ModerationOutcome::Done => Ok(HttpResponse::Ok().json(Moderated {
            message: Message::new(
                language,
                "El video ya no está oculto.",
                "The clip is no longer hidden.",
            ),
            video_id: video,
        })),
        ModerationOutcome::Unchanged => Err(Code::NotHidden.into()),
        ModerationOutcome::NotFound => Err(Code::NotFound.into()),
    }
}
