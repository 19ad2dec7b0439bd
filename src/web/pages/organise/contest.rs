//! `/organizacion/concurso`: creating a contest, changing it, freezing and publishing its result.

use std::{
    future::{Ready, ready},
    sync::Arc,
};

use actix_web::{FromRequest, HttpRequest, HttpResponse, dev::Payload, http::StatusCode, web};
use serde::Deserialize;

use super::contest_form::ContestFields;
use crate::{
    app::App,
    auth::{Role, permissions::RunContest},
    contests::{self, Changed, Contest, CurrentContest, Phase, Reading, Refusal},
    http::{Code, Error, Result, form::Fields},
    reports,
    videos::operator,
    web::{
        contest::{countdown, local_hours},
        private,
        refused::Refused,
        text::{
            contest::contest as about, reports::reports as report_words, run::run as sentences,
        },
        view::{
            Notice, Section, Shell,
            organise::Tile,
            organise_contest::{
                CityFigures, ContestActPage, ContestForm, ContestNow, OrganiseContestPage, Steps,
            },
            plot::Plot,
        },
        visit::{Staff, Visit, see_other},
    },
};

const PAGE: &str = "/organizacion/concurso";

#[derive(Deserialize)]
pub struct Done {
    /// What was done.
    hecho: Option<String>,
    /// How many videos entered.
    videos: Option<i64>,
}

/// `GET /organizacion/concurso`
pub async fn contest(
    app: web::Data<App>,
    visit: Visit,
    staff: Staff<RunContest>,
    current: web::Data<CurrentContest>,
    done: web::Query<Done>,
) -> Result<HttpResponse> {
    let t = sentences(visit.language);
    let videos = done.videos.unwrap_or_default();
    let notice = match done.hecho.as_deref() {
        Some("creado") => Some((t.created)(videos)),
        Some("guardado") => Some((t.saved)(videos)),
        Some("congelado") => Some(t.frozen.to_owned()),
        Some("publicado") => Some(t.published.to_owned()),
        Some("eliminado") => Some(t.removed.to_owned()),
        _ => None,
    };
    current.forget().await;
    let reading = current.get().await?;
    let form = match &reading {
        Some(reading) if reading.contest.frozen_at.is_none() => ContestFields::of(&reading.contest),
        Some(_) | None => ContestForm {
            time_zone: "America/Bogota".to_owned(),
            ..ContestForm::default()
        },
    };
    let page = OrganiseContestPage {
        notice: notice.map(Notice::good),
        ..page(&app, &visit, staff.caller.role, reading.as_ref(), form).await?
    };
    private(&visit, StatusCode::OK, &page)
}

fn shell(visit: &Visit) -> Shell {
    visit.shell(Section::Organise, PAGE, about(visit.language).contest)
}

async fn page(
    app: &App,
    visit: &Visit,
    role: Role,
    reading: Option<&Reading>,
    form: ContestForm,
) -> anyhow::Result<OrganiseContestPage> {
    Ok(OrganiseContestPage {
        shell: shell(visit),
        role,
        now: match reading {
            Some(reading) => Some(now(app, visit, reading).await?),
            None => None,
        },
        form,
        is_forced: false,
        errors: Vec::new(),
        notice: None,
    })
}

