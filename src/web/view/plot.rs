//! A bar plot of votes by hour, as an SVG picture that needs no script and no inline style.

use std::fmt::Write as _;

use chrono::{Datelike as _, NaiveDateTime, TimeDelta, Timelike as _};

use crate::language::Language;

/// Minimum number of hours, so that the first ones are no wide blocks.
const MIN_HOURS: usize = 24;

/// Maximum number of hours: the latest ones.
const MAX_HOURS: usize = 31 * 24;

/// Up to this many hours, the axis has hours in place of days.
const MAX_HOURS_WITH_TIMES: usize = 48;

/// Maximum number of marks on the axis, so that they fit a phone.
const MAX_MARKS: usize = 5;

const MONTHS: [(&str, &str); 12] = [
    ("ene", "Jan"),
    ("feb", "Feb"),
    ("mar", "Mar"),
    ("abr", "Apr"),
    ("may", "May"),
    ("jun", "Jun"),
    ("jul", "Jul"),
    ("ago", "Aug"),
    ("sep", "Sep"),
    ("oct", "Oct"),
    ("nov", "Nov"),
    ("dic", "Dec"),
];

/// The votes of an hour that begins at a local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HourOfVotes {
    pub hour: NaiveDateTime,
    pub votes: i64,
}

/// The plot, in units of the picture: one per hour across, 100 for `top` votes upwards.
#[derive(Debug, Clone)]
pub struct Plot {
    /// Hours across.
    pub width: usize,
    /// Outline of all bars (SVG path).
    pub bars: String,
    /// Votes at the upper line: a round number that no hour exceeds.
    pub top: i64,
    pub marks: Vec<Mark>,
    pub total: i64,
    pub peak: HourOfVotes,
    /// The hours that have votes, the latest first.
    pub hours: Vec<HourOfVotes>,
}

/// A mark on the axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Distance from the left edge (percent of the width).
    pub percent: String,
    pub label: String,
}

impl Plot {
    /// Returns the plot of the hours that have votes, in their order. Returns none without any.
    pub fn of(language: Language, hours: &[HourOfVotes]) -> Option<Self> {
        let (first, last) = (hours.first()?, hours.last()?);
        let peak = hours.iter().copied().max_by_key(|hour| hour.votes)?;
        let span = usize::try_from((last.hour - first.hour).num_hours()).ok()? + 1;
        let skipped = span.saturating_sub(MAX_HOURS);
        let start = first.hour + TimeDelta::hours(i64::try_from(skipped).ok()?);
        let width = (span - skipped).max(MIN_HOURS);
        let top = round_up(peak.votes);
        let mut bars = String::new();
        for hour in hours.iter().filter(|hour| hour.hour >= start) {
            let left = (hour.hour - start).num_hours();
            // Tenths of a percent. A bar that has votes is visible.
            let height = (hour.votes.saturating_mul(1000) / top).max(10);
            let upper = 1000 - height;
            write!(bars, "M{left}.1 100V{}.{}h.8V100z", upper / 10, upper % 10).ok()?;
        }
        Some(Self {
            width,
            bars,
            top,
            marks: marks(language, start, width),
            total: hours.iter().map(|hour| hour.votes).sum(),
            peak,
            hours: hours.iter().rev().copied().collect(),
        })
    }

    pub fn label(&self, language: Language, hour: &HourOfVotes) -> String {
        hour_label(language, hour.hour)
    }
}

/// Returns the day and the hour: `3 dic, 8:00`.
fn hour_label(language: Language, hour: NaiveDateTime) -> String {
    format!("{}, {}", day_label(language, hour), time_label(hour))
}

fn time_label(hour: NaiveDateTime) -> String {
    hour.format("%-H:%M").to_string()
}

fn day_label(language: Language, at: NaiveDateTime) -> String {
    let month = usize::try_from(at.month0()).unwrap_or_default();
    let month = MONTHS
        .get(month)
        .map_or("", |(es, en)| language.select(*es, *en));
    format!("{}\u{a0}{month}", at.day())
}

/// Returns the next number of the form 1, 2 or 5 times a power of ten, at least 2.
fn round_up(number: i64) -> i64 {
    let mut power: i64 = 1;
    loop {
        for step in [1, 2, 5] {
            let top = power.saturating_mul(step);
            if top >= number.max(2) {
                return top;
            }
        }
        power = power.saturating_mul(10);
    }
}

/// Returns the marks of an axis that begins at `start`: midnights, or hours on a short one.
fn marks(language: Language, start: NaiveDateTime, width: usize) -> Vec<Mark> {
    let is_short = width <= MAX_HOURS_WITH_TIMES;
    let step = if is_short {
        width.div_ceil(4)
    } else {
        width.div_ceil(24).div_ceil(MAX_MARKS) * 24
    };
    let hour = usize::try_from(start.hour()).unwrap_or_default();
    let first = if is_short { 0 } else { (24 - hour) % 24 };
    (first..width)
        .step_by(step.max(1))
        // A mark at the right edge would be cut off.
        .filter(|at| at * 100 < width * 92)
        .map(|at| {
            let time = start + TimeDelta::hours(i64::try_from(at).unwrap_or_default());
            Mark {
                percent: format!("{}.{}", at * 100 / width, at * 1000 / width % 10),
                label: if is_short {
                    time_label(time)
                } else {
                    day_label(language, time)
                },
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    fn hours(votes: impl IntoIterator<Item = i64>) -> Vec<HourOfVotes> {
        let start = NaiveDate::from_ymd_opt(2026, 12, 3).unwrap();
        let start = start.and_hms_opt(8, 0, 0).unwrap();
        let votes = (0..).zip(votes);
        votes
            .map(|(at, votes)| HourOfVotes {
                hour: start + TimeDelta::hours(at),
                votes,
            })
            .collect()
    }

    fn plot(votes: impl IntoIterator<Item = i64>) -> Option<Plot> {
        Plot::of(Language::Spanish, &hours(votes))
    }

    #[test]
    fn nothing_is_plotted_without_votes() {
        assert!(plot([]).is_none());
    }

    #[test]
    fn one_hour_is_one_bar_of_a_day() {
        let plot = plot([7]).unwrap();
        assert_eq!((plot.width, plot.top, plot.total), (24, 10, 7));
        assert_eq!(plot.bars, "M0.1 100V30.0h.8V100z");
        let labels: Vec<_> = plot.marks.iter().map(|mark| mark.label.as_str()).collect();
        assert_eq!(labels, ["8:00", "14:00", "20:00", "2:00"]);
    }

    #[test]
    fn many_hours_have_few_marks_at_midnight() {
        let plot = plot((0..400).map(|hour| hour % 90)).unwrap();
        assert_eq!((plot.width, plot.top), (400, 100));
        assert!(plot.marks.len() <= MAX_MARKS, "{:?}", plot.marks);
        assert_eq!(plot.marks.first().unwrap().label, "4\u{a0}dic");
        assert_eq!(plot.peak.votes, 89);
    }

    #[test]
    fn only_the_latest_month_is_drawn() {
        let plot = plot((0..1000).map(|_| 1)).unwrap();
        assert_eq!(
            (plot.width, plot.hours.len(), plot.total),
            (744, 1000, 1000)
        );
        assert!(plot.bars.starts_with("M0.1 ") && plot.bars.contains("M743.1 "));
    }
}
