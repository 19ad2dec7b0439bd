//! `GET /clasificacion`: players or videos by votes.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template as _;
use serde::Deserialize;

use crate::{
    app::App,
    contests::CurrentContest,
    http::{
        Error, Result,
        cache::{Built, PageCache},
        filter,
        page::Page,
    },
    keyset::ListRange,
    listing::{self, PublicVideo, Ranking},
    validate::Problem,
    web::{
        clips::{self, Address, Neighbours},
        contest::band,
        public,
        text::phrases,
        view::{
            Section,
            ranking::{By, RankingPage},
        },
        visit::Visit,
    },
};

/// Rows per page.
const ROWS: u32 = 50;

#[derive(Deserialize)]
pub struct Filters {
    ciudad: Option<String>,
    por: Option<String>,
    pagina: Option<String>,
    despues: Option<String>,
}

/// `GET /clasificacion`
pub async fn ranking(
    app: web::Data<App>,
    cache: web::Data<PageCache>,
    contest: web::Data<CurrentContest>,
    request: HttpRequest,
    visit: Visit,
    filters: web::Query<Filters>,
) -> Result<HttpResponse> {
    let (by, ranking) = match filters.por.as_deref() {
        None | Some("jugador") => (By::Player, Ranking::Players),
        Some("video") => (By::Video, Ranking::Videos),
        Some(_) => return Err(Error::field("por", Problem::Invalid)),
    };
    let city = filter::city(filters.ciudad.as_deref())?;
    let (number, after) = (filters.pagina.as_deref(), filters.despues.as_deref());
    let page = Page::of_size(ROWS, number, after)?;
    let key = format!(
        "/clasificacion {:?} {by:?} {} {city:?}",
        visit.language,
        page.key()
    );
    let build = async || {
        let db = &app.backends.db;
        let (cities, city) = clips::city_choices(&app, &visit.site, city.as_deref()).await?;
        let city_key = city.as_ref().map(|city| city.key.as_str());
        // With the entry above the page, if there is one, for ties and gaps.
        let range = page.range();
        let before = range.offset.min(1);
        let wider = ListRange {
            offset: range.offset - before,
            limit: range.limit + before,
            ..range
        };
        let found = listing::rank(db, ranking, city_key, wider).await?;
        let (above, found) = found
            .split_at_checked(usize::try_from(before)?)
            .unwrap_or_default();
        let (shown, end) = page.trim_with_cursor(found, PublicVideo::rank_key);
        let neighbours = Neighbours {
            above: match range.after {
                Some(above) => Some(above.votes),
                None => above.first().map(|above| above.votes),
            },
            below: found.get(shown.len()).map(|below| below.votes),
        };
        let address = Address::new("/clasificacion")
            .with("por", (by == By::Video).then_some(by.key()))
            .with("ciudad", city_key);
        let own = address.clone().of_page(page, number, after);
        let t = phrases(visit.language);
        let contest = band(contest.get().await?.as_ref(), visit.language);
        let shell = visit.public_shell(Section::Ranking, own.0, t.ranking);
        let place = page.position() + 1;
        let rows = clips::standings(shown, place, neighbours, &app.media_urls)?;
        let html = RankingPage {
            shell: shell.during(contest),
            by,
            cities,
            city,
            rows,
            pager: clips::pager(page, page.next(end), &address),
        }
        .render()?;
        Ok(Built::html(StatusCode::OK, html))
    };
    let cached = cache.get(key, build).await?;
    Ok(public(&visit, cached.respond_as_is(&request)))
}
