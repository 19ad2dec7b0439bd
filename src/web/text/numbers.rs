//! Numbers, sizes and times as Colombians and English readers write them.

use chrono::{DateTime, TimeDelta, Utc};

use crate::language::Language;

/// How much later it is in UTC.
const COLOMBIA_BEHIND_UTC: TimeDelta = TimeDelta::hours(5);

const MIB: u64 = 1 << 20;
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// No line break between a number and its unit.
const SPACE: char = '\u{a0}';

/// Returns a number with groups of three digits: `1.234` or `1,234`.
pub fn count(language: Language, number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let separator = language.select('.', ',');
    let mut text = String::new();
    if number < 0 {
        text.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(separator);
        }
        text.push(digit);
    }
    text
}

/// Returns a size in units of 1,048,576 bytes, as the limit of a file is set: `8,7 MB`, `48 MB`.
/// Sizes below 10 MB have one decimal.
pub fn megabytes(language: Language, bytes: u64) -> String {
    let tenths = (bytes.saturating_mul(10).saturating_add(MIB / 2)) / MIB;
    if tenths >= 100 {
        let whole = bytes.saturating_add(MIB / 2) / MIB;
        return format!("{whole}{SPACE}MB");
    }
    let comma = language.select(',', '.');
    format!("{}{comma}{}{SPACE}MB", tenths / 10, tenths % 10)
}

/// Returns how long ago something happened: `hace 3 h`.
pub fn ago(language: Language, seconds: u64) -> String {
    if seconds < MINUTE {
        return language.select("hace un momento", "just now").to_owned();
    }
    let time = match seconds {
        _ if seconds < HOUR => format!("{}{SPACE}min", seconds / MINUTE),
        _ if seconds < DAY => format!("{}{SPACE}h", seconds / HOUR),
        _ if seconds < 2 * DAY => format!("1{SPACE}{}", language.select("día", "day")),
        _ => format!(
            "{}{SPACE}{}",
            seconds / DAY,
            language.select("días", "days")
        ),
    };
    language.select(format!("hace {time}"), format!("{time} ago"))
}

/// Returns a point in time by the clocks of Colombia, which have no summer time: `29/11/2026 19:13`,
/// or as English readers of any country understand it, `2026-11-29 19:13`.
pub fn moment(language: Language, at: DateTime<Utc>) -> String {
    let local = at.naive_utc() - COLOMBIA_BEHIND_UTC;
    let format = language.select("%d/%m/%Y %H:%M", "%Y-%m-%d %H:%M");
    local.format(format).to_string()
}

/// Returns a place in a ranking: `3.º` or `3rd`.
pub fn ordinal(language: Language, place: u32) -> String {
    let number = count(language, place.into());
    let suffix = match (place % 10, place % 100) {
        (1, rest) if rest != 11 => "st",
        (2, rest) if rest != 12 => "nd",
        (3, rest) if rest != 13 => "rd",
        _ => "th",
    };
    language.select(format!("{number}.º"), format!("{number}{suffix}"))
}

/// Returns a share of a hundred: `45 %` or `45%`.
pub fn percent(language: Language, percent: u8) -> String {
    language.select(format!("{percent}{SPACE}%"), format!("{percent}%"))
}

/// Returns the time left of a job or an upload, in steps of 5 s below a minute and of 1 min above.
pub fn time_left(seconds: u64) -> String {
    if seconds < MINUTE {
        let steps = seconds.div_ceil(5).max(1);
        return match steps * 5 {
            MINUTE => format!("1{SPACE}min"),
            rounded => format!("{rounded}{SPACE}s"),
        };
    }
    format!("{}{SPACE}min", seconds.div_ceil(MINUTE))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ES: Language = Language::Spanish;
    const EN: Language = Language::English;

    #[test]
    fn thousands_have_a_separator() {
        for (number, spanish, english) in [
            (0, "0", "0"),
            (999, "999", "999"),
            (1_234, "1.234", "1,234"),
            (1_234_567, "1.234.567", "1,234,567"),
            (-1_000, "-1.000", "-1,000"),
        ] {
            assert_eq!(count(ES, number), spanish);
            assert_eq!(count(EN, number), english);
        }
    }

    #[test]
    fn sizes_below_ten_have_a_decimal() {
        for (bytes, spanish) in [
            (0, "0,0\u{a0}MB"),
            (MIB * 87 / 10, "8,7\u{a0}MB"),
            (MIB * 999 / 100, "10\u{a0}MB"),
            (104_857_600, "100\u{a0}MB"),
            (u64::MAX, "17592186044415\u{a0}MB"),
        ] {
            assert_eq!(megabytes(ES, bytes), spanish);
        }
        assert_eq!(megabytes(EN, MIB * 21 / 10), "2.1\u{a0}MB");
    }

    #[test]
    fn ages_use_their_largest_unit() {
        for (seconds, spanish, english) in [
            (59, "hace un momento", "just now"),
            (60, "hace 1\u{a0}min", "1\u{a0}min ago"),
            (3 * HOUR, "hace 3\u{a0}h", "3\u{a0}h ago"),
            (DAY, "hace 1\u{a0}día", "1\u{a0}day ago"),
            (9 * DAY, "hace 9\u{a0}días", "9\u{a0}days ago"),
        ] {
            assert_eq!(ago(ES, seconds), spanish);
            assert_eq!(ago(EN, seconds), english);
        }
    }

    #[test]
    fn english_ordinals_follow_the_last_digits() {
        let places = [1, 2, 3, 4, 11, 12, 13, 21, 112].map(|place| ordinal(EN, place));
        assert_eq!(
            places,
            [
                "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th"
            ]
        );
        assert_eq!(ordinal(ES, 1_000), "1.000.º");
    }

    #[test]
    fn time_left_has_coarse_steps() {
        for (seconds, text) in [
            (0, "5\u{a0}s"),
            (36, "40\u{a0}s"),
            (57, "1\u{a0}min"),
            (61, "2\u{a0}min"),
        ] {
            assert_eq!(time_left(seconds), text);
        }
    }
}
