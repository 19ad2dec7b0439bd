//! Paging of lists by `page` and `limit`, with `Link` headers (RFC 8288) to the adjacent pages.
//! Deep pages of public lists use keyset pagination (`after`), so they cost no more than the first.

use std::{
    fmt,
    future::{Ready, ready},
    str::FromStr,
};

use actix_web::{FromRequest, HttpRequest, HttpResponse, dev::Payload, http::header, web};
use chrono::DateTime;
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use super::{Code, Error, Result};
use crate::{
    ids::VideoId,
    keyset::{ListRange, RankKey},
    validate::{Checks, Problem},
};

/// Maximum page number: high enough for any list, low enough to multiply without overflow.
const MAX_PAGE: u32 = 1_000_000;

/// Maximum number of entries per page.
const MAX_LIMIT: u32 = 100;

const DEFAULT_LIMIT: u32 = 50;

/// The year 10000, in microseconds since 1970.
const END_MICROS: i64 = 253_402_300_800_000_000;

/// From this page of a public list on, the next page is linked by cursor.
const LAST_COUNTED: u32 = 20;

/// One page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "the parameters' names")]
pub struct Page {
    page: u32,
    limit: u32,
    after: Option<Cursor>,
}

/// A position in a public list, as serialised in the parameter `after`: all columns of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Number of entries up to this position.
    pub position: i64,
    pub rank_key: RankKey,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RankKey { votes, since, id } = self.rank_key;
        let micros = since.timestamp_micros();
        write!(f, "{}.{votes}.{micros}.{id}", self.position)
    }
}

impl FromStr for Cursor {
    type Err = Problem;

    fn from_str(text: &str) -> std::result::Result<Self, Problem> {
        let mut parts = text.split('.');
        let mut number = || parts.next()?.parse::<u32>().ok().map(i64::from);
        let (position, votes) = (number(), number());
        let micros = parts.next().and_then(|part| part.parse().ok());
        // PostgreSQL supports fewer years than chrono, and no row is older than 1970.
        let micros = micros.filter(|micros| (0..END_MICROS).contains(micros));
        let since = micros.and_then(DateTime::from_timestamp_micros);
        let id = parts.next().and_then(VideoId::parse);
        match (position, votes, since, id, parts.next()) {
            (Some(position), Some(votes), Some(since), Some(id), None) => Ok(Self {
                position,
                rank_key: RankKey { votes, since, id },
            }),
            _ => Err(Problem::Invalid),
        }
    }
}

/// How the next page is addressed.
#[derive(Debug, Clone, Copy)]
pub enum Next {
    /// There is no next page.
    Nothing,
    /// By number.
    ByNumber,
    /// By cursor: the end of this page, or the point where the search for its entries stopped.
    ByCursor(Cursor),
}

/// A page of a public list, which may begin `after` a cursor instead of at a `page`.
#[derive(Debug, Clone, Copy)]
pub struct PublicPage(pub Page);

#[derive(Deserialize)]
struct PageQuery {
    page: Option<String>,
    limit: Option<String>,
    after: Option<String>,
}

impl PageQuery {
    fn of(request: &HttpRequest) -> Result<Self> {
        let query = web::Query::<Self>::from_query(request.query_string());
        query
            .map(web::Query::into_inner)
            .map_err(|_unreadable| Code::ValidationFailed.into())
    }
}

impl FromRequest for Page {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(
            PageQuery::of(request)
                .and_then(|query| Self::parse(query.page.as_deref(), query.limit.as_deref())),
        )
    }
}

impl FromRequest for PublicPage {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(PageQuery::of(request).and_then(|query| {
            let page = Page::parse(query.page.as_deref(), query.limit.as_deref())?;
            page.beginning_after(query.after.as_deref()).map(Self)
        }))
    }
}

impl Page {
    /// Parses `page` and `limit`. Returns 400 naming those out of range.
    pub(super) fn parse(page: Option<&str>, limit: Option<&str>) -> Result<Self> {
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
        Ok(Self {
            page,
            limit,
            after: None,
        })
    }

    /// Parses the parameters of a list with a fixed number of entries per page.
    pub fn of_size(limit: u32, page: Option<&str>, after: Option<&str>) -> Result<Self> {
        let page = Self::parse(page, None)?;
        Self { limit, ..page }.beginning_after(after)
    }

    /// Parses the parameter of a list whose pages only have a `limit`.
    pub fn of_limit(limit: Option<&str>) -> Result<Self> {
        Self::parse(None, limit)
    }

    /// Returns the maximum number of entries per page.
    pub fn limit(self) -> u32 {
        self.limit
    }

    /// Parses `after`. Returns 400 if it is not a cursor.
    fn beginning_after(self, after: Option<&str>) -> Result<Self> {
        let after = after.map(str::parse).transpose();
        let after = after.map_err(|problem| Error::field("after", problem))?;
        Ok(Self { after, ..self })
    }

    /// Returns the number of this page, counted from 1.
    pub fn number(self) -> i64 {
        self.position() / i64::from(self.limit) + 1
    }

    /// Returns the number of the page before, or none for the first page and one after a cursor.
    pub fn previous(self) -> Option<u32> {
        (self.after.is_none() && self.page > 1).then(|| self.page - 1)
    }

