//! The sentences about a contest: its band on public pages, and its result. Those of the organisers'
//! page are in [`super::run`].

use super::count;
use crate::language::Language;

/// The sentences in one language.
#[derive(Debug)]
pub struct ContestText {
    pub contest: &'static str,

    // The band on public pages, and the vote buttons.
    pub submissions_open_in: &'static str,
    pub submissions_close_in: &'static str,
    pub voting_opens_in: &'static str,
    pub voting_closes_in: &'static str,
    pub see_result: &'static str,
    pub not_yet: &'static str,
    pub over: &'static str,
    pub voting_opens: fn(date: &str) -> String,
    pub voting_closed: fn(date: &str) -> String,
    pub vote_from: fn(date: &str) -> String,
    pub refused_title: &'static str,
    pub left_out: &'static str,

    // The upload, and the help.
    pub no_uploads: &'static str,
    pub uploads_from: fn(date: &str) -> String,
    pub uploads_until: fn(date: &str) -> String,
    pub about: fn(name: &str) -> String,
    pub uploads_between: fn(from: &str, until: &str) -> String,
    pub votes_between: fn(from: &str, until: &str) -> String,
    pub votes_per_day: fn(votes: i64) -> String,
    pub votes_in_all: fn(votes: i64) -> String,
    pub account_age: fn(age: &str) -> String,
    pub entries: fn(videos: i64) -> String,

    // The result and its record.
    pub result: &'static str,
    pub result_of: fn(city: &str) -> String,
    pub preview: &'static str,
    pub final_on: fn(date: &str) -> String,
    pub players: fn(players: i64) -> String,
    pub nobody: &'static str,
    pub tie: &'static str,
    pub tie_rule: &'static str,
    pub files: &'static str,
    pub record: &'static str,
    pub record_title: &'static str,
    pub digest: &'static str,
    pub check: &'static str,
    pub frozen_on: &'static str,
    pub voting: &'static str,
    pub from_until: fn(from: &str, until: &str) -> String,
    pub signature: &'static str,
    pub print: &'static str,
    pub first_rows: fn(rows: i64) -> String,
    pub area: &'static str,
}

/// Returns the sentences in a language.
pub fn contest(language: Language) -> &'static ContestText {
    language.select(&SPANISH, &ENGLISH)
}

/// Returns the time until a date, in its two largest units: `2 d 4 h`, `4 h 12 min`, `9:05`.
/// `page.js` does the same.
pub fn countdown(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    if days > 0 {
        format!("{days}\u{a0}d {hours}\u{a0}h")
    } else if hours > 0 {
        format!("{hours}\u{a0}h {minutes}\u{a0}min")
    } else {
        format!("{minutes}:{:02}", seconds % 60)
    }
}

/// Returns a number with its noun.
fn several(language: Language, number: i64, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{} {many}", count(language, number)),
    }
}

pub(super) fn es(number: i64, one: &str, many: &str) -> String {
    several(Language::Spanish, number, one, many)
}

pub(super) fn en(number: i64, one: &str, many: &str) -> String {
    several(Language::English, number, one, many)
}

