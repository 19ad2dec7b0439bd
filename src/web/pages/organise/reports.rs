//! `/organizacion/reportes`: the clips that people reported, and what moderators do about them.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Deserialize;

use super::{
    moderate::{ReasonForm, organised},
    rows::{MAX_ROWS, player},
};
use crate::{
    app::App,
    auth::permissions::ModerateClips,
    http::{Code, Result, extract::VideoPath, form::Fields},
    language::Language,
    reports::{self, DismissOutcome, Listed},
    videos::moderation::{self, HideIf, ModerationOutcome, check_reason},
    web::{
        own::{self, seconds_since},
        private,
        text::{ago, reports::reports as phrases},
        view::{
            Notice, Section,
            reports::{ReportedClip, ReportsPage},
        },
        visit::{Staff, Visit, see_other, wants_json},
    },
};

const LIST: &str = "/organizacion/reportes";

#[derive(Deserialize)]
pub struct Done {
    /// What was done to the clip before.
    hecho: Option<String>,
}

/// `GET /organizacion/reportes`
pub async fn reported(
    app: web::Data<App>,
    visit: Visit,
    staff: Staff<ModerateClips>,
    done: web::Query<Done>,
) -> Result<HttpResponse> {
    let db = &app.backends.db;
    let listed = reports::list(db, MAX_ROWS, 0).await?;
    let r = phrases(visit.language);
    let notice = match done.hecho.as_deref() {
        Some("oculto") => Some(Notice::good(r.did_hide)),
        Some("igual") => Some(Notice::good(r.did_dismiss)),
        Some("visible") => Some(Notice::good(r.did_show)),
        Some("tarde") => Some(Notice::plain(r.too_late)),
        _ => None,
    };
    let page = ReportsPage {
        shell: visit.shell(Section::Organise, LIST, r.title),
        role: staff.caller.role,
        open: reports::open_count(db).await?,
        rows: listed
            .iter()
            .map(|listed| row(&app, listed, visit.language))
            .collect(),
        notice,
    };
    private(&visit, StatusCode::OK, &page)
}

fn row(app: &App, listed: &Listed, language: Language) -> ReportedClip {
    let (case, video) = (&listed.case, &listed.video);
    let answer = video.video.answer.clone();
    ReportedClip {
        video: organised(app, video, language),
        clip: own::clip(
            &video.video,
            player(video),
            video.city.clone(),
            &app.media_urls,
        ),
        is_urgent: case.is_urgent,
        answer: answer.filter(|_| case.is_answered),
        reports: case.reports,
        since: ago(language, seconds_since(case.since)),
        reasons: case.reasons(),
        texts: listed.remarks.iter().map(|it| it.text.clone()).collect(),
    }
}

/// `POST /organizacion/reportes/{video_id}/ocultar`
///
/// As the other acts of the list, it answers the module, which asks for JSON, with 204 or an error.
pub async fn hide(
    app: web::Data<App>,
    request: HttpRequest,
    staff: Staff<ModerateClips>,
    VideoPath(video): VideoPath,
    Fields(form): Fields<ReasonForm>,
) -> Result<HttpResponse> {
    let reason = check_reason(form.reason())?;
    let condition = HideIf::Reported;
    let outcome = moderation::hide(&app.backends, &staff.by, video, &reason, condition).await?;
    moderated(&request, &outcome, "oculto")
}

/// `POST /organizacion/reportes/{video_id}/mostrar`
pub async fn show_again(
    app: web::Data<App>,
    request: HttpRequest,
    staff: Staff<ModerateClips>,
    VideoPath(video): VideoPath,
) -> Result<HttpResponse> {
    let outcome = moderation::show(&app.backends, &staff.by, video).await?;
    moderated(&request, &outcome, "visible")
}

fn moderated(
    request: &HttpRequest,
    outcome: &ModerationOutcome,
    done: &str,
) -> Result<HttpResponse> {
    match outcome {
        ModerationOutcome::Done => Ok(answer(request, done)),
        ModerationOutcome::Unchanged => late(request),
        ModerationOutcome::NotFound => Err(Code::NotFound.into()),
    }
}

/// `POST /organizacion/reportes/{video_id}/descartar`
pub async fn dismiss(
    app: web::Data<App>,
    request: HttpRequest,
    staff: Staff<ModerateClips>,
    VideoPath(video): VideoPath,
) -> Result<HttpResponse> {
    match reports::dismiss(&app.backends.db, &staff.by, video).await? {
        DismissOutcome::Done => Ok(answer(&request, "igual")),
        DismissOutcome::AlreadySettled => late(&request),
        DismissOutcome::NotFound => Err(Code::NotFound.into()),
    }
}

fn answer(request: &HttpRequest, done: &str) -> HttpResponse {
    if wants_json(request) {
        HttpResponse::NoContent().finish()
    } else {
        see_other(&format!("{LIST}?hecho={done}"))
    }
}

/// Another moderator was faster.
fn late(request: &HttpRequest) -> Result<HttpResponse> {
    if wants_json(request) {
        Err(Code::AlreadySettled.into())
    } else {
        Ok(see_other(&format!("{LIST}?hecho=tarde")))
    }
}
