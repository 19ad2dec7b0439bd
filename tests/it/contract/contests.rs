//! Rows for the contest.

use anb::http::Code;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    case::{
        Case,
        Expected::{Empty, File, List, Nothing, Object},
        Stage, Video, Who,
    },
    resumable::UPLOADS,
    table::{self, UPLOAD, VOTE},
    world::Setting,
};
use crate::support::Seed;

pub const CONTEST: &str = "/api/public/contest";
pub const RESULTS: &str = "/api/public/contest/{slug}/results";
pub const RESULT_FILE: &str = "/api/public/contest/{slug}/results.json";
pub const RESULT_TABLE: &str = "/api/public/contest/{slug}/results.csv";
pub const CONTESTS: &str = "/api/contests";
pub const STAFF_CONTEST: &str = "/api/contests/{slug}";
pub const FREEZE: &str = "/api/contests/{slug}/freeze";
pub const PUBLISH_RESULT: &str = "/api/contests/{slug}/publish";
pub const PREVIEW: &str = "/api/contests/{slug}/results";
pub const PREVIEW_FILE: &str = "/api/contests/{slug}/results.json";
pub const PREVIEW_TABLE: &str = "/api/contests/{slug}/results.csv";

pub fn contest_form() -> Value {
    json!({
        "slug": "copa-{n}", "name": "Copa de prueba", "voting_open_at": "2026-12-11 08:00",
        "voting_close_at": "2999-12-20T20:00:00-05:00", "votes_per_day": 5,
    })
}

fn post(route: &'static str) -> Case {
    Case::new(Method::POST, route, 200, Nothing)
}

/// Returns one row per endpoint.
pub fn successes() -> Vec<Case> {
    let public = |method, route, expected| Case::new(method, route, 200, expected);
    vec![
        public(Method::GET, CONTEST, Object).within(Setting::Contest),
        public(Method::GET, RESULTS, List).about(Video::Contest(Stage::Published)),
        public(Method::GET, RESULT_FILE, Object).about(Video::Contest(Stage::Published)),
        public(Method::GET, RESULT_TABLE, File("text/csv; charset=utf-8"))
            .about(Video::Contest(Stage::Published)),
        public(Method::GET, CONTESTS, List)
            .by(Who::Organiser)
            .within(Setting::Contest),
        Case::new(Method::POST, CONTESTS, 201, Object)
            .by(Who::Organiser)
            .json(contest_form()),
        public(Method::GET, STAFF_CONTEST, Object)
            .by(Who::Organiser)
            .about(Video::Contest(Stage::Voting)),
        public(Method::PATCH, STAFF_CONTEST, Object)
            .by(Who::Organiser)
            .about(Video::Contest(Stage::Voting))
            .json(json!({"voting_close_at": "2999-06-01"})),
        Case::new(Method::DELETE, STAFF_CONTEST, 204, Nothing)
            .by(Who::Organiser)
            .about(Video::Contest(Stage::Voting)),
        public(Method::POST, FREEZE, Object)
            .by(Who::Organiser)
            .about(Video::Contest(Stage::Closed)),
        public(Method::POST, PUBLISH_RESULT, Object)
            .by(Who::Organiser)
            .about(Video::Contest(Stage::Frozen)),
        public(Method::GET, PREVIEW, List)
            .by(Who::Organiser)
            .about(Video::Contest(Stage::Frozen)),
        public(Method::GET, PREVIEW_FILE, Object)
            .by(Who::Organiser)
            .about(Video::Contest(Stage::Frozen)),
        public(Method::GET, PREVIEW_TABLE, File("text/csv; charset=utf-8"))
            .by(Who::Organiser)
            .about(Video::Contest(Stage::Frozen)),
    ]
}