    /// Returns the range of the list on this page, and one entry more to detect a next page.
    pub fn range(self) -> ListRange {
        ListRange {
            after: self.after.map(|cursor| cursor.rank_key),
            offset: if self.after.is_some() {
                0
            } else {
                self.offset()
            },
            limit: self.fetch_limit(),
        }
    }

    /// Returns the number of entries of a public list before this page.
    pub fn position(self) -> i64 {
        self.after
            .map_or_else(|| self.offset(), |cursor| cursor.position)
    }

    /// Returns how the next page, which begins after `end`, is addressed.
    pub fn next(self, end: Option<Cursor>) -> Next {
        match end {
            None => Next::Nothing,
            Some(_) if self.after.is_none() && self.page < LAST_COUNTED => Next::ByNumber,
            Some(end) => Next::ByCursor(end),
        }
    }

    /// Returns a next page that continues a search at `place`, after `shown` entries for this page.
    pub fn continue_search(self, place: RankKey, shown: usize) -> Next {
        Next::ByCursor(Cursor {
            position: self.position() + i64::try_from(shown).unwrap_or_default(),
            rank_key: place,
        })
    }

    /// Returns a key that identifies this page within its list.
    pub fn key(self) -> String {
        match self.after {
            Some(cursor) => format!("{cursor} {}", self.limit),
            None => format!("{} {}", self.page, self.limit),
        }
    }

    /// Returns the number of entries before this page.
    pub fn offset(self) -> i64 {
        i64::from(self.page - 1) * i64::from(self.limit)
    }

    /// Returns the number of entries to fetch: one more than the page holds, to detect a next page.
    pub fn fetch_limit(self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// Returns `entries` without the extra one, and whether there is a next page.
    pub fn trim<T>(self, entries: &[T]) -> (&[T], bool) {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        entries
            .get(..limit)
            .map_or((entries, false), |page| (page, entries.len() > limit))
    }

    /// Returns `entries` without the extra one, and the cursor of the next page, if there is one.
    pub fn trim_with_cursor<T>(
        self,
        entries: &[T],
        rank_key: impl Fn(&T) -> RankKey,
    ) -> (&[T], Option<Cursor>) {
        let (shown, has_next) = self.trim(entries);
        let last = shown.last().filter(|_| has_next);
        let end = last.map(|last| Cursor {
            position: self.position() + i64::from(self.limit),
            rank_key: rank_key(last),
        });
        (shown, end)
    }

    /// Returns the response with a page of a private list.
    pub fn private<T: Serialize>(
        self,
        entries: &T,
        has_next: bool,
        request: &HttpRequest,
    ) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        let next = if has_next {
            Next::ByNumber
        } else {
            Next::Nothing
        };
        if let Some(link) = self.link(next, request) {
            response.insert_header((header::LINK, link));
        }
        response.json(entries)
    }

    /// Returns the value of the `Link` header, or none if there are no adjacent pages.
    pub fn link(self, next: Next, request: &HttpRequest) -> Option<String> {
        let mut links = Vec::new();
        match next {
            Next::ByNumber if self.page < MAX_PAGE => {
                let page = (self.page + 1).to_string();
                links.push(link(request, "page", &page, "next"));
            }
            Next::ByCursor(cursor) => {
                links.push(link(request, "after", &cursor.to_string(), "next"));
            }
            Next::Nothing | Next::ByNumber => {}
        }
        if self.after.is_none() && self.page > 1 {
            let page = (self.page - 1).to_string();
            links.push(link(request, "page", &page, "prev"));
        }
        (!links.is_empty()).then(|| links.join(", "))
    }
}

fn link(request: &HttpRequest, parameter: &str, value: &str, relation: &str) -> String {
    let others = form_urlencoded::parse(request.query_string().as_bytes())
        .filter(|(name, _)| name != "page" && name != "after");
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair(parameter, value)
        .extend_pairs(others)
        .finish();
    format!("<{}?{query}>; rel=\"{relation}\"", request.path())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn page(page: u32, limit: u32) -> Page {
        Page {
            page,
            limit,
            after: None,
        }
    }

    #[test]
    fn out_of_range_parameters_are_rejected() {
        assert_eq!(Page::parse(None, None).unwrap(), page(1, 50));
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
        let page = page(2, 2);
        assert_eq!(page.trim(&[1, 2]), (&[1, 2][..], false));
        assert_eq!(page.trim(&[1, 2, 3]), (&[1, 2][..], true));
        let link = page.link(Next::ByNumber, &request).unwrap();
        assert_eq!(
            link,
            "</api/x?page=3&city=Bogot%C3%A1&limit=2>; rel=\"next\", \
             </api/x?page=1&city=Bogot%C3%A1&limit=2>; rel=\"prev\""
        );
    }

    #[test]
    fn cursor_round_trips() {
        let text = "1000.37.1763990000000001.0198c0de-0000-7000-8000-000000000000";
        let cursor: Cursor = text.parse().unwrap();
        assert_eq!(cursor.to_string(), text);
        for wrong in [
            "",
            "1000",
            "-1.37.1.0198c0de-0000-7000-8000-000000000000",
            "1.1.-300000000000000000.0198c0de-0000-7000-8000-000000000000",
            "1.1.300000000000000000.0198c0de-0000-7000-8000-000000000000",
            "1.2.x.y",
        ] {
            assert_eq!(wrong.parse::<Cursor>(), Err(Problem::Invalid), "{wrong}");
        }
        assert!(format!("{text}.").parse::<Cursor>().is_err());
    }
}
