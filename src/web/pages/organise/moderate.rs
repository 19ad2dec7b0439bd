//! `/organizacion/videos`: finding any video, hiding it and showing it again.

use actix_web::{HttpResponse, http::StatusCode, web};
use serde::Deserialize;

use super::rows::{MAX_ROWS, player};
use crate::{
    app::App,
    auth::permissions::ModerateClips,
    http::{Code, Error, Result, extract::VideoPath, filter, form::Fields},
    ids::VideoId,
    language::Language,
    reports,
    videos::{
        Failure, VideoStatus,
        board::{self, OrganisedVideo, Wanted},
        moderation::{self, HideIf, ModerationOutcome, check_reason},
    },
    web::{
        own::{self, seconds_since},
        private,
        refused::Refused,
        text::{ago, phrases},
        view::{
            Notice, Section,
            organise::{self as view, Failed, Moderation, OrganiseVideoPage, OrganiseVideosPage},
        },
        visit::{Staff, Visit, see_other},
    },
};

#[derive(Deserialize)]
pub struct Search {
    q: Option<String>,
    estado: Option<String>,
    causa: Option<String>,
}

/// `GET /organizacion/videos`
pub async fn videos(
    app: web::Data<App>,
    visit: Visit,
    staff: Staff<ModerateClips>,
    search: web::Query<Search>,
) -> Result<HttpResponse> {
    let text = filter::text(search.q.as_deref())?;
    let state = search.estado.clone().unwrap_or_default();
    let video = text.as_deref().and_then(VideoId::parse);
    let wanted = Wanted {
        text: text.clone().filter(|_| video.is_none()),
        video,
        failure_code: search.causa.clone(),
        ..wanted_state(&state)
    };
    let db = &app.backends.db;
    let found = board::organised(db, &wanted, MAX_ROWS, 0).await?;
    let shown = found
        .iter()
        .map(|row| organised(&app, row, visit.language))
        .collect();
    let t = phrases(visit.language);
    let page = OrganiseVideosPage {
        shell: visit.shell(Section::Organise, "/organizacion/videos", t.moderate),
        role: staff.caller.role,
        query: text.unwrap_or_default(),
        state,
        videos: shown,
        moderations: moderations(&app, &visit, None).await?,
        reports: reports::open_count(db).await?,
    };
    private(&visit, StatusCode::OK, &page)
}

/// Returns the filter for the key of a state.
fn wanted_state(key: &str) -> Wanted {
    let (status, is_public, is_hidden) = match key {
        "waiting" => (Some(VideoStatus::Uploaded), None, false),
        "processing" => (Some(VideoStatus::Processing), None, false),
        "ready" => (Some(VideoStatus::Processed), Some(false), false),
        "public" => (Some(VideoStatus::Processed), Some(true), false),
        "hidden" => (None, None, true),
        "failed" => (Some(VideoStatus::Failed), None, false),
        _ => (None, None, false),
    };
    Wanted {
        status,
        is_public,
        is_hidden,
        ..Wanted::default()
    }
}

/// Returns a video as the organisers' pages show it.
pub fn organised(app: &App, row: &OrganisedVideo, language: Language) -> view::OrganisedVideo {
    let video = &row.video;
    let state = match video.status {
        _ if video.hidden_reason.is_some() => "hidden",
        VideoStatus::Uploaded => "waiting",
        VideoStatus::Processing => "processing",
        VideoStatus::Processed if video.is_public => "public",
        VideoStatus::Processed => "ready",
        VideoStatus::Failed => "failed",
    };
    view::OrganisedVideo {
        id: video.id.to_string(),
        title: video.title.clone(),
        player: player(row),
        city: row.city.clone(),
        state: state.to_owned(),
        votes: video.votes,
        uploaded: ago(language, seconds_since(video.uploaded_at)),
        hidden: video.hidden_reason.clone(),
        answer: video.answer.clone(),
        failure: video.failure().map(|failure| Failed {
            code: failure.code().to_owned(),
            sentence: failure.message(language),
            is_retryable: Failure::RETRYABLE.contains(&failure.code()),
        }),
        thumb: own::picture(video, &app.media_urls),
        colour: video.renditions.colour.clone(),
    }
}

