//! The organisers' pages: `/organizacion` and below.

use askama::Template;

use super::{
    Clip, Notice, Shell, query_value,
    staff::{Tab, tabs_with_reports},
};
use crate::{
    auth::{Permission, Role},
    web::text::{modules, time_left},
};

#[derive(Debug, Template)]
#[template(path = "organise.html", config = ".config/askama.toml")]
pub struct OrganisePage {
    pub shell: Shell,
    /// The visitor's role.
    pub role: Role,
    pub tiles: Tiles,
    pub in_flight: Vec<InFlight>,
    pub failures: Vec<FailureReason>,
    /// Videos that stopped through a failure of the system.
    pub dead: Vec<DeadVideo>,
    pub notice: Option<Notice>,
}

/// The numbers of the dashboard.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tiles {
    pub waiting: i64,
    pub flying: i64,
    pub dead: i64,
    /// Clips that moderators have to look at.
    pub reports: i64,
    /// Age of the video that has waited longest.
    pub oldest_seconds: Option<u64>,
    /// Messages at the broker, if it answered.
    pub broker: Option<i64>,
    pub uploads: i64,
    /// Clips of the last hour.
    pub done: i64,
    /// Clips per minute, in tenths.
    pub rate_tenths: i64,
}

/// The longest wait that is normal.
const MAX_WAIT_SECONDS: u64 = 300;

/// A tile as it is shown.
#[derive(Debug, Clone)]
pub struct Tile {
    /// Name for the module.
    pub key: &'static str,
    pub label: &'static str,
    pub value: String,
    /// What is wrong, if something is.
    pub note: Option<&'static str>,
}

/// A video that a worker is processing.
#[derive(Debug, Clone)]
pub struct InFlight {
    pub id: String,
    pub title: String,
    pub player: String,
    pub attempt: i32,
    pub percent: u8,
    pub seconds_left: Option<u64>,
    /// Time until another worker may take the video, unless a heartbeat comes.
    pub lease_seconds: u64,
}

impl InFlight {
    fn left(&self) -> String {
        self.seconds_left.map_or_else(|| "–".to_owned(), time_left)
    }

    fn lease(&self) -> String {
        time_left(self.lease_seconds)
    }
}

/// How many videos failed for one reason.
#[derive(Debug, Clone)]
pub struct FailureReason {
    pub code: String,
    /// The reason in words.
    pub sentence: String,
    pub last_day: i64,
    pub all: i64,
    /// Address of the list of these videos.
    pub list: String,
}

/// A video that stopped through a failure of the system.
#[derive(Debug, Clone)]
pub struct DeadVideo {
    pub id: String,
    pub title: String,
    pub player: String,
    pub code: String,
    /// When it was uploaded, in words.
    pub uploaded: String,
}

impl OrganisePage {
    fn phrases(&self) -> String {
        modules::organise(self.shell.t)
    }

    fn tabs(&self) -> Vec<Tab> {
        tabs_with_reports(self.shell.language, self.role, self.tiles.reports)
    }

    fn may_moderate(&self) -> bool {
        self.role.may(Permission::ModerateClips)
    }

    fn may_export(&self) -> bool {
        self.role.may(Permission::ExportResults)
    }

    fn tiles(&self) -> Vec<Tile> {
        self.tiles.shown(&self.shell)
    }

    fn retry_all(&self) -> String {
        (self.shell.t.retry_all)(&self.shell.count(&self.tiles.dead))
    }
}

impl Tiles {
    /// Returns the tiles in their order.
    pub fn shown(self, shell: &Shell) -> Vec<Tile> {
        let (t, tiles) = (shell.t, self);
        let number = |key, label, value: i64| Tile {
            key,
            label,
            value: shell.count(&value),
            note: None,
        };
        let is_late = tiles.oldest_seconds > Some(MAX_WAIT_SECONDS);
        let oldest = tiles
            .oldest_seconds
            .map_or_else(|| "–".to_owned(), time_left);
        let broker = tiles.broker.map(|messages| shell.count(&messages));
        let comma = shell.language.select(',', '.');
        let rate = format!(
            "{}{comma}{}",
            tiles.rate_tenths / 10,
            tiles.rate_tenths % 10
        );
        vec![
            number("waiting", t.tile_waiting, tiles.waiting),
            number("flying", t.tile_flying, tiles.flying),
            Tile {
                note: (tiles.dead > 0).then_some(t.dead_bad),
                ..number("dead", t.tile_dead, tiles.dead)
            },
            Tile {
                value: oldest,
                note: is_late.then_some(t.oldest_bad),
                ..number("oldest", t.tile_oldest, 0)
            },
            Tile {
                note: broker.is_none().then_some(t.broker_down),
                value: broker.unwrap_or_else(|| "–".to_owned()),
                ..number("broker", t.tile_broker, 0)
            },
            number("reports", shell.reports().tile, tiles.reports),
            number("uploads", t.tile_uploads, tiles.uploads),
            number("done", t.tile_done, tiles.done),
            Tile {
                value: rate,
                ..number("rate", t.tile_rate, 0)
            },
        ]
    }
}

