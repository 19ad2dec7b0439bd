//! `GET /`: the public clips, most voted first.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template as _;
use serde::Deserialize;

use crate::{
    app::App,
    contests::CurrentContest,
    http::{
        Result,
        cache::{Built, PageCache},
        filter,
        page::Page,
    },
    keyset::ListRange,
    listing::{self, PublicVideo, Ranking},
    web::{
        clips::{self, Address, CLIPS_PER_PAGE, Neighbours},
        contest::band,
        public,
        text::phrases,
        view::{Section, gallery::GalleryPage},
        visit::Visit,
    },
};

/// Rows of the ranking beside the clips.
const TOP: i64 = 5;

#[derive(Deserialize)]
pub struct Filters {
    ciudad: Option<String>,
    q: Option<String>,
    pagina: Option<String>,
    despues: Option<String>,
}

/// `GET /`
pub async fn gallery(
    app: web::Data<App>,
    cache: web::Data<PageCache>,
    contest: web::Data<CurrentContest>,
    request: HttpRequest,
    visit: Visit,
    filters: web::Query<Filters>,
) -> Result<HttpResponse> {
    let city = filter::city(filters.ciudad.as_deref())?;
    let text = filter::text(filters.q.as_deref())?;
    let (number, after) = (filters.pagina.as_deref(), filters.despues.as_deref());
    let page = Page::of_size(CLIPS_PER_PAGE, number, after)?;
    let key = format!("/ {:?} {} {city:?} {text:?}", visit.language, page.key());
    let build = async || {
        let db = &app.backends.db;
        let (cities, city) = clips::city_choices(&app, &visit.site, city.as_deref()).await?;
        let city_key = city.as_ref().map(|city| city.key.as_str());
        let (found, stopped_at) = match &text {
            None => (
                listing::rank(db, Ranking::Videos, city_key, page.range()).await?,
                None,
            ),
            Some(text) => {
                let found = listing::search(&app, text, city_key, page.range()).await?;
                (found.videos, found.stopped_at)
            }
        };
        let (found, end) = page.trim_with_cursor(&found, PublicVideo::rank_key);
        let next = match stopped_at {
            None => page.next(end),
            Some(place) => page.continue_search(place, found.len()),
        };
        let is_front = city.is_none() && text.is_none() && page.number() == 1;
        let top = if is_front {
            listing::rank(db, Ranking::Players, None, ListRange::first(TOP)).await?
        } else {
            Vec::new()
        };
        let address = Address::new("/")
            .with("ciudad", city_key)
            .with("q", text.as_deref());
        let own = address.clone().of_page(page, number, after);
        let t = phrases(visit.language);
        let contest = band(contest.get().await?.as_ref(), visit.language);
        let shell = visit.public_shell(Section::Videos, own.0, t.brand);
        let html = GalleryPage {
            shell: shell.during(contest),
            cities,
            city,
            query: text.clone(),
            clips: clips::clips(found, &app.media_urls),
            top: clips::standings(&top, 1, Neighbours::default(), &app.media_urls)?,
            pager: clips::pager(page, next, &address),
        }
        .render()?;
        Ok(Built::html(StatusCode::OK, html))
    };
    let cached = cache.get(key, build).await?;
    Ok(public(&visit, cached.respond_as_is(&request)))
}
