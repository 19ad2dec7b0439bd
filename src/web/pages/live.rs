//! Live progress of a player's videos: `/mis-videos/eventos` as events, `/mis-videos/estado` for
//! polling.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    http::{Code, Result, extract::Authenticated},
    ids::{UserId, VideoId},
    language::Language,
    videos::{
        VideoStatus,
        board::{self, Progress},
    },
    web::{
        own,
        streams::Live,
        view::{Section, Shell},
        visit::Visit,
    },
};

/// Maximum number of videos of one stream: those of a page.
const MAX_VIDEOS: usize = 24;

#[derive(Deserialize)]
pub struct Watched {
    /// Ids, separated by commas.
    videos: String,
}

/// How far a video is, in numbers and words.
#[derive(Serialize)]
struct VideoState {
    id: VideoId,
    state: VideoStatus,
    percent: u8,
    label: &'static str,
    /// What that means for the player.
    left: String,
}

impl VideoState {
    fn new(progress: &Progress, language: Language) -> Self {
        let shell = Shell::new(language, crate::web::assets::BUILD, Section::None, "", "");
        let state = own::state(progress, None, language);
        Self {
            id: progress.id,
            state: progress.status,
            percent: state.percent(),
            label: state.label(&shell),
            left: state.sentence(&shell),
        }
    }
}

fn states(progress: &[Progress], language: Language) -> Vec<VideoState> {
    progress
        .iter()
        .map(|progress| VideoState::new(progress, language))
        .collect()
}

/// Returns the videos of the query that the user owns.
async fn own(app: &App, user: UserId, watched: &Watched) -> Result<Vec<VideoId>> {
    let ids = watched.videos.split(',').filter_map(VideoId::parse);
    let ids: Vec<VideoId> = ids.take(MAX_VIDEOS).collect();
    let mut own = board::own_among(&app.backends.db, user, &ids).await?;
    own.sort_unstable();
    if own.is_empty() {
        return Err(Code::NotFound.into());
    }
    Ok(own)
}

/// `GET /mis-videos/estado`
pub async fn state(
    app: web::Data<App>,
    visit: Visit,
    caller: Authenticated,
    watched: web::Query<Watched>,
) -> Result<HttpResponse> {
    let own = own(&app, caller.user(), &watched).await?;
    let progress = board::progress(&app.backends.db, &own).await?;
    Ok(HttpResponse::Ok().json(states(&progress, visit.language)))
}

/// `GET /mis-videos/eventos`
pub async fn events(
    app: web::Data<App>,
    live: web::Data<Live>,
    visit: Visit,
    caller: Authenticated,
    watched: web::Query<Watched>,
) -> Result<HttpResponse> {
    let reservation = live.reserve(caller.user())?;
    let own = own(&app, caller.user(), &watched).await?;
    let mut first = board::progress(&app.backends.db, &own).await?;
    first.sort_unstable_by_key(|progress| progress.id);
    let language = visit.language;
    Ok(live.stream(reservation, own, first, move |progress| {
        states(progress, language)
    }))
}
