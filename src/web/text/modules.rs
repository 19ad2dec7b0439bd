//! Sentences for the browser modules, as JSON objects for `data-t` attributes.
//!
//! Sentences with values are templates: the modules replace `{size}`, `{time}` and the like, which
//! are the parameters' names in [`Phrases`].

use serde_json::json;

use super::Phrases;

/// Returns the sentences of `page.js`, which every page has.
pub fn page(t: &Phrases) -> String {
    json!({
        "vote": t.vote,
        "vote_word": t.vote_word,
        "votes_word": t.votes_word,
        "voted": t.voted,
        "vote_counts": t.vote_counts,
        "sending": t.sending,
        "sending_vote": t.sending_vote,
        "vote_failed": t.vote_failed,
        "already_voted": t.already_voted,
        "own_video": t.own_video,
        "own": t.own,
        "wait": (t.wait)("{time}"),
        "watch": t.watch,
        "watch_size": (t.watch_size)("{size}"),
        "watch_light": (t.watch_light)("{size}"),
        "watch_full": (t.watch_full)("{size}"),
        "clip_failed": t.clip_failed,
        "link_copied": t.link_copied,
        "offline": t.offline,
        "reveal": t.reveal,
        "conceal": t.conceal,
        "you": t.you,
    })
    .to_string()
}

/// Returns the sentences of `subir.js`.
pub fn upload(t: &Phrases) -> String {
    json!({
        "too_short": (t.too_short)("{seconds}", "{min}"),
        "too_long": (t.too_long)("{seconds}", "{max}"),
        "too_heavy": (t.too_heavy)("{size}", "{max}"),
        "too_few_lines": (t.too_few_lines)("{lines}", "{min}"),
        "not_an_mp4": t.not_an_mp4,
        "not_a_video": t.not_a_video,
        "rule_met": t.rule_met,
        "rule_broken": t.rule_broken,
        "mobile_data": (t.mobile_data)("{size}"),
        "sent_of": (t.sent_of)("{sent}", "{total}", "{left}"),
        "sent_of_total": (t.sent_of_total)("{sent}", "{total}"),
        "uploading": t.uploading,
        "paused": t.paused,
        "dropped": t.dropped,
        "confirming": t.confirming,
        "cancel_sure": t.cancel_sure,
        "continue_upload": (t.continue_upload)("{file}"),
        "continue_button": t.continue_button,
        "cancel_upload": t.cancel_upload,
        "other_file": t.other_file,
        "file_unreadable": t.file_unreadable,
        "too_many_open": (t.too_many_open)("{count}"),
        "our_fault": (t.our_fault)("{id}"),
        "wait": (t.wait)("{time}"),
        "session_ended": t.session_ended,
        "title_missing": t.title_missing,
        "live": live_sentences(t),
    })
    .to_string()
}

/// Returns the sentences of `live.js`.
pub fn live(t: &Phrases) -> String {
    live_sentences(t).to_string()
}

/// Returns the sentences of `organise.js`.
pub fn organise(t: &Phrases) -> String {
    json!({
        "broker_down": t.broker_down,
        "oldest_bad": t.oldest_bad,
        "dead_bad": t.dead_bad,
        "retry": t.retry,
        "retried": (t.retried)("{videos}", "{left}"),
        "nothing_flying": t.nothing_flying,
        "sending": t.sending,
        "second_organiser": t.second_organiser,
    })
    .to_string()
}

fn live_sentences(t: &Phrases) -> serde_json::Value {
    json!({
        "next_in_line": t.next_in_line,
        "one_in_line": t.one_in_line,
        "in_line": (t.in_line)("{before}"),
        "received": t.received,
        "about_left": (t.about_left)("{time}"),
        "clip_ready": t.clip_ready,
        "state_in_line": t.state_in_line,
        "state_processing": t.state_processing,
        "state_ready": t.state_ready,
        "state_public": t.state_public,
        "state_private": t.state_private,
        "state_failed": t.state_failed,
        "state_hidden": t.state_hidden,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use crate::web::text::phrases;

    #[test]
    fn sentences_are_json_with_named_gaps() {
        for language in [Language::Spanish, Language::English] {
            let t = phrases(language);
            for text in [page(t), upload(t), live(t), organise(t)] {
                let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert!(parsed.as_object().is_some_and(|object| !object.is_empty()));
            }
            let parsed: serde_json::Value = serde_json::from_str(&upload(t)).unwrap();
            let sentence = parsed["sent_of"].as_str().unwrap();
            for gap in ["{sent}", "{total}", "{left}"] {
                assert!(sentence.contains(gap), "{sentence}");
            }
        }
    }
}