#[derive(Debug, Template)]
#[template(path = "organise_videos.html", config = ".config/askama.toml")]
pub struct OrganiseVideosPage {
    pub shell: Shell,
    /// The visitor's role.
    pub role: Role,
    pub query: String,
    /// Key of the chosen state, empty for all.
    pub state: String,
    pub videos: Vec<OrganisedVideo>,
    /// The newest first.
    pub moderations: Vec<Moderation>,
    /// Number of clips on the list of reports.
    pub reports: i64,
}

/// A video as organisers see it.
#[derive(Debug, Clone)]
pub struct OrganisedVideo {
    pub id: String,
    pub title: String,
    pub player: String,
    pub city: String,
    /// Key of the state: `waiting`, `processing`, `ready`, `public`, `hidden` or `failed`.
    pub state: String,
    pub votes: i64,
    /// When it was uploaded, in words.
    pub uploaded: String,
    /// Why it is hidden.
    pub hidden: Option<String>,
    /// What its player answered to that.
    pub answer: Option<String>,
    /// Code and sentence of a failure.
    pub failure: Option<Failed>,
    pub thumb: Option<String>,
    pub colour: Option<String>,
}

/// Why a video failed.
#[derive(Debug, Clone)]
pub struct Failed {
    pub code: String,
    pub sentence: String,
    pub is_retryable: bool,
}

impl OrganisedVideo {
    pub fn page(&self) -> String {
        format!("/organizacion/videos/{}", self.id)
    }

    pub fn label(&self, shell: &Shell) -> &'static str {
        state_label(shell, &self.state)
    }

    pub fn icon(&self) -> &'static str {
        match self.state.as_str() {
            "waiting" => "clock",
            "processing" => "reload",
            "public" => "check",
            "hidden" => "hidden",
            "failed" => "warning",
            _ => "lock",
        }
    }
}

/// Keys of the states, in the order of the filter.
const STATES: [&str; 6] = [
    "public",
    "ready",
    "hidden",
    "waiting",
    "processing",
    "failed",
];

fn state_label(shell: &Shell, key: &str) -> &'static str {
    let t = shell.t;
    match key {
        "waiting" => t.state_in_line,
        "processing" => t.state_processing,
        "public" => t.state_public,
        "hidden" => t.state_hidden,
        "failed" => t.state_failed,
        _ => t.state_private,
    }
}

/// An entry of the moderation log.
#[derive(Debug, Clone)]
pub struct Moderation {
    /// When, in words.
    pub at: String,
    pub organiser: String,
    pub video: String,
    pub title: String,
    pub has_hidden: bool,
    pub reason: String,
}

impl Moderation {
    fn page(&self) -> String {
        format!("/organizacion/videos/{}", query_value(&self.video))
    }
}

impl OrganiseVideosPage {
    fn phrases(&self) -> String {
        modules::organise(self.shell.t)
    }

    fn tabs(&self) -> Vec<Tab> {
        tabs_with_reports(self.shell.language, self.role, self.reports)
    }

    /// Returns keys and names of the states.
    fn states(&self) -> Vec<(&'static str, &'static str)> {
        let states = STATES.into_iter();
        states
            .map(|key| (key, state_label(&self.shell, key)))
            .collect()
    }
}

#[derive(Debug, Template)]
#[template(path = "organise_video.html", config = ".config/askama.toml")]
pub struct OrganiseVideoPage {
    pub shell: Shell,
    /// The visitor's role.
    pub role: Role,
    pub video: OrganisedVideo,
    /// The clip, if there is one.
    pub clip: Option<Clip>,
    pub moderations: Vec<Moderation>,
    /// What is wrong with the reason.
    pub problem: Option<String>,
    pub notice: Option<Notice>,
}

impl OrganiseVideoPage {
    fn phrases(&self) -> String {
        modules::organise(self.shell.t)
    }

    fn may_retry(&self) -> bool {
        self.role.may(Permission::Redrive)
    }
}

/// The sheet of all parts in all states.
#[derive(Debug, Template)]
#[template(path = "parts_sheet.html", config = ".config/askama.toml")]
pub struct PartsPage {
    pub shell: Shell,
    pub clip: Clip,
}

impl PartsPage {
    /// Returns the heading of a part: its number and name.
    fn part_name(&self, index: usize) -> String {
        let name = self.shell.t.part_names.get(index).unwrap_or(&"");
        format!("{} · {name}", index + 1)
    }

    /// Returns the states of the star button with their labels.
    fn vote_states(&self) -> [(&'static str, &'static str); 4] {
        let t = self.shell.t;
        [
            ("none", t.vote),
            ("sending", t.sending),
            ("voted", t.voted),
            ("own", t.own),
        ]
    }
}
