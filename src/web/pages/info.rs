//! Help and data policy: `/ayuda`, `/privacidad`. They depend on no data.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderValue},
};
use askama::Template;

use crate::{
    http::{
        Result,
        representation::{HTML, STATIC_CACHE_CONTROL, accepts_gzip, begin_response, gzip, tag_of},
    },
    web::{
        public,
        text::{phrases, privacy::draft},
        view::{
            Section,
            info::{Block, HelpPage, PrivacyPage},
        },
        visit::Visit,
    },
};

/// `GET /ayuda`
pub async fn help(request: HttpRequest, visit: Visit) -> Result<HttpResponse> {
    let t = phrases(visit.language);
    let page = HelpPage {
        shell: visit.public_shell(Section::None, "/ayuda", t.help_title),
    };
    respond(&request, &visit, &page)
}

/// `GET /privacidad`
pub async fn privacy(request: HttpRequest, visit: Visit) -> Result<HttpResponse> {
    let t = phrases(visit.language);
    let own = visit.site.privacy_policy.as_deref();
    let page = PrivacyPage {
        shell: visit.public_shell(Section::None, "/privacidad", t.privacy_title),
        text: Block::read(own.unwrap_or_else(|| draft(visit.language))),
        is_draft: own.is_none(),
    };
    respond(&request, &visit, &page)
}

fn respond(request: &HttpRequest, visit: &Visit, page: &impl Template) -> Result<HttpResponse> {
    let html = page.render().map_err(anyhow::Error::from)?;
    let tag = tag_of(html.as_bytes());
    let (mut response, is_current) = begin_response(request, &tag, STATIC_CACHE_CONTROL);
    let response = if is_current {
        response.finish()
    } else if accepts_gzip(request) {
        response
            .content_type(HTML)
            .insert_header((header::CONTENT_ENCODING, HeaderValue::from_static("gzip")))
            .body(gzip(html.as_bytes()))
    } else {
        response.content_type(HTML).body(html)
    };
    Ok(public(visit, response))
}
