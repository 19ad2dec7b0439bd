//! A clip: `/videos/{video_id}`, the vote by form, and its outcome at `/voto/{video_id}`.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use askama::Template as _;
use serde::Deserialize;

use super::error::missing_page;
use crate::{
    app::App,
    city,
    contests::{CurrentContest, Reading},
    http::{
        Code, Error, Result,
        cache::{Built, PageCache},
        extract::{Authenticated, VideoPath},
        rate::Limits,
    },
    ids::VideoId,
    keyset::ListRange,
    listing::{self, Ahead, MAX_AHEAD, PublicVideo, Ranking},
    storage::{Storage, StorageKey},
    videos::{self, board},
    votes::{self, Votes, handlers::cast_within_limit},
    web::{
        clips,
        contest::{band, refusal, refusal_query},
        private, public,
        text::Phrases,
        view::{
            Clip, Section, ShareCard, ShareImage, Shell,
            watch::{Behind, Place, Places, VoteOutcome, WatchPage},
        },
        visit::{Member, Visit, see_other},
    },
};

/// Number of further clips on the page.
const MORE: usize = 3;

/// Size of posters, which is that of clips.
const POSTER_SIZE: (u32, u32) = (1280, 720);

/// `GET /videos/{video_id}`
pub async fn watch(
    app: web::Data<App>,
    cache: web::Data<PageCache>,
    contest: web::Data<CurrentContest>,
    request: HttpRequest,
    visit: Visit,
    VideoPath(video): VideoPath,
) -> Result<HttpResponse> {
    let key = format!("/videos {:?} {video}", visit.language);
    let build = async || {
        let Some(found) = listing::find(&app.backends.db, video).await? else {
            let html = missing_page(&app, &visit, &address(video)).await?;
            return Ok(Built::html(StatusCode::NOT_FOUND, html));
        };
        let reading = contest.get().await?;
        let page = page(&app, &visit, reading.as_ref(), &found).await?;
        Ok(Built::html(StatusCode::OK, page.render()?))
    };
    let cached = cache.get(key, build).await?;
    Ok(public(&visit, cached.respond_as_is(&request)))
}

fn address(video: VideoId) -> String {
    format!("/videos/{video}")
}

async fn page(
    app: &App,
    visit: &Visit,
    contest: Option<&Reading>,
    video: &PublicVideo,
) -> anyhow::Result<WatchPage> {
    let clip = clips::clip(video, &app.media_urls);
    let title = format!("{} · {}, {}", clip.title, clip.player, clip.city);
    let shell = visit.public_shell(Section::Videos, address(video.id), title.clone());
    let t = shell.t;
    let share = clips::share(&clip, t, shell.canonical.as_deref());
    Ok(WatchPage {
        shell: Shell {
            card: share_card(visit, &clip, title, t),
            ..shell.during(band(contest, visit.language))
        },
        place: Some(places(app, video, t).await?),
        more: more(app, video).await?,
        clip,
        outcome: None,
        share,
    })
}

/// Returns the Open Graph tags (<https://ogp.me>), whose addresses must be absolute. They have no
/// counts, since messengers keep previews for long.
fn share_card(visit: &Visit, clip: &Clip, title: String, t: &Phrases) -> Option<ShareCard> {
    let page = clip.page();
    let (width, height) = POSTER_SIZE;
    Some(ShareCard {
        url: visit.site.absolute(&page)?,
        description: t.share_description.to_owned(),
        image: Some(ShareImage {
            url: visit.site.absolute(&format!("{page}/portada.jpg"))?,
            width,
            height,
            alt: title.clone(),
        }),
        title,
        is_video: true,
    })
}

async fn places(app: &App, video: &PublicVideo, t: &Phrases) -> anyhow::Result<Places> {
    let (db, key) = (&app.backends.db, video.rank_key());
    let in_city = listing::ahead_of(db, Some(&city::fold(&video.city)), key).await?;
    let nationwide = listing::ahead_of(db, None, key).await?;
    Ok(Places {
        city: place(video.city.clone(), video.votes, in_city),
        nationwide: Some(place(t.country.to_owned(), video.votes, nationwide)),
    })
}

fn place(area: String, votes: i64, ahead: Ahead) -> Place {
    let above = u32::try_from(ahead.videos).unwrap_or(u32::MAX);
    let behind = ahead.votes.map(|theirs| Behind {
        votes: theirs - votes,
        place: above,
    });
    Place {
        area,
        place: (ahead.videos < MAX_AHEAD).then_some(above.saturating_add(1)),
        behind,
    }
}

