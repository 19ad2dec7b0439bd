//! `/organizacion/registro`: the record of what members of staff did.

use std::collections::{BTreeSet, HashMap};

use actix_web::{HttpResponse, http::StatusCode, web};
use chrono::SecondsFormat;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    app::App,
    audit::{self, Act, Recorded, Wanted, handlers::entry_number},
    auth::{Role, permissions::ReadAudit},
    http::Result,
    ids::VideoId,
    language::Language,
    videos::board,
    web::{
        own::seconds_since,
        private,
        text::{
            ago, moment,
            staff::{act_in_words, member_in_words, staff as sentences},
        },
        view::{
            Section, query_value,
            staff::{RecordPage, RecordedAct},
        },
        visit::{Staff, Visit},
    },
};

/// Entries of a page.
const ENTRIES: usize = 50;

#[derive(Deserialize)]
pub struct RecordParameters {
    acto: Option<String>,
    /// The number of the entry before which the page begins.
    antes: Option<String>,
}

/// `GET /organizacion/registro`
pub async fn record(
    app: web::Data<App>,
    visit: Visit,
    staff: Staff<ReadAudit>,
    parameters: web::Query<RecordParameters>,
) -> Result<HttpResponse> {
    let language = visit.language;
    let db = &app.backends.db;
    let act = parameters.acto.as_deref().and_then(Act::from_name);
    let before = entry_number(parameters.antes.as_deref())?;
    let limit = i64::try_from(ENTRIES + 1).unwrap_or(i64::MAX);
    let mut entries = audit::list(db, &Wanted { before, act }, limit).await?;
    let has_more = entries.len() > ENTRIES;
    entries.truncate(ENTRIES);
    let videos: Vec<VideoId> = entries.iter().filter_map(video).collect();
    let titles = board::titles(db, &videos).await?;
    let text = sentences(language);
    let page = RecordPage {
        shell: visit.shell(Section::Organise, "/organizacion/registro", text.record),
        text,
        role: staff.caller.role,
        acts: Act::ALL
            .iter()
            .map(|act| (act.name(), act_in_words(language, *act)))
            .collect(),
        act: act.map_or_else(String::new, |act| act.name().to_owned()),
        before: entries.last().filter(|_| has_more).map(|last| last.id),
        entries: entries
            .iter()
            .map(|entry| in_words(entry, &titles, language))
            .collect(),
        is_newest: before.is_none(),
    };
    private(&visit, StatusCode::OK, &page)
}

/// Returns the video that an entry is about.
fn video(entry: &Recorded) -> Option<VideoId> {
    VideoId::parse(entry.subject.strip_prefix("video:")?)
}

fn in_words(
    entry: &Recorded,
    titles: &HashMap<VideoId, String>,
    language: Language,
) -> RecordedAct {
    let act = Act::from_name(&entry.act);
    let (subject, page) = subject(entry, titles, language);
    RecordedAct {
        id: entry.id,
        at: entry.at.to_rfc3339_opts(SecondsFormat::Secs, true),
        moment: moment(language, entry.at),
        ago: ago(language, seconds_since(entry.at)),
        actor: entry.actor.clone(),
        act: act.map_or_else(
            || entry.act.clone(),
            |act| act_in_words(language, act).to_owned(),
        ),
        subject,
        page,
        changes: changes(language, entry.before.as_ref(), entry.after.as_ref()),
    }
}

/// Returns what an entry is about, and its page.
fn subject(
    entry: &Recorded,
    titles: &HashMap<VideoId, String>,
    language: Language,
) -> (String, Option<String>) {
    let text = sentences(language);
    if let Some(video) = video(entry) {
        return match titles.get(&video) {
            Some(title) => (title.clone(), Some(format!("/organizacion/videos/{video}"))),
            // Deleted since.
            None => (format!("{} {video}", text.video), None),
        };
    }
    match entry.subject.split_once(':') {
        Some(("account", email)) => {
            let page = format!(
                "/organizacion/personas?email={}#dar-rol",
                query_value(email)
            );
            (email.to_owned(), Some(page))
        }
        None if entry.subject == "queue" => {
            (text.queue.to_owned(), Some("/organizacion".to_owned()))
        }
        Some((_, name)) => (name.to_owned(), None),
        None => (entry.subject.clone(), None),
    }
}

/// Returns a line for each member that differs: `Rol: Juega → Modera`.
fn changes(language: Language, before: Option<&Value>, after: Option<&Value>) -> Vec<String> {
    let none = Map::new();
    let members = |side: Option<&Value>| side.and_then(Value::as_object).unwrap_or(&none).clone();
    let (before, after) = (members(before), members(after));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differ = names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name));
    differ
        .map(|name| {
            let label = member_in_words(language, name);
            let shown = |value| shown(language, name, value);
            match (before.get(name).map(shown), after.get(name).map(shown)) {
                (Some(old), Some(new)) => format!("{label}: {old} → {new}"),
                (Some(old), None) => format!("{label}: {old} → –"),
                (None, Some(new)) => format!("{label}: {new}"),
                (None, None) => label.to_owned(),
            }
        })
        .collect()
}

fn shown(language: Language, member: &str, value: &Value) -> String {
    let Value::String(text) = value else {
        return value.to_string();
    };
    let role = (member == "role").then(|| Role::from_name(text)).flatten();
    role.map_or_else(
        || text.clone(),
        |role| sentences(language).role_name(role).to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changes_name_what_differs() {
        for (before, after, lines) in [
            (
                json!({"role": "player", "same": 1}),
                json!({"role": "moderator", "same": 1}),
                vec!["Rol: Juega → Modera"],
            ),
            (
                Value::Null,
                json!({"reason": "Un motivo"}),
                vec!["Motivo: Un motivo"],
            ),
            (
                json!({"role": "juror"}),
                Value::Null,
                vec!["Rol: juror → –"],
            ),
            (Value::Null, json!({"videos": 3}), vec!["Videos: 3"]),
            (Value::Null, Value::Null, vec![]),
        ] {
            let found = changes(Language::Spanish, Some(&before), Some(&after));
            assert_eq!(found, lines);
        }
    }
}
