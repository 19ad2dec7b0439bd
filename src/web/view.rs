//! What the pages show: a template struct per page, with plain data that a handler has fetched.
//!
//! Nothing here reads a database or a request. Templates are in `web/templates`, sentences in
//! [`crate::web::text`].

pub mod account;
pub mod band;
pub mod contest;
pub mod error;
pub mod gallery;
pub mod info;
pub mod mine;
pub mod organise;
pub mod organise_contest;
pub mod plot;
pub mod ranking;
pub mod reports;
pub mod staff;
pub mod upload;
pub mod watch;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use self::band::{Band, Closed};
use crate::{
    ids::ContestId,
    language::Language,
    web::text::{
        self, Phrases, modules, phrases,
        reports::{ReportPhrases, reports},
    },
};

const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// What every page has around its content.
#[derive(Debug, Clone)]
pub struct Shell {
    pub language: Language,
    pub t: &'static Phrases,
    /// Folder of the assets of this build.
    pub build: &'static str,
    /// Without the name of the contest, which the template adds.
    pub title: String,
    /// Absolute address of the page, if the public address is known.
    pub canonical: Option<String>,
    pub card: Option<ShareCard>,
    pub here: Section,
    /// Path and query of the page, for the form that changes the language.
    pub path: String,
    pub robots_noindex: bool,
    /// What the page says about the current contest.
    pub contest: Option<Band>,
}

impl Shell {
    /// Describes a page without canonical address or share card.
    pub fn new(
        language: Language,
        build: &'static str,
        here: Section,
        path: impl Into<String>,
        title: impl Into<String>,
    ) -> Self {
        Self {
            language,
            t: phrases(language),
            build,
            title: title.into(),
            canonical: None,
            card: None,
            here,
            path: path.into(),
            robots_noindex: false,
            contest: None,
        }
    }

    /// Returns the page with what it says about the current contest.
    #[must_use]
    pub fn during(self, contest: Option<Band>) -> Self {
        Self { contest, ..self }
    }

    /// Returns why no votes are taken, if so.
    pub fn closed(&self) -> Option<&Closed> {
        self.contest.as_ref()?.closed.as_ref()
    }

    /// Says that a clip does not take part in the current contest, if so.
    pub fn left_out(&self, clip: &Clip) -> Option<&'static str> {
        let contest = self.contest.as_ref()?;
        (clip.contest != Some(contest.id)).then_some(contest.text.left_out)
    }

    /// Returns the state of a vote button that would be `state` while votes are taken.
    pub fn ballot<'a>(&self, state: &'a str) -> &'a str {
        match self.closed() {
            Some(_) if state == "none" => "closed",
            _ => state,
        }
    }

    /// Returns the address of an asset.
    pub fn asset(&self, file: &str) -> String {
        format!("/estatico/{}/{file}", self.build)
    }

    /// Returns the sentences of `page.js` as JSON.
    pub fn phrases(&self) -> String {
        modules::page(self.t)
    }

    /// Returns the sentences about reports.
    pub fn reports(&self) -> &'static ReportPhrases {
        reports(self.language)
    }

    /// Returns `page` if it is the current section, for `aria-current`.
    pub fn current(&self, section: Section) -> &'static str {
        if self.here == section {
            "page"
        } else {
            "false"
        }
    }

    pub fn count(&self, number: &i64) -> String {
        text::count(self.language, *number)
    }

    pub fn ordinal(&self, place: u32) -> String {
        text::ordinal(self.language, place)
    }

    pub fn megabytes(&self, bytes: &i64) -> String {
        text::megabytes(self.language, bytes.unsigned_abs())
    }

    pub fn percent(&self, percent: &u8) -> String {
        text::percent(self.language, *percent)
    }
}

/// Open Graph tags of a page.
#[derive(Debug, Clone)]
pub struct ShareCard {
    pub title: String,
    pub description: String,
    pub url: String,
    pub image: Option<ShareImage>,
    pub is_video: bool,
}

/// The picture of a share card, by absolute address.
#[derive(Debug, Clone)]
pub struct ShareImage {
    pub url: String,
    pub width: u32,
    pub height: u32,
    pub alt: String,
}

/// The entry of the navigation that a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    Videos,
    Ranking,
    Upload,
    Account,
    Organise,
    None,
}

