//! From the rows of the listing to what pages show.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    site::Site,
    text::Phrases,
    view::{City, CityChoice, Clip, Pager, Rendition, Standing, query_value},
};
use crate::{
    app::App,
    cities::{self, Wanted},
    http::page::{Next, Page},
    ids::VideoId,
    listing::PublicVideo,
    storage::{MediaUrls, StorageKey},
    videos::Renditions,
};

/// Entries per page of lists of clips: whole rows of one, two, three and four columns.
pub const CLIPS_PER_PAGE: u32 = 24;

/// Returns the clip of a public video.
pub fn clip(video: &PublicVideo, urls: &MediaUrls) -> Clip {
    let address = |key| urls.public(key);
    Clip {
        title: video.title.clone(),
        player: video.username(),
        city: video.city.clone(),
        votes: video.votes,
        contest: video.contest_id,
        ..files(video.id, video.attempt, &video.renditions, address)
    }
}

/// Returns a clip that has its id and its files only.
pub fn files(
    id: VideoId,
    attempt: i32,
    renditions: &Renditions,
    address: impl Fn(StorageKey) -> String,
) -> Clip {
    Clip {
        id: id.to_string(),
        thumb: renditions.thumb(id, attempt).map(&address),
        poster: Some(address(StorageKey::Poster(id, attempt))),
        colour: renditions.colour.clone(),
        full: Rendition {
            address: address(StorageKey::Clip(id, attempt)),
            bytes: renditions.clip_bytes,
        },
        light: renditions.light(id, attempt).map(|key| Rendition {
            address: address(key),
            bytes: renditions.light_bytes,
        }),
        ..Clip::default()
    }
}

pub fn clips(videos: &[PublicVideo], urls: &MediaUrls) -> Vec<Clip> {
    videos.iter().map(|video| clip(video, urls)).collect()
}

/// Votes of the entries next to a page of a ranking, if there are such entries and they are known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Neighbours {
    pub above: Option<i64>,
    pub below: Option<i64>,
}

/// Returns the rows of a ranking whose first entry has `place`, counted from 1.
pub fn standings(
    videos: &[PublicVideo],
    place: i64,
    neighbours: Neighbours,
    urls: &MediaUrls,
) -> anyhow::Result<Vec<Standing>> {
    let mut rows = Vec::with_capacity(videos.len());
    let mut above = neighbours.above;
    for (index, video) in videos.iter().enumerate() {
        let below = videos.get(index + 1).map(|below| below.votes);
        let below = below.or(neighbours.below);
        let Clip {
            id,
            title,
            player,
            city,
            votes,
            thumb,
            poster,
            colour,
            ..
        } = clip(video, urls);
        rows.push(Standing {
            place: u32::try_from(place)?.saturating_add(u32::try_from(index)?),
            player,
            city,
            votes,
            tied: [above, below].contains(&Some(votes)),
            gap: above.map(|above| above - votes),
            clip_title: title,
            clip_page: format!("/videos/{id}"),
            thumb: thumb.or(poster),
            colour,
            clip_id: id,
        });
        above = Some(votes);
    }
    Ok(rows)
}

/// Returns the cities to choose from, and the one that a folded name asks for. If that is no place,
/// it has the name of the choice, or else the folded name.
pub async fn city_choices(
    app: &App,
    site: &Site,
    folded: Option<&str>,
) -> anyhow::Result<(Vec<CityChoice>, Option<City>)> {
    let found = site.cities(app).await?;
    let mut choices: Vec<_> = found
        .iter()
        .map(|city| CityChoice {
            city: City {
                name: city.name.clone(),
                key: city.key.clone(),
            },
            department: city.department.clone(),
            clips: city.videos,
        })
        .collect();
    choices.sort_by(|one, other| one.city.key.cmp(&other.city.key));
    let Some(folded) = folded else {
        return Ok((choices, None));
    };
    let Wanted { key, label } = cities::wanted(&app.backends.db, folded).await?;
    let choice = choices.iter().find(|choice| choice.city.key == key);
    let name = label.or_else(|| Some(choice?.city.name.clone()));
    let name = name.unwrap_or_else(|| key.clone());
    Ok((choices, Some(City { name, key })))
}

/// Returns the links to the neighbours of a page. `address` has the other parameters.
pub fn pager(page: Page, next: Next, address: &Address) -> Pager {
    let number = u32::try_from(page.number()).unwrap_or(u32::MAX);
    let next = match next {
        Next::Nothing => None,
        Next::ByNumber => Some(("pagina", number.saturating_add(1).to_string())),
        Next::ByCursor(cursor) => Some(("despues", cursor.to_string())),
    };
    let previous = page.previous();
    Pager {
        previous: previous.map(|page| {
            let page = (page > 1).then(|| page.to_string());
            address.clone().with("pagina", page.as_deref()).0
        }),
        next: next.map(|(name, value)| address.clone().with(name, Some(&value)).0),
        page: number,
    }
}

/// The normal form of a page's address.
#[derive(Debug, Clone)]
pub struct Address(pub String);

impl Address {
    pub fn new(path: &str) -> Self {
        Self(path.to_owned())
    }

    /// Adds what identifies a page of the list, as the request has it.
    #[must_use]
    pub fn of_page(self, page: Page, number: Option<&str>, after: Option<&str>) -> Self {
        if after.is_some() {
            self.with("despues", after)
        } else {
            self.with("pagina", number.filter(|_| page.previous().is_some()))
        }
    }

    /// Adds a parameter, if it has a value.
    #[must_use]
    pub fn with(mut self, name: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            self.0.push(if self.0.contains('?') { '&' } else { '?' });
            for part in [name, "=", &query_value(value)] {
                self.0.push_str(part);
            }
        }
        self
    }
}

/// Returns the address that opens `WhatsApp` with a text about a clip, and the address of its page,
/// if it is known (<https://faq.whatsapp.com/5913398998672934>).
pub fn share(clip: &Clip, t: &Phrases, page: Option<&str>) -> String {
    let text = (t.share_text)(&clip.title, &clip.player, &clip.city);
    let text = match page {
        Some(page) => format!("{text} {page}"),
        None => text,
    };
    let text = utf8_percent_encode(&text, NON_ALPHANUMERIC);
    format!("https://wa.me/?text={text}")
}
