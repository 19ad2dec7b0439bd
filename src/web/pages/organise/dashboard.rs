//! `/organizacion`: the numbers, live, what workers do, what failed and why.

use std::{collections::BTreeMap, time::Duration};

use actix_web::{FromRequest as _, HttpRequest, HttpResponse, http::StatusCode, web};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use super::rows::{MAX_ROWS, player};
use crate::{
    app::{App, Backends},
    auth::{
        Permission,
        permissions::{Redrive, SeeQueue},
    },
    http::{Code, Result, extract::VideoPath},
    language::Language,
    reports,
    videos::{
        Failure, VideoStatus,
        board::{self, OrganisedVideo, Wanted},
        operator, seconds_until,
    },
    web::{
        own::seconds_since,
        private,
        streams::{self, Live},
        text::{ago, phrases},
        view::{
            Notice, Section,
            organise::{DeadVideo, FailureReason, InFlight, OrganisePage, Tiles},
            staff::tabs,
        },
        visit::{Member, Staff, Visit, see_other},
    },
};

/// Time between two looks at the tiles.
const TICK: Duration = Duration::from_secs(2);

/// How long the broker may take to count its messages.
const BROKER_TIMEOUT: Duration = Duration::from_secs(2);

async fn tiles(app: &App) -> anyhow::Result<Tiles> {
    let db = &app.backends.db;
    let counts = operator::count_videos(db).await?;
    let work = board::throughput(db).await?;
    let stats = timeout(BROKER_TIMEOUT, app.backends.queue.stats()).await;
    let broker = match stats {
        Ok(Ok(stats)) => i64::try_from(stats.waiting + stats.in_flight).ok(),
        Ok(Err(_)) | Err(_) => None,
    };
    Ok(Tiles {
        waiting: counts.waiting,
        flying: counts.in_flight,
        dead: counts.dead,
        oldest_seconds: counts
            .oldest_age_seconds
            .and_then(|seconds| u64::try_from(seconds).ok()),
        broker,
        reports: reports::open_count(db).await?,
        uploads: work.open_uploads,
        done: work.last_hour,
        rate_tenths: work.last_five_minutes * 10 / 5,
    })
}

#[derive(Deserialize)]
pub struct DashboardParameters {
    /// How many videos were put in line again.
    reintentados: Option<i64>,
    /// How many dead messages were left.
    quedan: Option<i64>,
}

/// `GET /organizacion`
///
/// Leads those who may not see the queue to their first tab.
pub async fn dashboard(
    app: web::Data<App>,
    visit: Visit,
    Member(caller): Member,
    parameters: web::Query<DashboardParameters>,
) -> Result<HttpResponse> {
    let db = &app.backends.db;
    let language = visit.language;
    let role = caller.role;
    if !role.may(Permission::SeeQueue) {
        let tabs = tabs(language, role);
        let first = tabs.first().ok_or(Code::NotFound)?;
        return Ok(see_other(first.page));
    }
    let running = Wanted {
        status: Some(VideoStatus::Processing),
        ..Wanted::default()
    };
    let dead = Wanted {
        is_dead: true,
        ..Wanted::default()
    };
    let in_flight = board::organised(db, &running, MAX_ROWS, 0).await?;
    let dead = board::organised(db, &dead, MAX_ROWS, 0).await?;
    let failures = board::failures_by_reason(db).await?;
    let t = phrases(language);
    let retried = parameters.reintentados.map(|videos| {
        let left = parameters.quedan.unwrap_or_default();
        Notice::good((t.retried)(&videos.to_string(), &left.to_string()))
    });
    let page = OrganisePage {
        shell: visit.shell(Section::Organise, "/organizacion", t.organisation_title),
        role,
        tiles: tiles(&app).await?,
        in_flight: in_flight.iter().map(flying).collect(),
        failures: failures
            .iter()
            .map(|count| FailureReason {
                code: count.code.clone(),
                sentence: Failure::from_row(&count.example)
                    .map_or_else(String::new, |failure| failure.message(language)),
                last_day: count.last_day,
                all: count.all,
                list: format!("/organizacion/videos?estado=failed&causa={}", count.code),
            })
            .collect(),
        dead: dead
            .iter()
            .map(|video| dead_video(video, language))
            .collect(),
        notice: retried,
    };
    private(&visit, StatusCode::OK, &page)
}

