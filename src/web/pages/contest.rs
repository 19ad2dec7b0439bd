//! The result of a contest and the record of it: `/resultados/{slug}`, and for organisers before it
//! is public, `/organizacion/concurso/resultado`.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;

use crate::{
    app::App,
    auth::permissions::ExportResults,
    contests::{self, CityFilter, CityResult, Contest, CurrentContest},
    db::Db,
    http::{
        Code, Result,
        cache::{Built, PageCache},
        filter,
        page::{Next, Page},
    },
    ids::ContestId,
    web::{
        clips::{self, Address},
        contest::{local, moment},
        private, public,
        text::contest::contest as sentences,
        view::{
            City, CityChoice, Section, Shell,
            contest::{FrozenResult, RecordPage, ResultPage, ResultRow},
        },
        visit::{Staff, Visit, see_other},
    },
};

/// Rows per page of the result.
const ROWS: u32 = 100;

/// Maximum rows of a record.
const RECORD_ROWS: u32 = 1000;

/// Where organisers without a result are led.
const CONTEST: &str = "/organizacion/concurso";
const PREVIEW: &str = "/organizacion/concurso/resultado";
const PREVIEW_RECORD: &str = "/organizacion/concurso/acta";

#[derive(Deserialize)]
pub struct Filters {
    ciudad: Option<String>,
    pagina: Option<String>,
}

/// A page that shows a frozen result.
pub trait OfResult: Template + Sized {
    /// The first part of a cached page's key.
    const KEY: &'static str;

    /// Returns which rows a request asks for.
    fn page(filters: &Filters) -> Result<Page>;

    fn new(visit: &Visit, contest: &Contest, read: Read, page: Page) -> Self;
}

impl OfResult for ResultPage {
    const KEY: &'static str = "/resultados";

    fn page(filters: &Filters) -> Result<Page> {
        Page::of_size(ROWS, filters.pagina.as_deref(), None)
    }

    fn new(visit: &Visit, contest: &Contest, read: Read, page: Page) -> Self {
        let Read { result, cities } = read;
        let chosen = result.city.as_ref().map(|city| city.key.as_str());
        let address = Address::new(&result.page).with("ciudad", chosen);
        let position = page.offset().saturating_add(i64::from(ROWS));
        let next = if result.players > position {
            Next::ByNumber
        } else {
            Next::Nothing
        };
        let number = page.number().to_string();
        let own = address.clone().of_page(page, Some(&number), None);
        let title = sentences(visit.language).result;
        Self {
            shell: shell(visit, contest, own, title),
            cities: cities.iter().map(choice).collect(),
            pager: clips::pager(page, next, &address),
            result,
        }
    }
}

impl OfResult for RecordPage {
    const KEY: &'static str = "/resultados/acta";

    fn page(_: &Filters) -> Result<Page> {
        Page::of_size(RECORD_ROWS, None, None)
    }

    fn new(visit: &Visit, contest: &Contest, read: Read, _: Page) -> Self {
        let own = Address(read.result.record.clone());
        let title = sentences(visit.language).record_title;
        Self {
            shell: shell(visit, contest, own, title),
            result: read.result,
        }
    }
}

/// `GET /resultados/{slug}` and `GET /resultados/{slug}/acta`
pub async fn published<P: OfResult>(
    app: web::Data<App>,
    cache: web::Data<PageCache>,
    request: HttpRequest,
    visit: Visit,
    slug: web::Path<String>,
    filters: web::Query<Filters>,
) -> Result<HttpResponse> {
    let contest = find_published(&app, &slug).await?;
    let city = filter::city(filters.ciudad.as_deref())?;
    let page = P::page(&filters)?;
    let (start, language) = (P::KEY, visit.language);
    let key = format!("{start} {language:?} {slug} {} {city:?}", page.key());
    let build = async || {
        let read = read(&app, &visit, &contest, city.as_deref(), page).await?;
        let html = P::new(&visit, &contest, read, page).render()?;
        Ok(Built::html(StatusCode::OK, html))
    };
    let cached = cache.get(key, build).await?;
    Ok(public(&visit, cached.respond_as_is(&request)))
}

/// `GET /organizacion/concurso/resultado` and `GET /organizacion/concurso/acta`
pub async fn preview<P: OfResult>(
    app: web::Data<App>,
    visit: Visit,
    _: Staff<ExportResults>,
    contest: web::Data<CurrentContest>,
    filters: web::Query<Filters>,
) -> Result<HttpResponse> {
    let Some(contest) = frozen(&contest).await? else {
        return Ok(see_other(CONTEST));
    };
    let city = filter::city(filters.ciudad.as_deref())?;
    let page = P::page(&filters)?;
    let read = read(&app, &visit, &contest, city.as_deref(), page).await?;
    private(
        &visit,
        StatusCode::OK,
        &P::new(&visit, &contest, read, page),
    )
}