async fn now(app: &App, visit: &Visit, reading: &Reading) -> anyhow::Result<ContestNow> {
    let (contest, phase, language) = (&reading.contest, reading.phase(), visit.language);
    let board = visit.site.results.board(app, contest).await?;
    let queue = operator::count_videos(&app.backends.db).await?;
    let open_reports = reports::open_count(&app.backends.db).await?;
    let (shell, t) = (shell(visit), sentences(language));
    let tile = |key, label, value: i64| Tile {
        key,
        label,
        value: shell.count(&value),
        note: None,
    };
    let figures = board.figures;
    Ok(ContestNow {
        name: contest.name.clone(),
        phase: phase_words(t.phases, phase),
        sentence: contest.sentence(language, phase),
        countdown: countdown(reading, language),
        tiles: vec![
            tile("players", t.tile_players, figures.players),
            tile("videos", t.tile_videos, figures.videos),
            tile("public", t.tile_public, figures.public_videos),
            tile("votes", t.tile_votes, figures.votes),
            tile("reports", report_words(language).tile, open_reports),
            tile("waiting", t.tile_queue, queue.waiting),
            Tile {
                note: (queue.dead > 0).then_some(shell.t.dead_bad),
                ..tile("dead", t.tile_failed, queue.dead)
            },
        ],
        plot: Plot::of(language, &local_hours(contest, &board.hours)),
        cities: board
            .cities
            .iter()
            .map(|city| CityFigures {
                city: city.city.clone(),
                players: city.players,
                clips: city.clips,
                votes: city.votes,
            })
            .collect(),
        steps: Steps {
            may_freeze: phase == Phase::Closed,
            is_frozen: contest.frozen_at.is_some(),
            is_published: contest.published_at.is_some(),
        },
    })
}

fn phase_words(words: [&'static str; 7], phase: Phase) -> &'static str {
    let [
        upcoming,
        submissions,
        waiting,
        voting,
        closed,
        frozen,
        published,
    ] = words;
    match phase {
        Phase::Upcoming => upcoming,
        Phase::Submissions => submissions,
        Phase::Waiting => waiting,
        Phase::Voting => voting,
        Phase::Closed => closed,
        Phase::Frozen => frozen,
        Phase::Published => published,
    }
}

/// `POST /organizacion/concurso`
///
/// Also after a published contest, which the new one replaces.
pub async fn create(
    app: web::Data<App>,
    visit: Visit,
    staff: Staff<RunContest>,
    current: web::Data<CurrentContest>,
    Fields(form): Fields<ContestFields>,
) -> Result<HttpResponse> {
    let created = match form.plan(None) {
        Ok(plan) => contests::create(&app.backends.db, &staff.by, form.slug(), &plan).await,
        Err(errors) => Err(Refusal::Invalid(errors)),
    };
    answer(
        &app,
        &visit,
        staff.caller.role,
        &current,
        &form,
        "creado",
        created,
    )
    .await
}

/// `POST /organizacion/concurso/cambiar`
pub async fn change(
    app: web::Data<App>,
    visit: Visit,
    staff: Staff<RunContest>,
    current: web::Data<CurrentContest>,
    Fields(form): Fields<ContestFields>,
) -> Result<HttpResponse> {
    let db = &app.backends.db;
    let Some(before) = contests::find(db, form.slug()).await? else {
        return Ok(see_other(PAGE));
    };
    let changed = match form.plan(Some(&before)) {
        Ok(plan) => contests::schedule(db, &staff.by, &before.slug, &plan, form.is_forced()).await,
        Err(errors) => Err(Refusal::Invalid(errors)),
    };
    answer(
        &app,
        &visit,
        staff.caller.role,
        &current,
        &form,
        "guardado",
        changed,
    )
    .await
}

/// Leads back to the page, or shows the form again with what is wrong.
async fn answer(
    app: &App,
    visit: &Visit,
    role: Role,
    current: &CurrentContest,
    form: &ContestFields,
    done: &str,
    outcome: std::result::Result<Changed, Refusal>,
) -> Result<HttpResponse> {
    current.forget().await;
    let refusal = match outcome {
        Ok(changed) => {
            let videos = changed.entered;
            return Ok(see_other(&format!("{PAGE}?hecho={done}&videos={videos}")));
        }
        Err(refusal) => refusal,
    };
    let error = Error::from(refusal);
    let is_forced = error.code == Code::ForceRequired;
    let refused = Refused::of(Some(error), visit.language)?;
    let reading = current.get().await?;
    let affects = is_forced.then(|| Notice::plain(sentences(visit.language).affects));
    let page = OrganiseContestPage {
        is_forced,
        errors: refused.errors,
        notice: affects.or(refused.notice),
        ..page(app, visit, role, reading.as_ref(), form.typed()).await?
    };
    refused.reply.send(visit, &page)
}

/// An act on the current contest, which a page asks about first. The end of the address names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Freeze,
    Publish,
    Remove,
}

impl FromRequest for Act {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let address = request.match_pattern().unwrap_or_default();
        ready(match address.strip_prefix(PAGE) {
            Some("/congelar") => Ok(Self::Freeze),
            Some("/publicar") => Ok(Self::Publish),
            Some("/eliminar") => Ok(Self::Remove),
            Some(_) | None => Err(Code::NotFound.into()),
        })
    }
}