static SPANISH: ContestText = ContestText {
    contest: "Concurso",

    submissions_open_in: "Empieza en",
    submissions_close_in: "Los videos cierran en",
    voting_opens_in: "La votación abre en",
    voting_closes_in: "La votación cierra en",
    see_result: "Ver el resultado",
    not_yet: "Aún no",
    over: "Cerrada",
    voting_opens: |date| format!("La votación abre el {date}."),
    voting_closed: |date| format!("La votación cerró el {date}."),
    vote_from: |date| format!("Podrás votar desde el {date}."),
    refused_title: "Tu voto no cuenta",
    left_out: "No participa en este concurso",

    no_uploads: "El concurso no recibe videos ahora",
    uploads_from: |date| format!("Podrás subir tu video desde el {date}."),
    uploads_until: |date| format!("Los videos se recibieron hasta el {date}."),
    about: |name| format!("El concurso: {name}"),
    uploads_between: |from, until| format!("Sube tus videos desde el {from} hasta el {until}."),
    votes_between: |from, until| format!("Vota desde el {from} hasta el {until}."),
    votes_per_day: |votes| format!("Cada persona tiene {} por día.", es(votes, "voto", "votos")),
    votes_in_all: |votes| {
        format!(
            "Cada persona tiene {} en todo el concurso.",
            es(votes, "voto", "votos")
        )
    },
    account_age: |age| format!("Para votar, tu cuenta debe existir desde hace {age}."),
    entries: |videos| {
        format!(
            "Cada jugador participa con {} como máximo.",
            es(videos, "video", "videos")
        )
    },

    result: "Resultado",
    result_of: |city| format!("Resultado de {city}"),
    preview: "Solo lo ve la organización: el resultado aún no es público.",
    final_on: |date| format!("Resultado definitivo del {date}."),
    players: |players| es(players, "jugador", "jugadores"),
    nobody: "Nadie participó.",
    tie: "Empate",
    tie_rule: "Empate: va primero quien subió antes su video.",
    files: "Descargas",
    record: "Acta para imprimir",
    record_title: "Acta de resultados",
    digest: "Huella (SHA-256)",
    check: "Quien quiera puede comprobar que nada cambió: este comando debe mostrar la misma huella.",
    frozen_on: "Congelado",
    voting: "Votación",
    from_until: |from, until| format!("Del {from} al {until}"),
    signature: "Nombre, cargo y firma",
    print: "Imprimir",
    first_rows: |rows| {
        format!(
            "Se muestran los primeros {} puestos.",
            count(Language::Spanish, rows)
        )
    },
    area: "Ciudad",
};

static ENGLISH: ContestText = ContestText {
    contest: "Contest",

    submissions_open_in: "Starts in",
    submissions_close_in: "Uploads close in",
    voting_opens_in: "Voting opens in",
    voting_closes_in: "Voting closes in",
    see_result: "See the result",
    not_yet: "Not yet",
    over: "Closed",
    voting_opens: |date| format!("Voting opens on {date}."),
    voting_closed: |date| format!("Voting closed on {date}."),
    vote_from: |date| format!("You can vote from {date}."),
    refused_title: "Your vote does not count",
    left_out: "Not in this contest",

    no_uploads: "The contest takes no videos now",
    uploads_from: |date| format!("You can upload your video from {date}."),
    uploads_until: |date| format!("Videos were taken until {date}."),
    about: |name| format!("The contest: {name}"),
    uploads_between: |from, until| format!("Upload your videos from {from} until {until}."),
    votes_between: |from, until| format!("Vote from {from} until {until}."),
    votes_per_day: |votes| format!("Each person has {} a day.", en(votes, "vote", "votes")),
    votes_in_all: |votes| {
        format!(
            "Each person has {} in the whole contest.",
            en(votes, "vote", "votes")
        )
    },
    account_age: |age| format!("To vote, your account must be at least {age} old."),
    entries: |videos| {
        format!(
            "Each player enters at most {}.",
            en(videos, "video", "videos")
        )
    },

    result: "Result",
    result_of: |city| format!("Result of {city}"),
    preview: "Only the organisers see this: the result is not public yet.",
    final_on: |date| format!("Final result of {date}."),
    players: |players| en(players, "player", "players"),
    nobody: "Nobody took part.",
    tie: "Tie",
    tie_rule: "Tie: the earlier upload goes first.",
    files: "Downloads",
    record: "Record to print",
    record_title: "Record of the result",
    digest: "Fingerprint (SHA-256)",
    check: "Anybody can check that nothing has changed: this command must show the same fingerprint.",
    frozen_on: "Frozen",
    voting: "Voting",
    from_until: |from, until| format!("From {from} until {until}"),
    signature: "Name, position and signature",
    print: "Print",
    first_rows: |rows| {
        format!(
            "The first {} places are shown.",
            count(Language::English, rows)
        )
    },
    area: "City",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countdown_has_the_two_largest_units() {
        for (seconds, words) in [
            (-1, "0:00"),
            (9, "0:09"),
            (605, "10:05"),
            (3_600, "1 h 0 min"),
            (86_399, "23 h 59 min"),
            (187_200, "2 d 4 h"),
        ] {
            assert_eq!(countdown(seconds).replace('\u{a0}', " "), words);
        }
    }
}
