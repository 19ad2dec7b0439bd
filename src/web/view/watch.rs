//! A clip: `/videos/{id}`, and after a vote `/voto/{id}`.

use askama::Template;

use super::{Clip, Shell};
use crate::web::text::contest::contest;

#[derive(Debug, Template)]
#[template(path = "watch.html", config = ".config/askama.toml")]
pub struct WatchPage {
    pub shell: Shell,
    pub clip: Clip,
    /// Where the clip's player stands, if the ranking could be read.
    pub place: Option<Places>,
    pub more: Vec<Clip>,
    /// How the visitor's vote ended.
    pub outcome: Option<VoteOutcome>,
    /// `wa.me` address with the text to send.
    pub share: String,
}

/// Where a player stands in the city and in the country.
#[derive(Debug, Clone)]
pub struct Places {
    pub city: Place,
    pub nationwide: Option<Place>,
}

/// A place in the ranking of an area.
#[derive(Debug, Clone)]
pub struct Place {
    pub area: String,
    /// None beyond place 1,000.
    pub place: Option<u32>,
    pub behind: Option<Behind>,
}

/// The distance to the player above.
#[derive(Debug, Clone, Copy)]
pub struct Behind {
    pub votes: i64,
    pub place: u32,
}

/// How a vote ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VoteOutcome {
    Counted,
    Already,
    Own,
    /// The contest's rules refused it, for the reason that the sentence says.
    Refused(String),
    /// With the sentence that says why.
    Failed(String),
}

impl Place {
    /// Returns what stands on the place's plate.
    fn number(&self) -> String {
        match self.place {
            None => "+".to_owned(),
            Some(place) => place.to_string(),
        }
    }
}

impl WatchPage {
    fn outcome_title(&self, outcome: &VoteOutcome) -> &'static str {
        let t = self.shell.t;
        match outcome {
            VoteOutcome::Counted => t.vote_counts,
            VoteOutcome::Already => t.already_title,
            VoteOutcome::Own => t.own_title,
            VoteOutcome::Refused(_) => contest(self.shell.language).refused_title,
            VoteOutcome::Failed(_) => t.failed_title,
        }
    }

    fn outcome_text(&self, outcome: &VoteOutcome) -> String {
        let t = self.shell.t;
        match outcome {
            VoteOutcome::Counted => (t.counted_lead)(&self.clip.player),
            VoteOutcome::Already => t.already_voted.to_owned(),
            VoteOutcome::Own => t.own_video.to_owned(),
            VoteOutcome::Refused(sentence) | VoteOutcome::Failed(sentence) => sentence.clone(),
        }
    }

    /// Whether all other clips are from the same city.
    fn more_are_local(&self) -> bool {
        self.more.iter().all(|other| other.city == self.clip.city)
    }

    /// Returns the state of the vote button.
    fn vote_state(&self) -> &'static str {
        match self.outcome {
            Some(VoteOutcome::Counted | VoteOutcome::Already) => "voted",
            Some(VoteOutcome::Own) => "own",
            Some(VoteOutcome::Refused(_) | VoteOutcome::Failed(_)) | None => {
                self.shell.ballot("none")
            }
        }
    }

    /// Returns the sentence about a place.
    fn place_sentence(&self, place: &Place) -> String {
        let t = self.shell.t;
        let Some(number) = place.place else {
            return (t.beyond)(&place.area);
        };
        if number == 1 {
            return (t.leads)(&place.area);
        }
        let shown = self.shell.count(&number.into());
        match place.behind {
            None => (t.place_in)(&shown, &place.area),
            Some(Behind {
                votes: 0,
                place: above,
            }) => (t.tied_with)(&shown, &place.area, &self.above(above)),
            Some(Behind {
                votes,
                place: above,
            }) => (t.place_behind)(&shown, &place.area, votes, &self.above(above)),
        }
    }

    /// Returns the number of the place above, as its sentence needs it: `2.º` or `2`.
    fn above(&self, place: u32) -> String {
        let language = self.shell.language;
        language.select(self.shell.ordinal(place), self.shell.count(&place.into()))
    }
}
