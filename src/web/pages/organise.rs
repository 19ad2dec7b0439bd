//! The organisers' pages: what is going on, retries, moderation, the ranking as a table.

mod contest;
mod contest_form;
mod csv;
mod dashboard;
mod moderate;
mod people;
mod record;
mod reports;
mod rows;

use actix_web::{HttpResponse, http::StatusCode};

pub use self::{
    contest::{
        act as act_on_contest, ask_to_act as ask_to_act_on_contest, change as change_contest,
        contest, create as create_contest,
    },
    csv::ranking_table,
    dashboard::{dashboard, events, retry, retry_all, state},
    moderate::{hide, show_again, video, videos},
    people::{grant_role, people},
    record::record,
    reports::{
        dismiss as dismiss_reported, hide as hide_reported, reported,
        show_again as show_reported_again,
    },
};
use crate::{
    auth::permissions::RunContest,
    http::Result,
    ids::VideoId,
    storage::StorageKey,
    web::{
        private,
        text::phrases,
        view::{Clip, Rendition, Section, organise::PartsPage},
        visit::{Staff, Visit},
    },
};

/// `GET /organizacion/piezas`
pub async fn parts(visit: Visit, _: Staff<RunContest>) -> Result<HttpResponse> {
    let video = VideoId::generate();
    let page = PartsPage {
        shell: visit.shell(
            Section::Organise,
            "/organizacion/piezas",
            phrases(visit.language).parts,
        ),
        clip: Clip {
            id: video.to_string(),
            title: "Triple sobre la bocina en la final del barrio".to_owned(),
            player: "Valentina Murillo Palacios".to_owned(),
            city: "Quibdó".to_owned(),
            votes: 1204,
            contest: None,
            thumb: None,
            poster: None,
            colour: Some("24416e".to_owned()),
            full: Rendition {
                address: format!("/media/{}", StorageKey::Clip(video, 1)),
                bytes: Some(8_700_000),
            },
            light: Some(Rendition {
                address: format!("/media/{}", StorageKey::Clip(video, 1)),
                bytes: Some(2_100_000),
            }),
        },
    };
    private(&visit, StatusCode::OK, &page)
}