/// Returns the log of moderations, of all videos or of one.
async fn moderations(
    app: &App,
    visit: &Visit,
    video: Option<VideoId>,
) -> anyhow::Result<Vec<Moderation>> {
    let log = moderation::log(&app.backends.db, video, MAX_ROWS).await?;
    let entries = log.into_iter().map(|entry| Moderation {
        at: ago(visit.language, seconds_since(entry.at)),
        organiser: [entry.first_name, entry.last_name]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" "),
        video: entry.video.to_string(),
        title: entry.title,
        has_hidden: entry.is_hidden,
        reason: entry.reason.unwrap_or_default(),
    });
    Ok(entries.collect())
}

#[derive(Deserialize)]
pub struct ModeratedParameters {
    /// Another organiser was faster.
    antes: Option<String>,
}

/// `GET /organizacion/videos/{video_id}`
pub async fn video(
    app: web::Data<App>,
    visit: Visit,
    staff: Staff<ModerateClips>,
    parameters: web::Query<ModeratedParameters>,
    VideoPath(video): VideoPath,
) -> Result<HttpResponse> {
    let was_late = parameters.antes.is_some();
    show(&app, &visit, &staff, video, None, was_late).await
}

async fn show(
    app: &App,
    visit: &Visit,
    staff: &Staff<ModerateClips>,
    video: VideoId,
    error: Option<Error>,
    was_late: bool,
) -> Result<HttpResponse> {
    let refused = Refused::of(error, visit.language)?;
    let wanted = Wanted {
        video: Some(video),
        ..Wanted::default()
    };
    let found = board::organised(&app.backends.db, &wanted, 1, 0).await?;
    let row = found.first().ok_or(Code::NotFound)?;
    let clip = own::clip(&row.video, player(row), row.city.clone(), &app.media_urls);
    let t = phrases(visit.language);
    let page = OrganiseVideoPage {
        shell: visit.shell(
            Section::Organise,
            format!("/organizacion/videos/{video}"),
            row.video.title.clone(),
        ),
        role: staff.caller.role,
        video: organised(app, row, visit.language),
        clip,
        moderations: moderations(app, visit, Some(video)).await?,
        problem: refused.errors.into_iter().next().map(|error| error.message),
        notice: refused
            .notice
            .or_else(|| was_late.then(|| Notice::plain(t.second_organiser))),
    };
    refused.reply.send(visit, &page)
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct ReasonForm {
    motivo: String,
}

impl ReasonForm {
    pub fn reason(&self) -> &str {
        &self.motivo
    }
}

/// `POST /organizacion/videos/{video_id}/ocultar`
pub async fn hide(
    app: web::Data<App>,
    visit: Visit,
    staff: Staff<ModerateClips>,
    VideoPath(video): VideoPath,
    Fields(form): Fields<ReasonForm>,
) -> Result<HttpResponse> {
    let reason = match check_reason(form.reason()) {
        Ok(reason) => reason,
        Err(errors) => {
            return show(&app, &visit, &staff, video, Some(errors.into()), false).await;
        }
    };
    let (by, condition) = (&staff.by, HideIf::Always);
    let outcome = moderation::hide(&app.backends, by, video, &reason, condition).await?;
    moderated(video, &outcome)
}

/// `POST /organizacion/videos/{video_id}/mostrar`
pub async fn show_again(
    app: web::Data<App>,
    staff: Staff<ModerateClips>,
    VideoPath(video): VideoPath,
) -> Result<HttpResponse> {
    let outcome = moderation::show(&app.backends, &staff.by, video).await?;
    moderated(video, &outcome)
}

fn moderated(video: VideoId, outcome: &ModerationOutcome) -> Result<HttpResponse> {
    let page = format!("/organizacion/videos/{video}");
    match outcome {
        ModerationOutcome::Done => Ok(see_other(&page)),
        ModerationOutcome::Unchanged => Ok(see_other(&format!("{page}?antes=1"))),
        ModerationOutcome::NotFound => Err(Code::NotFound.into()),
    }
}
