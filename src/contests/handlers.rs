//! Endpoints of the contest: for everybody here, for organisers in [`organise`].

pub mod organise;

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::header::{self, HeaderValue},
    web,
};
use chrono::{DateTime, Utc};
use futures_util::{Stream, TryStreamExt as _};
use serde::{Deserialize, Serialize};

use super::{CityFilter, Contest, CurrentContest, Figures, ResultRow, Rules};
use crate::{
    app::App,
    http::{
        Code, Result,
        cache::{Built, PageCache},
        filter,
        page::{Next, Page},
        representation::{begin_response, tag_of},
    },
    ids::VideoId,
    language::Language,
};

/// How long clients may show a contest without asking again.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=1");

/// A published result does not change.
const RESULT_CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=60");

#[derive(Serialize)]
struct Window {
    opens_at: DateTime<Utc>,
    closes_at: DateTime<Utc>,
    is_open: bool,
}

#[derive(Serialize)]
struct ContestBody {
    slug: String,
    name: String,
    time_zone: String,
    phase: &'static str,
    /// Where the contest stands, for people.
    message: String,
    submissions: Window,
    voting: Window,
    rules: RulesBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    frozen_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    published_at: Option<DateTime<Utc>>,
    /// SHA-256 of `results.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
}

/// Rules that the contest does not have are absent.
#[derive(Serialize)]
struct RulesBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    votes_per_day: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    votes_in_all: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_account_age_seconds: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries_per_player: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_duration_seconds: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_duration_seconds: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_lines: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_file_bytes: Option<i64>,
}

impl From<Rules> for RulesBody {
    fn from(rules: Rules) -> Self {
        let Rules {
            votes_per_day,
            votes_in_all,
            min_account_age_seconds,
            entries_per_player,
            min_duration_seconds,
            max_duration_seconds,
            min_lines,
            max_file_bytes,
        } = rules;
        Self {
            votes_per_day,
            votes_in_all,
            min_account_age_seconds,
            entries_per_player,
            min_duration_seconds,
            max_duration_seconds,
            min_lines,
            max_file_bytes,
        }
    }
}

impl ContestBody {
    fn new(contest: &Contest, now: DateTime<Utc>, language: Language) -> Self {
        let phase = contest.phase(now);
        Self {
            slug: contest.slug.clone(),
            name: contest.name.clone(),
            time_zone: contest.time_zone.clone(),
            phase: phase.name(),
            message: contest.sentence(language, phase),
            submissions: Window {
                opens_at: contest.submissions_open_at,
                closes_at: contest.submissions_close_at,
                is_open: contest.takes_videos(now),
            },
            voting: Window {
                opens_at: contest.voting_open_at,
                closes_at: contest.voting_close_at,
                is_open: phase == super::Phase::Voting,
            },
            rules: contest.rules.into(),
            frozen_at: contest.frozen_at,
            published_at: contest.published_at,
            digest: contest.digest.clone(),
        }
    }
}

/// Returns a contest as JSON, for `anb contest --json`.
pub fn json(contest: &Contest, figures: Figures) -> impl Serialize {
    #[derive(Serialize)]
    struct Described {
        #[serde(flatten)]
        contest: ContestBody,
        figures: Figures,
    }
    Described {
        contest: ContestBody::new(contest, contest.now, Language::English),
        figures,
    }
}

/// `GET /api/public/contest`
pub async fn current(
    current: web::Data<CurrentContest>,
    language: Language,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let reading = current.get().await?.ok_or(Code::NotFound)?;
    let body = ContestBody::new(&reading.contest, reading.now(), language);
    let body = serde_json::to_vec(&body).map_err(anyhow::Error::from)?;
    let (mut response, is_current) = begin_response(&request, &tag_of(&body), CACHE_CONTROL);
    response.insert_header((header::VARY, "accept-encoding, accept-language"));
    if is_current {
        return Ok(response.finish());
    }
    Ok(response
        .insert_header((header::CONTENT_LANGUAGE, language.tag()))
        .content_type("application/json")
        .body(body))
}

#[derive(Deserialize)]
pub struct ResultQuery {
    city: Option<String>,
}

#[derive(Serialize)]
struct ResultBody {
    position: i32,
    city: String,
    city_position: i32,
    is_tied: bool,
    username: String,
    votes: i64,
    video_id: VideoId,
    title: String,
}