/// Whether the form insists, as the page that asks has told.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct ActFields {
    force: String,
}

/// Returns the page that asks, or leads back if there is no contest any more. Figures are read now,
/// since they decide what the form insists on.
async fn ask(
    app: &App,
    visit: &Visit,
    current: &CurrentContest,
    act: Act,
    error: Option<Error>,
) -> Result<HttpResponse> {
    let Some(contest) = find(current).await? else {
        return Ok(see_other(PAGE));
    };
    let t = sentences(visit.language);
    let is_again = contest.frozen_at.is_some();
    let (title, says) = match act {
        Act::Freeze if is_again => (t.freeze_again, t.freeze_again_says),
        Act::Freeze => (t.freeze, t.freeze_says),
        Act::Publish => (t.publish, t.publish_says),
        Act::Remove => (t.remove, t.remove_says),
    };
    let mut page = ContestActPage {
        shell: visit.shell(Section::Organise, PAGE, title),
        name: contest.name.clone(),
        title,
        sentences: vec![says.to_owned()],
        is_danger: act == Act::Remove,
        is_forced: act == Act::Freeze && is_again,
        notice: None,
    };
    if act == Act::Remove {
        let figures = contests::figures(&app.backends.db, contest.id).await?;
        if figures.votes > 0 {
            page.is_forced = true;
            page.sentences.push((t.remove_votes)(figures.votes));
        }
    }
    let refused = Refused::of(error, visit.language)?;
    page.notice = refused.notice;
    refused.reply.send(visit, &page)
}

async fn find(current: &CurrentContest) -> anyhow::Result<Option<Arc<Contest>>> {
    Ok(current.get().await?.map(|reading| reading.contest))
}

/// `GET /organizacion/concurso/congelar`, `…/publicar` and `…/eliminar`
pub async fn ask_to_act(
    app: web::Data<App>,
    visit: Visit,
    _: Staff<RunContest>,
    current: web::Data<CurrentContest>,
    act: Act,
) -> Result<HttpResponse> {
    ask(&app, &visit, &current, act, None).await
}

/// `POST /organizacion/concurso/congelar`, `…/publicar` and `…/eliminar`
///
/// Does what the page asked about, then leads back.
pub async fn act(
    app: web::Data<App>,
    visit: Visit,
    staff: Staff<RunContest>,
    current: web::Data<CurrentContest>,
    act: Act,
    Fields(fields): Fields<ActFields>,
) -> Result<HttpResponse> {
    let Some(contest) = find(&current).await? else {
        return Ok(see_other(PAGE));
    };
    let (db, by) = (&app.backends.db, &staff.by);
    let (slug, force) = (contest.slug.as_str(), fields.force == "1");
    let (outcome, done) = match act {
        Act::Freeze => (
            contests::freeze(db, by, slug, force).await.map(drop),
            "congelado",
        ),
        Act::Publish => (contests::publish(db, by, slug).await.map(drop), "publicado"),
        Act::Remove => (contests::remove(db, by, slug, force).await, "eliminado"),
    };
    current.forget().await;
    match outcome {
        Ok(()) => Ok(see_other(&format!("{PAGE}?hecho={done}"))),
        Err(refusal) => ask(&app, &visit, &current, act, Some(refusal.into())).await,
    }
}
