//! Dates and phases of a contest in words.

use chrono::{Datelike as _, NaiveDateTime, Timelike as _};

use super::model::{Contest, Phase};
use crate::language::Language;

/// No line break within a time.
const SPACE: char = '\u{a0}';

const MONTHS: [(&str, &str); 12] = [
    ("enero", "January"),
    ("febrero", "February"),
    ("marzo", "March"),
    ("abril", "April"),
    ("mayo", "May"),
    ("junio", "June"),
    ("julio", "July"),
    ("agosto", "August"),
    ("septiembre", "September"),
    ("octubre", "October"),
    ("noviembre", "November"),
    ("diciembre", "December"),
];

/// Returns a local date and time: `3 de diciembre de 2026, 8:00 a. m.`
pub fn date(language: Language, local: NaiveDateTime) -> String {
    let month = usize::try_from(local.month0()).unwrap_or_default();
    let month = MONTHS
        .get(month)
        .map_or("", |(es, en)| language.select(*es, *en));
    let (day, year) = (local.day(), local.year());
    let date = language.select(
        format!("{day} de {month} de {year}"),
        format!("{day} {month} {year}"),
    );
    let (is_pm, hour) = local.hour12();
    let half = match (language, is_pm) {
        (Language::Spanish, false) => format!("a.{SPACE}m."),
        (Language::Spanish, true) => format!("p.{SPACE}m."),
        (Language::English, false) => "a.m.".to_owned(),
        (Language::English, true) => "p.m.".to_owned(),
    };
    format!("{date}, {hour}:{:02}{SPACE}{half}", local.minute())
}

/// Returns whose time a time zone is: `hora de Colombia`.
pub fn zone(language: Language, time_zone: &str) -> String {
    match time_zone {
        "America/Bogota" => language
            .select("hora de Colombia", "Colombian time")
            .to_owned(),
        other => language.select(format!("hora de {other}"), format!("{other} time")),
    }
}

impl Contest {
    /// Returns a sentence on where the contest stands, with the date that matters next.
    pub fn sentence(&self, language: Language, phase: Phase) -> String {
        let at = |local| {
            let zone = zone(language, &self.time_zone);
            format!("{} ({zone})", date(language, local))
        };
        let local = &self.local;
        match phase {
            Phase::Upcoming => language.select(
                format!(
                    "El concurso recibe videos desde el {}.",
                    at(local.submissions_open)
                ),
                format!(
                    "The contest takes videos from {}.",
                    at(local.submissions_open)
                ),
            ),
            Phase::Submissions => language.select(
                format!(
                    "Sube tu video hasta el {}. La votación abre el {}.",
                    at(local.submissions_close),
                    at(local.voting_open)
                ),
                format!(
                    "Upload your video until {}. Voting opens on {}.",
                    at(local.submissions_close),
                    at(local.voting_open)
                ),
            ),
            Phase::Waiting => language.select(
                format!("La votación abre el {}.", at(local.voting_open)),
                format!("Voting opens on {}.", at(local.voting_open)),
            ),
            Phase::Voting => language.select(
                format!("La votación cierra el {}.", at(local.voting_close)),
                format!("Voting closes on {}.", at(local.voting_close)),
            ),
            Phase::Closed | Phase::Frozen => language.select(
                format!(
                    "La votación cerró el {}. Pronto publicaremos el resultado.",
                    at(local.voting_close)
                ),
                format!(
                    "Voting closed on {}. The result will be published soon.",
                    at(local.voting_close)
                ),
            ),
            Phase::Published => language.select(
                format!(
                    "La votación cerró el {}. Este es el resultado.",
                    at(local.voting_close)
                ),
                format!(
                    "Voting closed on {}. This is the result.",
                    at(local.voting_close)
                ),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    #[test]
    fn dates_are_written_as_people_read_them() {
        let day = NaiveDate::from_ymd_opt(2026, 12, 3).unwrap();
        for (hour, minute, spanish, english) in [
            (0, 0, "12:00 a. m.", "12:00 a.m."),
            (8, 5, "8:05 a. m.", "8:05 a.m."),
            (12, 0, "12:00 p. m.", "12:00 p.m."),
            (20, 30, "8:30 p. m.", "8:30 p.m."),
        ] {
            let at = day.and_hms_opt(hour, minute, 0).unwrap();
            let plain = |language| date(language, at).replace(SPACE, " ");
            assert_eq!(
                plain(Language::Spanish),
                format!("3 de diciembre de 2026, {spanish}")
            );
            assert_eq!(
                plain(Language::English),
                format!("3 December 2026, {english}")
            );
        }
    }
}
