//! The gallery: `/`.

use askama::Template;

use super::{City, CityChoice, Clip, Pager, Shell, Standing};

/// Number of cities that are also offered as links.
const CHIPS: usize = 5;

#[derive(Debug, Template)]
#[template(path = "gallery.html", config = ".config/askama.toml")]
pub struct GalleryPage {
    pub shell: Shell,
    pub cities: Vec<CityChoice>,
    /// The chosen one.
    pub city: Option<City>,
    pub query: Option<String>,
    pub clips: Vec<Clip>,
    /// The first five of the ranking.
    pub top: Vec<Standing>,
    pub pager: Pager,
}

impl GalleryPage {
    /// Returns the cities with most clips, without the chosen one.
    fn chips(&self) -> Vec<&CityChoice> {
        let mut cities: Vec<_> = self
            .cities
            .iter()
            .filter(|choice| self.city.as_ref() != Some(&choice.city))
            .collect();
        cities.sort_by_key(|city| std::cmp::Reverse(city.clips));
        cities.truncate(CHIPS);
        cities
    }

    /// Whether the page shows all clips from the first one.
    fn is_front(&self) -> bool {
        self.city.is_none() && self.query.is_none() && self.pager.page <= 1
    }
}
