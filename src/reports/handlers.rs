//! Endpoints of reports: sending one, the moderators' list, dismissing.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{DismissOutcome, Listed, Report, ReportOutcome};
use crate::{
    app::App,
    audit::By,
    auth::permissions::ModerateClips,
    http::{
        Code, Error, Result,
        extract::{Authenticated, Json, May, VideoPath, non_null},
        page::Page,
        rate::Limits,
        respond::Message,
    },
    ids::{UserId, VideoId},
    language::Language,
};

#[derive(Deserialize)]
pub struct ReportRequest {
    reason: String,
    #[serde(default, deserialize_with = "non_null")]
    text: Option<String>,
}

/// `POST /api/videos/{video_id}/report`
pub async fn send(
    app: web::Data<App>,
    limits: web::Data<Limits>,
    caller: Authenticated,
    language: Language,
    VideoPath(video): VideoPath,
    Json(request): Json<ReportRequest>,
) -> Result<HttpResponse> {
    let report = Report::check(&request.reason, request.text.as_deref())?;
    send_within_limit(&app, &limits, caller.user(), video, &report).await?;
    Ok(HttpResponse::Ok().json(Message::new(
        language,
        "Gracias. La organización va a revisar este video.",
        "Thank you. The organisers will look at this video.",
    )))
}

/// Sends a report unless the user has reached the rate limit. Returns an error unless it is sent.
pub async fn send_within_limit(
    app: &App,
    limits: &Limits,
    user: UserId,
    video: VideoId,
    report: &Report,
) -> Result<()> {
    limits.write.take(&user)?;
    match super::send(&app.backends.db, user, video, report).await? {
        ReportOutcome::Sent => Ok(()),
        ReportOutcome::AlreadyReported => Err(Code::AlreadyReported.into()),
        ReportOutcome::OwnVideo => Err(Code::OwnReport.into()),
        ReportOutcome::TooMany { wait } => Err(Error {
            retry_after: Some(wait),
            ..Error::from(Code::TooManyReports)
        }),
        ReportOutcome::NotFound => Err(Code::NotFound.into()),
    }
}

/// How many people gave a reason.
#[derive(Serialize)]
struct ReasonBody {
    reason: &'static str,
    reports: i64,
}

/// A video on the moderators' list.
#[derive(Serialize)]
struct ListedBody {
    video_id: VideoId,
    title: String,
    username: String,
    city: String,
    is_public: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    hidden_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
    is_answered: bool,
    is_urgent: bool,
    since: DateTime<Utc>,
    reports: i64,
    reasons: Vec<ReasonBody>,
    texts: Vec<String>,
}

impl From<&Listed> for ListedBody {
    fn from(listed: &Listed) -> Self {
        let Listed {
            case,
            video: row,
            remarks,
        } = listed;
        let reasons = case.reasons().into_iter();
        Self {
            video_id: row.video.id,
            title: row.video.title.clone(),
            username: format!("{} {}", row.first_name, row.last_name),
            city: row.city.clone(),
            is_public: row.video.is_public,
            hidden_reason: row.video.hidden_reason.clone(),
            answer: row.video.answer.clone(),
            is_answered: case.is_answered,
            is_urgent: case.is_urgent,
            since: case.since,
            reports: case.reports,
            reasons: reasons
                .map(|(reason, reports)| ReasonBody {
                    reason: reason.name(),
                    reports,
                })
                .collect(),
            texts: remarks.iter().map(|remark| remark.text.clone()).collect(),
        }
    }
}

/// `GET /api/moderation/reports`
pub async fn list(
    app: web::Data<App>,
    _: May<ModerateClips>,
    request: HttpRequest,
    page: Page,
) -> Result<HttpResponse> {
    let listed = super::list(&app.backends.db, page.fetch_limit(), page.offset()).await?;
    let (listed, has_next) = page.trim(&listed);
    let bodies: Vec<_> = listed.iter().map(ListedBody::from).collect();
    Ok(page.private(&bodies, has_next, &request))
}

#[derive(Serialize)]
struct Dismissed {
    #[serde(flatten)]
    message: Message,
    video_id: VideoId,
}

/// `POST /api/moderation/videos/{video_id}/dismiss`
pub async fn dismiss(
    app: web::Data<App>,
    staff: May<ModerateClips>,
    language: Language,
    VideoPath(video): VideoPath,
) -> Result<HttpResponse> {
    match super::dismiss(&app.backends.db, &By::from(&staff), video).await? {
        DismissOutcome::Done => Ok(HttpResponse::Ok().json(Dismissed {
            message: Message::new(
                language,
                "El video queda como está.",
                "The clip stays as it is.",
            ),
            video_id: video,
        })),
        DismissOutcome::AlreadySettled => Err(Code::AlreadySettled.into()),
        DismissOutcome::NotFound => Err(Code::NotFound.into()),
    }
}