/// Returns other clips of the city, and of the country if the city has too few.
async fn more(app: &App, video: &PublicVideo) -> anyhow::Result<Vec<Clip>> {
    let db = &app.backends.db;
    let city = city::fold(&video.city);
    let mut more: Vec<PublicVideo> = Vec::new();
    for area in [Some(city.as_str()), None] {
        // One for the video itself, and those that the city had.
        let range = ListRange::first(i64::try_from(2 * MORE + 1)?);
        for other in listing::rank(db, Ranking::Videos, area, range).await? {
            let is_known = other.id == video.id || more.iter().any(|known| known.id == other.id);
            if !is_known && more.len() < MORE {
                more.push(other);
            }
        }
        if more.len() == MORE {
            break;
        }
    }
    Ok(clips::clips(&more, &app.media_urls))
}

/// `POST /videos/{video_id}/votar`
pub async fn vote(
    app: web::Data<App>,
    votes: web::Data<Votes>,
    limits: web::Data<Limits>,
    caller: Result<Authenticated>,
    VideoPath(video): VideoPath,
) -> Result<HttpResponse> {
    let user = match caller {
        Ok(caller) => caller.user(),
        Err(Error {
            code: Code::Unauthorized,
            ..
        }) => {
            let page = format!("/entrar?volver={}&votar={video}", address(video));
            return Ok(see_other(&page));
        }
        Err(error) => return Err(error),
    };
    let cast = cast_within_limit(&app, &votes, &limits, user, video).await;
    outcome_of(cast, video)
}

/// Leads to the outcome of a vote. Returns the errors that are no outcome.
pub fn outcome_of(cast: Result<()>, video: VideoId) -> Result<HttpResponse> {
    match cast {
        Ok(()) => Ok(see_other(&format!("/voto/{video}"))),
        Err(error) if matches!(error.code, Code::AlreadyVoted | Code::OwnVideo) => {
            Ok(see_other(&format!("/voto/{video}?repetido=1")))
        }
        Err(error) => match refusal_query(&error) {
            Some(query) => Ok(see_other(&format!("/voto/{video}?{query}"))),
            None => Err(error),
        },
    }
}

#[derive(Deserialize)]
pub struct OutcomeParameters {
    repetido: Option<String>,
    /// Name of the error with which the contest refused the vote.
    motivo: Option<String>,
    /// When the vote is allowed (Unix time).
    desde: Option<i64>,
}

/// `GET /voto/{video_id}`
///
/// Shows what the database says, so that no link can claim a vote that was not cast.
pub async fn outcome(
    app: web::Data<App>,
    visit: Visit,
    member: Member,
    contest: web::Data<CurrentContest>,
    parameters: web::Query<OutcomeParameters>,
    VideoPath(video): VideoPath,
) -> Result<HttpResponse> {
    let db = &app.backends.db;
    let found = listing::find(db, video).await?.ok_or(Code::NotFound)?;
    let reading = contest.get().await?;
    let reading = reading.as_ref();
    let own = board::own_among(db, member.user(), &[video]).await?;
    let is_own = !own.is_empty();
    let refused = reading.zip(parameters.motivo.as_deref());
    let refused = refused
        .and_then(|(reading, code)| refusal(reading, visit.language, code, parameters.desde));
    let is_cast = votes::is_cast(db, member.user(), video).await?;
    let outcome = if is_cast && parameters.repetido.is_some() {
        VoteOutcome::Already
    } else if is_cast {
        VoteOutcome::Counted
    } else if let Some(sentence) = refused {
        VoteOutcome::Refused(sentence)
    } else if is_own {
        VoteOutcome::Own
    } else {
        return Ok(see_other(&address(video)));
    };
    let page = page(&app, &visit, reading, &found).await?;
    let page = WatchPage {
        outcome: Some(outcome),
        shell: Shell {
            robots_noindex: true,
            ..page.shell
        },
        ..page
    };
    private(&visit, StatusCode::OK, &page)
}

/// `GET /videos/{video_id}/portada.jpg`
///
/// The poster at an address that stays the same, for messengers.
pub async fn poster(
    app: web::Data<App>,
    request: HttpRequest,
    VideoPath(video): VideoPath,
) -> Result<HttpResponse> {
    let found = listing::find(&app.backends.db, video).await?;
    let found = found.ok_or(Code::NotFound)?;
    let key = StorageKey::Poster(video, found.attempt);
    match &app.backends.storage {
        Storage::Local(_) => videos::handlers::serve(&app, &request, key, "public, max-age=60"),
        Storage::S3(_) => {
            let address = app.media_urls.public(key);
            Ok(HttpResponse::Found()
                .insert_header((header::LOCATION, address))
                .insert_header((header::CACHE_CONTROL, "public, max-age=60"))
                .finish())
        }
    }
}