/// Returns the contest with this slug if its result is public.
async fn find_published(app: &App, slug: &str) -> Result<Contest> {
    let contest = contests::find(&app.backends.db, slug).await?;
    let contest = contest.filter(|contest| contest.published_at.is_some());
    Ok(contest.ok_or(Code::NotFound)?)
}

/// Returns the current contest if its result is frozen.
async fn frozen(current: &CurrentContest) -> anyhow::Result<Option<Arc<Contest>>> {
    let contest = current.get().await?.map(|reading| reading.contest);
    Ok(contest.filter(|contest| contest.frozen_at.is_some()))
}

/// Where the pages of a result are.
fn addresses(contest: &Contest) -> [String; 2] {
    if contest.published_at.is_some() {
        let page = format!("/resultados/{}", contest.slug);
        [format!("{page}/acta"), page]
    } else {
        [PREVIEW_RECORD.to_owned(), PREVIEW.to_owned()]
    }
}

fn shell(visit: &Visit, contest: &Contest, own: Address, title: &str) -> Shell {
    let title = format!("{title} · {}", contest.name);
    if contest.published_at.is_some() {
        visit.public_shell(Section::Ranking, own.0, title)
    } else {
        visit.shell(Section::Organise, own.0, title)
    }
}

fn choice(city: &CityResult) -> CityChoice {
    CityChoice {
        city: City {
            name: city.city.clone(),
            key: city.key.clone(),
        },
        department: None,
        clips: city.players,
    }
}

/// A frozen result and its cities, as a page needs them.
pub struct Read {
    /// With the rows of one page.
    result: FrozenResult,
    cities: Vec<CityResult>,
}

/// Reads a page of a frozen result, and its cities.
async fn read(
    app: &App,
    visit: &Visit,
    contest: &Contest,
    city: Option<&str>,
    page: Page,
) -> anyhow::Result<Read> {
    let (db, language) = (&app.backends.db, visit.language);
    let mut cities = visit.site.results.cities(app, contest).await?.to_vec();
    let filter = match city {
        None => None,
        Some(city) => Some(CityFilter::resolve(db, city).await?),
    };
    let key = filter.as_ref().map(CityFilter::key);
    let of_city = |city: &&CityResult| key.is_none_or(|key| city.key == key);
    let players = cities.iter().filter(of_city).map(|city| city.players).sum();
    let votes = cities.iter().filter(of_city).map(|city| city.votes).sum();
    let name = cities.iter().find(of_city).map(|city| city.city.clone());
    let chosen = key.map(|key| City {
        name: name.unwrap_or_else(|| key.to_owned()),
        key: key.to_owned(),
    });
    let frozen = contest
        .frozen_at
        .map(|at| local(contest, at))
        .unwrap_or_default();
    let api = match contest.published_at {
        Some(_) => "/api/public/contest",
        None => "/api/contests",
    };
    let file = |ending: &str| {
        let path = format!("{api}/{}/results.{ending}", contest.slug);
        Address(path).with("city", key).0
    };
    let [record, result] = addresses(contest);
    let json = file("json");
    let result = FrozenResult {
        contest: contest.name.clone(),
        record: Address(record).with("ciudad", key).0,
        page: result,
        is_public: contest.published_at.is_some(),
        players,
        votes,
        frozen: moment(contest, language, frozen),
        voting_opened: moment(contest, language, contest.local.voting_open),
        voting_closed: moment(contest, language, contest.local.voting_close),
        digest: visit
            .site
            .results
            .digest(app, contest, filter.as_ref())
            .await?,
        file: visit.site.absolute(&json).unwrap_or_else(|| json.clone()),
        table: file("csv"),
        json,
        rows: rows(db, contest.id, filter.as_ref(), page).await?,
        city: chosen,
    };
    cities.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(Read { result, cities })
}

/// Reads the rows of a page. A row is tied with its neighbours in the list that is shown, also with
/// those on the adjacent pages.
async fn rows(
    db: &Db,
    contest: ContestId,
    city: Option<&CityFilter>,
    page: Page,
) -> anyhow::Result<Vec<ResultRow>> {
    let offset = page.offset();
    // The row above the page, if there is one, and the row below it.
    let above = offset.min(1);
    let after = i32::try_from(offset - above).unwrap_or(i32::MAX);
    let found = contests::page(db, contest, city, after, page.fetch_limit() + above).await?;
    let votes = |index: usize| found.get(index).map(|row| row.votes);
    let shown = found.iter().enumerate();
    let shown = shown.skip(usize::try_from(above)?);
    let shown = shown.take(usize::try_from(page.limit())?);
    let rows = shown.map(|(index, row)| ResultRow {
        place: match city {
            None => row.position,
            Some(_) => row.city_position,
        },
        is_tied: [index.checked_sub(1), index.checked_add(1)]
            .into_iter()
            .flatten()
            .any(|neighbour| votes(neighbour) == Some(row.votes)),
        player: row.player.clone(),
        city: row.city.clone(),
        votes: row.votes,
        clip_title: row.title.clone(),
        clip_page: format!("/videos/{}", row.video_id),
    });
    Ok(rows.collect())
}
