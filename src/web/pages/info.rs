//! Help and data policy: `/ayuda`, `/privacidad`. They depend on no data but the contest's dates and
//! rules.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;

use crate::{
    contests::CurrentContest,
    http::{
        Result,
        cache::{Built, PageCache},
    },
    web::{
        contest, public,
        text::{phrases, privacy::draft},
        view::{
            Section,
            info::{Block, HelpPage, PrivacyPage},
        },
        visit::Visit,
    },
};

/// `GET /ayuda`
pub async fn help(
    cache: web::Data<PageCache>,
    current: web::Data<CurrentContest>,
    request: HttpRequest,
    visit: Visit,
) -> Result<HttpResponse> {
    let t = phrases(visit.language);
    // The rest of the page needs no database.
    let reading = current.get().await.ok().flatten();
    let page = HelpPage {
        contest: reading.map(|reading| contest::help(&reading.contest, visit.language)),
        shell: visit.public_shell(Section::None, "/ayuda", t.help_title),
    };
    respond(&cache, &request, &visit, &page).await
}

/// `GET /privacidad`
pub async fn privacy(
    cache: web::Data<PageCache>,
    request: HttpRequest,
    visit: Visit,
) -> Result<HttpResponse> {
    let t = phrases(visit.language);
    let own = visit.site.privacy_policy.as_deref();
    let page = PrivacyPage {
        shell: visit.public_shell(Section::None, "/privacidad", t.privacy_title),
        text: Block::read(own.unwrap_or_else(|| draft(visit.language))),
        is_draft: own.is_none(),
    };
    respond(&cache, &request, &visit, &page).await
}

async fn respond(
    cache: &PageCache,
    request: &HttpRequest,
    visit: &Visit,
    page: &impl Template,
) -> Result<HttpResponse> {
    let key = format!("{} {:?}", request.path(), visit.language);
    let build = async || Ok(Built::html(StatusCode::OK, page.render()?));
    let cached = cache.get(key, build).await?;
    Ok(public(visit, cached.respond_as_is(request)))
}