/// A public clip.
#[derive(Debug, Clone, Default)]
pub struct Clip {
    pub id: String,
    pub title: String,
    pub player: String,
    pub city: String,
    pub votes: i64,
    /// The contest that it takes part in, where a page knows it.
    pub contest: Option<ContestId>,
    /// Address of the 480×270 picture.
    pub thumb: Option<String>,
    /// Address of the 1280×720 picture.
    pub poster: Option<String>,
    /// Average colour as six hexadecimal digits.
    pub colour: Option<String>,
    pub full: Rendition,
    pub light: Option<Rendition>,
}

impl Clip {
    /// Returns the path of the clip's page.
    pub fn page(&self) -> String {
        format!("/videos/{}", self.id)
    }

    /// Returns the picture to show before the clip plays.
    pub fn picture(&self) -> Option<&str> {
        self.thumb.as_deref().or(self.poster.as_deref())
    }
}

/// A file of a clip.
#[derive(Debug, Clone, Default)]
pub struct Rendition {
    pub address: String,
    pub bytes: Option<i64>,
}

/// A city that has public clips.
#[derive(Debug, Clone)]
pub struct CityChoice {
    pub city: City,
    /// The department, if the name lacks it.
    pub department: Option<String>,
    pub clips: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct City {
    pub name: String,
    /// Value of `ciudad` in addresses.
    pub key: String,
}

/// Returns the chosen city if it has no public clips.
fn other_city<'a>(cities: &[CityChoice], chosen: Option<&'a City>) -> Option<&'a City> {
    chosen.filter(|&chosen| cities.iter().all(|choice| choice.city.key != chosen.key))
}

/// A row of a ranking.
#[derive(Debug, Clone)]
pub struct Standing {
    pub place: u32,
    pub player: String,
    pub city: String,
    pub votes: i64,
    /// Whether a neighbouring row has the same votes.
    pub tied: bool,
    /// Votes that the row above has more.
    pub gap: Option<i64>,
    pub clip_title: String,
    pub clip_page: String,
    pub thumb: Option<String>,
    pub colour: Option<String>,
    /// Id of the clip, by which `page.js` finds the visitor's own rows.
    pub clip_id: String,
}

impl Standing {
    /// Whether the votes need a wide column.
    fn is_long(&self) -> bool {
        self.votes > 99_999
    }
}

/// Links to the neighbouring pages of a list.
#[derive(Debug, Clone)]
pub struct Pager {
    pub previous: Option<String>,
    pub next: Option<String>,
    pub page: u32,
}

impl Pager {
    /// Returns the words for the page's number.
    pub fn label(&self, shell: &Shell) -> String {
        (shell.t.page_number)(&shell.count(&self.page.into()))
    }
}

/// A sentence about what the visitor did, at the top of a page.
#[derive(Debug, Clone)]
pub struct Notice {
    kind: NoticeKind,
    pub text: String,
}

#[derive(Debug, Clone, Copy)]
enum NoticeKind {
    Good,
    Plain,
    Bad,
}

impl Notice {
    pub fn good(text: impl Into<String>) -> Self {
        Self::new(NoticeKind::Good, text)
    }

    pub fn plain(text: impl Into<String>) -> Self {
        Self::new(NoticeKind::Plain, text)
    }

    /// Says that something was refused.
    pub fn bad(text: impl Into<String>) -> Self {
        Self::new(NoticeKind::Bad, text)
    }

    fn new(kind: NoticeKind, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { kind, text }
    }

    /// Returns the class of the style sheet.
    pub fn class(&self) -> &'static str {
        match self.kind {
            NoticeKind::Good => "good",
            NoticeKind::Plain => "plain",
            NoticeKind::Bad => "bad",
        }
    }
}

/// What is wrong with a field of a form, or with the form as a whole.
#[derive(Debug, Clone)]
pub struct FieldProblem {
    /// The field's name, empty for the whole form.
    pub field: String,
    /// What the page calls the field.
    pub label: String,
    pub message: String,
}

/// Returns the message about a field, if it has a problem.
pub fn problem<'a>(errors: &'a [FieldProblem], field: &str) -> Option<&'a str> {
    let found = errors.iter().find(|error| error.field == field)?;
    Some(&found.message)
}

/// Encodes a value for a query: all but letters, digits and `-`, `_`, `.`, `~`.
pub fn query_value(text: &str) -> String {
    utf8_percent_encode(text, QUERY_VALUE).to_string()
}