fn flying(row: &OrganisedVideo) -> InFlight {
    let video = &row.video;
    InFlight {
        id: video.id.to_string(),
        title: video.title.clone(),
        player: player(row),
        attempt: video.attempt,
        percent: u8::try_from(video.progress).unwrap_or_default(),
        seconds_left: video.ready_at.map(seconds_until),
        lease_seconds: row.lease_until.map_or(0, seconds_until),
    }
}

fn dead_video(row: &OrganisedVideo, language: Language) -> DeadVideo {
    DeadVideo {
        id: row.video.id.to_string(),
        title: row.video.title.clone(),
        player: player(row),
        code: row
            .video
            .failure()
            .map_or_else(String::new, |failure| failure.code().to_owned()),
        uploaded: (phrases(language).uploaded)(&ago(
            language,
            seconds_since(row.video.uploaded_at),
        )),
    }
}

/// A tile as the module shows it.
#[derive(Serialize)]
struct TileState {
    value: String,
    note: Option<&'static str>,
    bad: bool,
}

/// What the module of the dashboard shows.
#[derive(Serialize)]
struct Board {
    tiles: BTreeMap<&'static str, TileState>,
}

async fn board_state(app: &App, visit: &Visit) -> anyhow::Result<Board> {
    let shell = visit.shell(Section::Organise, "/organizacion", "");
    let tiles = tiles(app).await?.shown(&shell).into_iter().map(|tile| {
        let state = TileState {
            bad: tile.note.is_some(),
            value: tile.value,
            note: tile.note,
        };
        (tile.key, state)
    });
    Ok(Board {
        tiles: tiles.collect(),
    })
}

/// `GET /organizacion/estado`
pub async fn state(app: web::Data<App>, visit: Visit, _: Staff<SeeQueue>) -> Result<HttpResponse> {
    Ok(HttpResponse::Ok().json(board_state(&app, &visit).await?))
}

/// `GET /organizacion/eventos`
///
/// Ends with the session, and when the caller may no longer see the queue.
pub async fn events(
    app: web::Data<App>,
    live: web::Data<Live>,
    visit: Visit,
    request: HttpRequest,
    staff: Staff<SeeQueue>,
) -> Result<HttpResponse> {
    let reservation = live.reserve(staff.caller.user)?;
    let start = streams::event_text(&board_state(&app, &visit).await?);
    let shutdown = live.shutdown().clone();
    let events = stream::unfold(
        (app, visit, request, shutdown, reservation),
        async |(app, visit, request, shutdown, reservation)| {
            shutdown.unless_requested(sleep(TICK)).await?;
            Staff::<SeeQueue>::extract(&request).await.ok()?;
            let text = match board_state(&app, &visit).await {
                Ok(board) => streams::event_text(&board),
                // The page keeps what it shows.
                Err(error) => {
                    tracing::debug!("failed to read the dashboard: {error:#}");
                    web::Bytes::from_static(b":\n\n")
                }
            };
            Some((text, (app, visit, request, shutdown, reservation)))
        },
    );
    Ok(streams::respond(start, events))
}

/// `POST /organizacion/reintentar`
pub async fn retry_all(app: web::Data<App>, staff: Staff<Redrive>) -> Result<HttpResponse> {
    let Backends { db, queue, .. } = &app.backends;
    let done = operator::redrive(db, queue, &staff.by).await?;
    Ok(see_other(&format!(
        "/organizacion?reintentados={}&quedan={}",
        done.videos, done.left
    )))
}

/// `POST /organizacion/videos/{video_id}/reintentar`
pub async fn retry(
    app: web::Data<App>,
    staff: Staff<Redrive>,
    VideoPath(video): VideoPath,
) -> Result<HttpResponse> {
    let Backends { db, queue, .. } = &app.backends;
    let is_retried = operator::retry(db, queue, &staff.by, video).await?;
    Ok(see_other(&format!(
        "/organizacion?reintentados={}",
        i32::from(is_retried)
    )))
}