/// Returns rows for further valid inputs.
pub fn variants() -> Vec<Case> {
    let success = |method: &Method, route: &str| {
        let mut all = successes().into_iter();
        all.find(|case| case.method == *method && case.route == route)
            .unwrap()
    };
    let mut cases = Vec::new();
    for route in [RESULTS, PREVIEW] {
        let page = success(&Method::GET, route);
        cases.push(page.clone().tail("?city=BOGOT%C3%81&limit=1"));
        cases.push(page.answers(200, Empty).tail("?city=Leticia"));
    }
    for stage in [
        Stage::Planned,
        Stage::Closed,
        Stage::Frozen,
        Stage::Published,
    ] {
        cases.push(success(&Method::GET, STAFF_CONTEST).about(Video::Contest(stage)));
    }
    cases.push(success(&Method::POST, CONTESTS).json(json!({
        "slug": "copa-{n}", "name": "Copa", "time_zone": "america/lima",
        "submissions_open_at": "now", "submissions_close_at": "2999-01-01",
        "voting_open_at": "2999-01-01", "voting_close_at": "2999-02-01T00:00:00Z",
        "votes_in_all": 9, "min_account_age_seconds": 60, "entries_per_player": 2,
        "min_duration_seconds": 20, "max_duration_seconds": 60, "min_lines": 720,
        "max_file_bytes": 50_000_000,
    })));
    let forced = |method: &Method, route, stage| {
        let case = success(method, route).about(Video::Contest(stage));
        case.tail("?force=true")
    };
    cases.push(forced(&Method::DELETE, STAFF_CONTEST, Stage::Voted));
    cases.push(forced(&Method::POST, FREEZE, Stage::Frozen));
    let change = json!({"voting_close_at": "2021-01-01", "votes_per_day": 0});
    cases.push(forced(&Method::PATCH, STAFF_CONTEST, Stage::Voting).json(change));
    cases
}

/// Returns the rows for what is refused.
pub fn refusals() -> Vec<Case> {
    [plans(), acts(), votes(), uploads(), results()].concat()
}

fn about(method: Method, route: &'static str, stage: Stage) -> Case {
    let case = Case::new(method, route, 200, Object).by(Who::Organiser);
    case.about(Video::Contest(stage))
}

fn plans() -> Vec<Case> {
    let plan = |field, value: Value, problems| {
        let mut form = contest_form();
        form[field] = value;
        post(CONTESTS).by(Who::Organiser).json(form).refuses_fields(
            400,
            Code::ValidationFailed,
            problems,
        )
    };
    vec![
        plan("slug", json!(""), &[("slug", "required")]),
        plan("slug", json!("x".repeat(61)), &[("slug", "too_long")]),
        plan("slug", json!("Copa"), &[("slug", "invalid")]),
        plan("name", json!("no"), &[("name", "too_short")]),
        plan("name", json!("x".repeat(101)), &[("name", "too_long")]),
        plan(
            "time_zone",
            json!("Macondo/Macondo"),
            &[("time_zone", "invalid")],
        )
        .beyond_schema("an unknown time zone"),
        plan(
            "voting_open_at",
            json!("mañana"),
            &[("voting_open_at", "invalid")],
        )
        .beyond_schema("no date"),
        plan(
            "voting_open_at",
            json!("3000-01-01"),
            &[("voting_close_at", "not_after")],
        )
        .beyond_schema("the end is before the beginning"),
        plan(
            "votes_per_day",
            json!(-1),
            &[("votes_per_day", "out_of_range")],
        ),
    ]
}