impl From<&ResultRow> for ResultBody {
    fn from(row: &ResultRow) -> Self {
        Self {
            position: row.position,
            city: row.city.clone(),
            city_position: row.city_position,
            is_tied: row.is_tied,
            username: row.player.clone(),
            votes: row.votes,
            video_id: row.video_id,
            title: row.title.clone(),
        }
    }
}

/// Returns the contest with this slug if its result is public.
async fn published(app: &App, slug: &str) -> Result<Contest> {
    let contest = super::find(&app.backends.db, slug).await?;
    let published = contest.filter(|contest| contest.published_at.is_some());
    Ok(published.ok_or(Code::NotFound)?)
}

/// Returns the city that a request asks for.
async fn city_filter(app: &App, query: &ResultQuery) -> Result<Option<CityFilter>> {
    Ok(match filter::city(query.city.as_deref())? {
        None => None,
        Some(city) => Some(CityFilter::resolve(&app.backends.db, &city).await?),
    })
}

/// `GET /api/public/contest/{slug}/results`
pub async fn results(
    app: web::Data<App>,
    cache: web::Data<PageCache>,
    slug: web::Path<String>,
    query: web::Query<ResultQuery>,
    page: Page,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let contest = published(&app, &slug).await?;
    let city = city_filter(&app, &query).await?;
    let key = format!("results {} {city:?} {}", contest.slug, page.key());
    let list = async || {
        let (rows, has_next) = result_page(&app, &contest, city.as_ref(), page).await?;
        let next = if has_next {
            Next::ByNumber
        } else {
            Next::Nothing
        };
        Built::list(&rows, next)
    };
    let cached = cache.get(key, list).await?;
    Ok(cached.respond(&request, page))
}

/// `GET /api/public/contest/{slug}/results.json`
pub async fn results_json(
    app: web::Data<App>,
    slug: web::Path<String>,
    query: web::Query<ResultQuery>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let contest = published(&app, &slug).await?;
    file(&app, contest, &query, Format::Json, &request).await
}

/// `GET /api/public/contest/{slug}/results.csv`
pub async fn results_table(
    app: web::Data<App>,
    slug: web::Path<String>,
    query: web::Query<ResultQuery>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let contest = published(&app, &slug).await?;
    file(&app, contest, &query, Format::Table, &request).await
}

/// Returns the rows of a page, and whether there is a next one.
async fn result_page(
    app: &App,
    contest: &Contest,
    city: Option<&CityFilter>,
    page: Page,
) -> anyhow::Result<(Vec<ResultBody>, bool)> {
    // Positions have no gaps.
    let after = i32::try_from(page.offset()).unwrap_or(i32::MAX);
    let limit = page.fetch_limit();
    let rows = super::page(&app.backends.db, contest.id, city, after, limit).await?;
    let (rows, has_next) = page.trim(&rows);
    Ok((rows.iter().map(ResultBody::from).collect(), has_next))
}

/// The format of a whole result.
#[derive(Debug, Clone, Copy)]
enum Format {
    Json,
    Table,
}

/// Returns a whole result, in parts.
async fn file(
    app: &App,
    contest: Contest,
    query: &ResultQuery,
    format: Format,
    request: &HttpRequest,
) -> Result<HttpResponse> {
    let city = city_filter(app, query).await?;
    let tag = tag_of(format!("{:?} {format:?} {city:?}", contest.digest).as_bytes());
    let cache_control = if contest.published_at.is_some() {
        RESULT_CACHE_CONTROL
    } else {
        HeaderValue::from_static("no-store")
    };
    let (mut response, is_current) = begin_response(request, &tag, cache_control);
    if is_current {
        return Ok(response.finish());
    }
    let (content_type, ending) = match format {
        Format::Json => ("application/json", "json"),
        Format::Table => ("text/csv; charset=utf-8", "csv"),
    };
    let name = format!("attachment; filename=\"{}.{ending}\"", contest.slug);
    response
        .content_type(content_type)
        .insert_header((header::CONTENT_DISPOSITION, name));
    let db = app.backends.db.clone();
    Ok(match format {
        Format::Json => stream(&mut response, super::json(db, &contest, city)),
        Format::Table => stream(&mut response, super::table(db, &contest, city)),
    })
}

fn stream(
    response: &mut HttpResponseBuilder,
    parts: impl Stream<Item = anyhow::Result<String>> + 'static,
) -> HttpResponse {
    let bytes = parts.map_ok(web::Bytes::from);
    response.streaming(bytes.map_err(std::io::Error::other))
}
