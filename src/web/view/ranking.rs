//! The ranking: `/clasificacion`.

use askama::Template;

use super::{City, CityChoice, Pager, Shell, Standing, query_value};

#[derive(Debug, Template)]
#[template(path = "ranking.html", config = ".config/askama.toml")]
pub struct RankingPage {
    pub shell: Shell,
    pub by: By,
    pub cities: Vec<CityChoice>,
    /// The chosen one.
    pub city: Option<City>,
    pub rows: Vec<Standing>,
    pub pager: Pager,
}

/// What the ranking lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Player,
    Video,
}

impl By {
    /// Returns the value of `por` in addresses.
    pub fn key(self) -> &'static str {
        match self {
            Self::Player => "jugador",
            Self::Video => "video",
        }
    }
}

impl RankingPage {
    /// Returns the address of the other list, of the same city.
    fn tab(&self, by: By) -> String {
        match &self.city {
            None => format!("/clasificacion?por={}", by.key()),
            Some(city) => {
                let city = query_value(&city.key);
                format!("/clasificacion?por={}&ciudad={city}", by.key())
            }
        }
    }

    fn current(&self, by: By) -> &'static str {
        if self.by == by { "page" } else { "false" }
    }

    fn has_ties(&self) -> bool {
        self.rows.iter().any(|row| row.tied)
    }
}
