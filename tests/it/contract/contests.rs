//! Rows for what a contest refuses.

use anb::http::Code;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    case::{Case, Expected, Stage, Video, Who},
    resumable::UPLOADS,
    table::{
        CONTEST, CONTESTS, FREEZE, PREVIEW, PREVIEW_FILE, PREVIEW_TABLE, PUBLISH_RESULT,
        RESULT_FILE, RESULT_TABLE, RESULTS, STAFF_CONTEST, UPLOAD, VOTE, contest_form, successes,
    },
    world::Setting,
};
use crate::support::Seed;

fn post(route: &'static str) -> Case {
    Case::new(Method::POST, route, 200, Expected::Nothing)
}

/// Returns the rows.
pub fn refusals() -> Vec<Case> {
    let about = |method, route, stage| {
        let case = Case::new(method, route, 200, Expected::Object).by(Who::Organiser);
        case.about(Video::Contest(stage))
    };
    let plan = |field, value: Value, problems| {
        let mut form = contest_form();
        form[field] = value;
        post(CONTESTS).by(Who::Organiser).json(form).refuses_fields(
            400,
            Code::ValidationFailed,
            problems,
        )
    };
    let patch = |stage, change| about(Method::PATCH, STAFF_CONTEST, stage).json(change);
    let close = json!({"voting_close_at": "2021-01-01", "votes_per_day": 3});
    let mut cases = vec![
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
    ];
    for (setting, code) in [
        (Setting::Upcoming, Code::SubmissionsClosed),
        (Setting::Spent, Code::EntryLimit),
    ] {
        for case in successes() {
            let is_upload = case.method == Method::POST && [UPLOAD, UPLOADS].contains(&case.route);
            if is_upload {
                let case = case.by(Who::Owner).within(setting);
                cases.push(case.refuses(400, code));
            }
        }
    }
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
    let none = Case::new(Method::GET, CONTEST, 200, Expected::Nothing);
    cases.push(none.refuses(404, Code::NotFound));
    cases
}
