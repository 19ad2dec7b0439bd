//! The gallery: `/`.

use askama::Template;

use super::{CityChoice, Clip, Pager, Shell, Standing, city_name};

/// Number of cities that are also offered as links.
const CHIPS: usize = 5;

#[derive(Debug, Template)]
#[template(path = "gallery.html", config = ".config/askama.toml")]
pub struct GalleryPage {
    pub shell: Shell,
    pub cities: Vec<CityChoice>,
    /// Key of the chosen city.
    pub city: Option<String>,
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
            .filter(|city| self.city.as_deref() != Some(city.key.as_str()))
            .collect();
        cities.sort_by_key(|city| std::cmp::Reverse(city.clips));
        cities.truncate(CHIPS);
        cities
    }

    /// Returns the name of the chosen city, also of one without clips.
    fn city_name(&self) -> Option<&str> {
        city_name(&self.cities, self.city.as_deref())
    }

    /// Whether the page shows all clips from the first one.
    fn is_front(&self) -> bool {
        self.city.is_none() && self.query.is_none() && self.pager.page <= 1
    }
}