fn acts() -> Vec<Case> {
    let patch = |stage, change| about(Method::PATCH, STAFF_CONTEST, stage).json(change);
    let close = json!({"voting_close_at": "2021-01-01", "votes_per_day": 3});
    vec![
        post(CONTESTS)
            .by(Who::Organiser)
            .within(Setting::Contest)
            .json(contest_form())
            .refuses(409, Code::ContestRunning),
        patch(Stage::Voting, close).refuses_fields(
            409,
            Code::ForceRequired,
            &[
                ("submissions_close_at", "in_the_past"),
                ("voting_close_at", "in_the_past"),
                ("votes_per_day", "while_voting"),
            ],
        ),
        patch(Stage::Frozen, json!({})).refuses(409, Code::ContestFrozen),
        patch(Stage::Voting, json!({"name": ""})).refuses_fields(
            400,
            Code::ValidationFailed,
            &[("name", "required")],
        ),
        about(Method::DELETE, STAFF_CONTEST, Stage::Frozen).refuses(409, Code::ContestFrozen),
        about(Method::DELETE, STAFF_CONTEST, Stage::Voted).refuses(409, Code::ForceRequired),
        about(Method::POST, FREEZE, Stage::Voting).refuses(409, Code::ContestNotOver),
        about(Method::POST, FREEZE, Stage::Frozen).refuses(409, Code::ContestFrozen),
        about(Method::POST, FREEZE, Stage::Published).refuses(409, Code::ContestPublished),
        about(Method::POST, PUBLISH_RESULT, Stage::Closed).refuses(409, Code::ContestNotFrozen),
        about(Method::POST, PUBLISH_RESULT, Stage::Published).refuses(409, Code::ContestPublished),
    ]
}

fn votes() -> Vec<Case> {
    vec![
        post(VOTE)
            .by(Who::Fan)
            .about(Video::Fresh(Seed::PUBLIC))
            .within(Setting::Contest)
            .refuses(400, Code::NotInContest),
        post(VOTE)
            .by(Who::Fan)
            .about(Video::Fresh(Seed::PUBLIC))
            .within(Setting::Upcoming)
            .refuses(400, Code::VotingClosed),
        post(VOTE)
            .by(Who::Fan)
            .about(Video::Fresh(Seed::PUBLIC))
            .within(Setting::Spent)
            .refuses(400, Code::VoteLimit),
        post(VOTE)
            .by(Who::Newcomer)
            .about(Video::Fresh(Seed::PUBLIC))
            .within(Setting::Spent)
            .refuses(400, Code::AccountTooNew),
    ]
}

fn uploads() -> Vec<Case> {
    let mut cases = Vec::new();
    for (setting, code) in [
        (Setting::Upcoming, Code::SubmissionsClosed),
        (Setting::Spent, Code::EntryLimit),
    ] {
        for case in table::successes() {
            let is_upload = case.method == Method::POST && [UPLOAD, UPLOADS].contains(&case.route);
            if is_upload {
                let case = case.by(Who::Owner).within(setting);
                cases.push(case.refuses(400, code));
            }
        }
    }
    cases
}

fn results() -> Vec<Case> {
    let mut cases = Vec::new();
    for route in [PREVIEW, PREVIEW_FILE, PREVIEW_TABLE] {
        let early = about(Method::GET, route, Stage::Closed);
        cases.push(early.refuses(409, Code::ContestNotFrozen));
    }
    for case in successes() {
        let is_public = case.route.starts_with("/api/public/contest");
        if is_public || case.route.starts_with(CONTESTS) {
            if case.route.contains("{slug}") {
                let unknown = case.clone().about(Video::Unknown);
                cases.push(unknown.refuses(404, Code::NotFound));
            }
            if !is_public {
                for who in [Who::Owner, Who::Fan] {
                    cases.push(case.clone().by(who).refuses(404, Code::NotFound));
                }
            }
        }
        if [RESULTS, RESULT_FILE, RESULT_TABLE].contains(&case.route) {
            let hidden = case.clone().about(Video::Contest(Stage::Frozen));
            cases.push(hidden.refuses(404, Code::NotFound));
        }
        if case.route.contains("{slug}/results") {
            let problems = &[("city", "invalid")];
            cases.push(
                case.clone()
                    .tail("?city=%FF")
                    .refuses_fields(400, Code::ValidationFailed, problems)
                    .beyond_schema("not UTF-8"),
            );
        }
        if [STAFF_CONTEST, FREEZE].contains(&case.route) && case.method != Method::GET {
            let unclear = case.clone().tail("?force=perhaps");
            cases.push(unclear.refuses(400, Code::ValidationFailed));
        }
    }
    let none = Case::new(Method::GET, CONTEST, 200, Nothing);
    cases.push(none.refuses(404, Code::NotFound));
    cases
}
