//! Paging of lists: `page` and `limit`, and the `Link` header (RFC 8288) to the pages beside.

use actix_web::{HttpRequest, HttpResponse, http::header};
use serde::Serialize;
use url::form_urlencoded;

use super::Result;
use crate::validate::{Checks, Problem};

/// Highest page: deep enough for any list, small enough to multiply.
const MAX_PAGE: u32 = 1_000_000;

/// Most entries of one page.
const MAX_LIMIT: u32 = 100;

const DEFAULT_LIMIT: u32 = 50;

/// One page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Page {
    page: u32,
    limit: u32,
}

impl Page {
    /// Reads the two parameters of a query. Returns 400 naming what is out of range.
    pub fn parse(page: Option<&str>, limit: Option<&str>) -> Result<Self> {
        let mut checks = Checks::default();
        let mut number = |field, text: Option<&str>, default, max| {
            let Some(text) = text else { return default };
            match text.parse() {
                Ok(number) if (1..=max).contains(&number) => number,
                _ => {
                    checks.add(field, Problem::OutOfRange { min: 1, max });
                    default
                }
            }
        };
        let page = number("page", page, 1, MAX_PAGE);
        let limit = number("limit", limit, DEFAULT_LIMIT, MAX_LIMIT);
        checks.finish()?;
        Ok(Self { page, limit })
    }

    /// How many entries come before this page.
    pub fn offset(self) -> i64 {
        i64::from(self.page - 1) * i64::from(self.limit)
    }

    /// How many entries to ask for: one more than the page holds, which tells whether there is another.
    pub fn probe(self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// Returns `entries` without the probe, and whether there is a page after this one.
    pub fn cut<T>(self, entries: &[T]) -> (&[T], bool) {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        entries
            .get(..limit)
            .map_or((entries, false), |page| (page, entries.len() > limit))
    }

    /// Answers with a page of somebody's own list.
    pub fn private<T: Serialize>(
        self,
        entries: &T,
        has_next: bool,
        request: &HttpRequest,
    ) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        if let Some(link) = self.link(has_next, request) {
            response.insert_header((header::LINK, link));
        }
        response.json(entries)
    }

    /// Returns the `Link` header's value, if there are pages beside.
    pub fn link(self, has_next: bool, request: &HttpRequest) -> Option<String> {
        let mut links = Vec::new();
        if has_next && self.page < MAX_PAGE {
            links.push(link(request, self.page + 1, "next"));
        }
        if self.page > 1 {
            links.push(link(request, self.page - 1, "prev"));
        }
        (!links.is_empty()).then(|| links.join(", "))
    }
}

fn link(request: &HttpRequest, page: u32, relation: &str) -> String {
    let others = form_urlencoded::parse(request.query_string().as_bytes())
        .filter(|(name, _)| name != "page");
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("page", &page.to_string())
        .extend_pairs(others)
        .finish();
    format!("<{}?{query}>; rel=\"{relation}\"", request.path())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn parameters_out_of_range_are_refused() {
        assert_eq!(
            Page::parse(None, None).unwrap(),
            Page { page: 1, limit: 50 }
        );
        assert_eq!(Page::parse(Some("3"), Some("100")).unwrap().offset(), 200);
        for (page, limit) in [
            ("0", "1"),
            ("-1", "1"),
            ("x", "1"),
            ("9223372036854775807", "1"),
            ("1", "101"),
            ("1", "0"),
            ("1", ""),
        ] {
            assert!(
                Page::parse(Some(page), Some(limit)).is_err(),
                "{page} {limit}"
            );
        }
    }

    #[test]
    fn links_keep_the_other_parameters() {
        let request =
            TestRequest::with_uri("/api/x?city=Bogot%C3%A1&page=2&limit=2").to_http_request();
        let page = Page { page: 2, limit: 2 };
        assert_eq!(page.cut(&[1, 2]), (&[1, 2][..], false));
        assert_eq!(page.cut(&[1, 2, 3]), (&[1, 2][..], true));
        let link = page.link(true, &request).unwrap();
        assert_eq!(
            link,
            "</api/x?page=3&city=Bogot%C3%A1&limit=2>; rel=\"next\", \
             </api/x?page=1&city=Bogot%C3%A1&limit=2>; rel=\"prev\""
        );
    }
}
