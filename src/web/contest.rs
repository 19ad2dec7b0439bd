//! From a contest to what pages show of it.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, TimeDelta, Utc};

use super::{
    text::contest::contest as sentences,
    view::{
        band::{Band, Closed, Countdown},
        contest::ContestHelp,
        plot::HourOfVotes,
    },
};
use crate::{
    contests::{Contest, Phase, Reading, VoteHour, words},
    http::{Code, Error},
    language::Language,
};

/// Returns a local time of the contest in words, with its zone.
pub fn moment(contest: &Contest, language: Language, local: NaiveDateTime) -> String {
    let zone = words::zone(language, &contest.time_zone);
    format!("{} ({zone})", words::date(language, local))
}

/// Returns a time by the clocks of the contest. They are those of the end of its voting: where the
/// clocks change within a contest, this is an hour off before the change.
pub fn local(contest: &Contest, at: DateTime<Utc>) -> NaiveDateTime {
    let offset = contest.local.voting_close - contest.voting_close_at.naive_utc();
    at.naive_utc() + offset
}

/// Returns what public pages say about the current contest.
pub fn band(reading: Option<&Reading>, language: Language) -> Option<Band> {
    let reading = reading?;
    let (contest, phase) = (&reading.contest, reading.phase());
    let is_published = phase == Phase::Published;
    Some(Band {
        id: contest.id,
        text: sentences(language),
        name: contest.name.clone(),
        sentence: contest.sentence(language, phase),
        countdown: countdown(reading, language),
        time_zone: contest.time_zone.clone(),
        closed: closed(contest, phase, language),
        result: is_published.then(|| format!("/resultados/{}", contest.slug)),
    })
}

/// Returns why the contest takes no votes in a phase, if so.
fn closed(contest: &Contest, phase: Phase, language: Language) -> Option<Closed> {
    let t = sentences(language);
    let (label, sentence, local) = match phase {
        Phase::Voting => return None,
        Phase::Upcoming | Phase::Submissions | Phase::Waiting => {
            (t.not_yet, t.voting_opens, contest.local.voting_open)
        }
        Phase::Closed | Phase::Frozen | Phase::Published => {
            (t.over, t.voting_closed, contest.local.voting_close)
        }
    };
    Some(Closed {
        label,
        sentence: sentence(&moment(contest, language, local)),
    })
}

/// Returns the time until the phase changes, if a date changes it.
pub fn countdown(reading: &Reading, language: Language) -> Option<Countdown> {
    let (contest, t) = (&reading.contest, sentences(language));
    let voting_opens = (t.voting_opens_in, contest.voting_open_at);
    let (label, at) = match reading.phase() {
        Phase::Upcoming => (t.submissions_open_in, contest.submissions_open_at),
        Phase::Submissions => {
            let closing = (t.submissions_close_in, contest.submissions_close_at);
            if voting_opens.1 < closing.1 {
                voting_opens
            } else {
                closing
            }
        }
        Phase::Waiting => voting_opens,
        Phase::Voting => (t.voting_closes_in, contest.voting_close_at),
        Phase::Closed | Phase::Frozen | Phase::Published => return None,
    };
    Some(Countdown {
        label,
        at: at.to_rfc3339_opts(SecondsFormat::Secs, true),
        // The page is never early.
        seconds: (at - reading.now() + TimeDelta::milliseconds(999)).num_seconds(),
    })
}

/// Returns why the contest takes no videos now, in words, if so.
pub fn no_uploads(reading: &Reading, language: Language) -> Option<String> {
    let (contest, t) = (&reading.contest, sentences(language));
    if contest.takes_videos(reading.now()) {
        return None;
    }
    let is_early = reading.now() < contest.submissions_open_at;
    let (sentence, local) = if is_early {
        (t.uploads_from, contest.local.submissions_open)
    } else {
        (t.uploads_until, contest.local.submissions_close)
    };
    Some(sentence(&moment(contest, language, local)))
}

/// Returns dates and rules in words.
pub fn help(contest: &Contest, language: Language) -> ContestHelp {
    let (t, local, rules) = (sentences(language), &contest.local, &contest.rules);
    let date = |local| moment(contest, language, local);
    let mut steps = vec![
        (t.uploads_between)(
            &date(local.submissions_open),
            &date(local.submissions_close),
        ),
        (t.votes_between)(&date(local.voting_open), &date(local.voting_close)),
    ];
    steps.extend(
        rules
            .entries_per_player
            .map(|most| (t.entries)(most.into())),
    );
    steps.extend(
        rules
            .votes_per_day
            .map(|most| (t.votes_per_day)(most.into())),
    );
    steps.extend(rules.votes_in_all.map(|most| (t.votes_in_all)(most.into())));
    let age = rules.min_account_age_seconds;
    steps.extend(age.map(|seconds| (t.account_age)(&age_words(language, seconds))));
    ContestHelp {
        title: (t.about)(&contest.name),
        steps,
    }
}

/// Returns an age in its largest whole unit.
fn age_words(language: Language, seconds: i32) -> String {
    let units = [
        (86_400, ("día", "días"), ("day", "days")),
        (3_600, ("hora", "horas"), ("hour", "hours")),
        (60, ("minuto", "minutos"), ("minute", "minutes")),
    ];
    let fits = units.into_iter().find(|(unit, ..)| seconds % unit == 0);
    let (unit, spanish, english) =
        fits.unwrap_or((1, ("segundo", "segundos"), ("second", "seconds")));
    let number = seconds / unit;
    let (one, many) = language.select(spanish, english);
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Returns the hours of votes by the clocks of the contest.
pub fn local_hours(contest: &Contest, hours: &[VoteHour]) -> Vec<HourOfVotes> {
    let hours = hours.iter().map(|hour| HourOfVotes {
        hour: local(contest, hour.hour),
        votes: hour.votes,
    });
    hours.collect()
}

/// Returns the query that tells the page of a vote's outcome why the contest refused the vote, if it
/// did.
pub fn refusal_query(error: &Error) -> Option<String> {
    let is_of_contest = matches!(
        error.code,
        Code::VotingClosed | Code::VoteLimit | Code::AccountTooNew | Code::NotInContest
    );
    let from = error.moments.allowed_at;
    let from = from.map_or_else(String::new, |at| format!("&desde={}", at.timestamp()));
    is_of_contest.then(|| format!("motivo={}{from}", error.code.name()))
}

/// Returns the sentence for a refused vote: `code` is the name of the error, `from` when the vote is
/// allowed (Unix time). Returns none if the contest would not refuse it so.
pub fn refusal(
    reading: &Reading,
    language: Language,
    code: &str,
    from: Option<i64>,
) -> Option<String> {
    let (contest, t) = (&reading.contest, sentences(language));
    let codes = [Code::VoteLimit, Code::AccountTooNew, Code::NotInContest];
    let Some(code) = codes.into_iter().find(|known| known.name() == code) else {
        let closed = closed(contest, reading.phase(), language)?;
        return (code == Code::VotingClosed.name()).then_some(closed.sentence);
    };
    let from = from.and_then(|from| DateTime::from_timestamp(from, 0));
    let from = from.map(|at| {
        let date = moment(contest, language, local(contest, at));
        format!(" {}", (t.vote_from)(&date))
    });
    let sentence = code.message(language);
    Some(format!("{sentence}{}", from.unwrap_or_default()))
}
