//! Sentences about reports: for spectators, for moderators, and for players who answer. Both
//! languages are side by side.

use serde_json::json;

use crate::{language::Language, reports::Reason};

/// The sentences of one language. `{title}` and the like are gaps for the module.
#[derive(Debug)]
pub struct ReportPhrases {
    // Spectators.
    pub report: &'static str,
    pub question: &'static str,
    pub hint: &'static str,
    pub detail: &'static str,
    pub send: &'static str,
    pub thanks_title: &'static str,
    pub thanks: &'static str,
    pub back: &'static str,
    pub help_title: &'static str,
    pub help: &'static [&'static str],
    reasons: fn(Reason) -> &'static str,

    // Moderators.
    pub tab: &'static str,
    pub tile: &'static str,
    pub title: &'static str,
    pub rules: &'static str,
    pub empty: &'static str,
    pub more: &'static str,
    pub urgent: &'static str,
    pub answered: &'static str,
    pub texts: &'static str,
    pub players_answer: &'static str,
    pub hide_because: &'static str,
    pub dismiss: &'static str,
    pub leave_hidden: &'static str,
    pub open_page: &'static str,
    pub reported: fn(n: i64, since: &str) -> String,
    pub hidden_because: fn(reason: &str) -> String,
    pub answered_since: fn(since: &str) -> String,
    pub did_hide: &'static str,
    pub did_dismiss: &'static str,
    pub did_show: &'static str,
    pub too_late: &'static str,
    pub keys: &'static str,
    pub keys_title: &'static str,
    /// Keys and what they do.
    pub key_list: [(&'static str, &'static str); 7],
    left: &'static str,
    failed: &'static str,
    hide_reasons: fn(Reason) -> &'static str,

    // Players.
    pub answer_title: &'static str,
    pub answer_hint: &'static str,
    pub answer_button: &'static str,
    pub your_answer: &'static str,
    pub answer_sent: &'static str,
}

impl ReportPhrases {
    /// Returns what a spectator chooses.
    pub fn reason(&self, reason: Reason) -> &'static str {
        (self.reasons)(reason)
    }

    /// Returns every reason: its stable name and what a spectator chooses.
    pub fn all_reasons(&self) -> [(&'static str, &'static str); Reason::ALL.len()] {
        Reason::ALL.map(|reason| (reason.name(), self.reason(reason)))
    }

    /// Returns the sentence with which a moderator hides a clip, as its player reads it.
    pub fn hide_reason(&self, reason: Reason) -> &'static str {
        (self.hide_reasons)(reason)
    }

    /// Returns the sentences of `reports.js`.
    pub fn module(&self) -> String {
        json!({
            "hidden": self.did_hide,
            "dismissed": self.did_dismiss,
            "shown": self.did_show,
            "late": self.too_late,
            "left": self.left,
            "failed": self.failed,
            "empty": self.empty,
        })
        .to_string()
    }
}

/// Returns the sentences of a language.
pub fn reports(language: Language) -> &'static ReportPhrases {
    language.select(&SPANISH, &ENGLISH)
}

static SPANISH: ReportPhrases = ReportPhrases {
    report: "Reportar",
    question: "¿Qué pasa con este clip?",
    hint: "Toca un motivo y se envía. Solo lo ve la organización.",
    detail: "Si quieres, cuenta más antes de tocar",
    send: "Enviar reporte",
    thanks_title: "Gracias por avisar",
    thanks: "Una persona de la organización va a ver el clip y decide. Nadie más sabe quién reportó.",
    back: "Volver al clip",
    help_title: "Cómo reportar",
    help: &[
        "Si un clip no debería estar aquí, toca «Reportar» debajo de él y elige un motivo.",
        "Un reporte no oculta nada por sí solo: una persona de la organización ve el clip y decide.",
    ],
    reasons: |reason| match reason {
        Reason::PersonalData => "Muestra datos personales",
        Reason::OtherPerson => "Alguien sale sin permiso",
        Reason::Violence => "Violencia o peligro",
        Reason::Sexual => "Contenido sexual",
        Reason::Hate => "Insultos u odio",
        Reason::NotBasketball => "No es baloncesto",
        Reason::Other => "Otro motivo",
    },
    tab: "Reportes",
    tile: "Reportes abiertos",
    title: "Clips por revisar",
    rules: "Primero las respuestas, luego lo urgente y después lo más antiguo. Los reportes no ocultan nada: decides tú.",
    empty: "No hay clips por revisar.",
    more: "Aquí están los primeros 100. Los demás llegan cuando revises estos.",
    urgent: "Urgente",
    answered: "Respondió",
    texts: "Lo que escribieron",
    players_answer: "Respuesta de quien lo subió",
    hide_because: "Ocultar porque…",
    dismiss: "No pasa nada",
    leave_hidden: "Dejar oculto",
    open_page: "Abrir ficha",
    reported: |n, since| match n {
        1 => format!("1 reporte, {since}"),
        _ => format!("{n} reportes, el primero {since}"),
    },
    hidden_because: |reason| format!("Se ocultó así: «{reason}»"),
    answered_since: |since| format!("Respondió {since}"),
    did_hide: "Clip oculto.",
    did_dismiss: "Queda como está.",
    did_show: "El clip se ve de nuevo.",
    too_late: "Otra persona de la organización ya revisó este clip.",
    keys: "Teclas",
    keys_title: "Revisar con el teclado",
    key_list: [
        ("j / ↓", "Clip siguiente"),
        ("k / ↑", "Clip anterior"),
        ("o", "Ver el clip aquí"),
        ("h", "Ocultar: elige el motivo y confirma con Enter"),
        ("d", "Dejar el clip como está"),
        ("s", "Mostrar de nuevo un clip oculto"),
        ("?", "Esta ayuda"),
    ],
    left: "Por revisar: {count}.",
    failed: "No se pudo enviar. Intenta de nuevo.",
    hide_reasons: |reason| match reason {
        Reason::PersonalData => {
            "El clip muestra datos personales, como un teléfono o una dirección."
        }
        Reason::OtherPerson => "En el clip sale alguien que no dio su permiso.",
        Reason::Violence => "El clip muestra violencia o algo peligroso.",
        Reason::Sexual => "El clip tiene contenido sexual.",
        Reason::Hate => "El clip insulta o discrimina a otras personas.",
        Reason::NotBasketball => "El clip no muestra una jugada de baloncesto.",
        Reason::Other => "El clip no cumple las reglas del concurso.",
    },
    answer_title: "Responder",
    answer_hint: "Puedes responder una vez. La organización la lee y decide si el clip vuelve.",
    answer_button: "Enviar respuesta",
    your_answer: "Tu respuesta",
    answer_sent: "La organización va a leer tu respuesta.",
};

static ENGLISH: ReportPhrases = ReportPhrases {
    report: "Report",
    question: "What is wrong with this clip?",
    hint: "Tap a reason and it is sent. Only the organisers see it.",
    detail: "If you like, tell us more before you tap",
    send: "Send report",
    thanks_title: "Thank you for telling us",
    thanks: "One of the organisers will watch the clip and decide. Nobody else knows who reported it.",
    back: "Back to the clip",
    help_title: "How to report",
    help: &[
        "If a clip should not be here, tap “Report” below it and choose a reason.",
        "A report hides nothing by itself: one of the organisers watches the clip and decides.",
    ],
    reasons: |reason| match reason {
        Reason::PersonalData => "Shows personal data",
        Reason::OtherPerson => "Somebody without permission",
        Reason::Violence => "Violence or danger",
        Reason::Sexual => "Sexual content",
        Reason::Hate => "Insults or hate",
        Reason::NotBasketball => "Not basketball",
        Reason::Other => "Another reason",
    },
    tab: "Reports",
    tile: "Open reports",
    title: "Clips to look at",
    rules: "Answers first, then what is urgent, then the oldest. Reports hide nothing: you decide.",
    empty: "There are no clips to look at.",
    more: "These are the first 100. The others come when you have dealt with these.",
    urgent: "Urgent",
    answered: "Answered",
    texts: "What people wrote",
    players_answer: "The player's answer",
    hide_because: "Hide because…",
    dismiss: "Nothing wrong",
    leave_hidden: "Leave hidden",
    open_page: "Open its page",
    reported: |n, since| match n {
        1 => format!("1 report, {since}"),
        _ => format!("{n} reports, the first {since}"),
    },
    hidden_because: |reason| format!("Hidden with: “{reason}”"),
    answered_since: |since| format!("Answered {since}"),
    did_hide: "Clip hidden.",
    did_dismiss: "It stays as it is.",
    did_show: "The clip is shown again.",
    too_late: "Another organiser has dealt with this clip already.",
    keys: "Keys",
    keys_title: "Reviewing by keyboard",
    key_list: [
        ("j / ↓", "Next clip"),
        ("k / ↑", "Previous clip"),
        ("o", "Watch the clip here"),
        ("h", "Hide: choose the reason and confirm with Enter"),
        ("d", "Leave the clip as it is"),
        ("s", "Show a hidden clip again"),
        ("?", "This help"),
    ],
    left: "To look at: {count}.",
    failed: "It could not be sent. Try again.",
    hide_reasons: |reason| match reason {
        Reason::PersonalData => {
            "The clip shows personal data, such as a telephone number or an address."
        }
        Reason::OtherPerson => "Somebody appears in the clip who gave no permission.",
        Reason::Violence => "The clip shows violence or something dangerous.",
        Reason::Sexual => "The clip has sexual content.",
        Reason::Hate => "The clip insults people or discriminates against them.",
        Reason::NotBasketball => "The clip does not show a basketball play.",
        Reason::Other => "The clip breaks the rules of the contest.",
    },
    answer_title: "Answer",
    answer_hint: "You can answer once. The organisers read it and decide whether the clip returns.",
    answer_button: "Send answer",
    your_answer: "Your answer",
    answer_sent: "The organisers will read your answer.",
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::videos::moderation::check_reason;

    #[test]
    fn every_sentence_for_hiding_is_a_valid_reason() {
        for language in [Language::Spanish, Language::English] {
            let r = reports(language);
            for reason in Reason::ALL {
                let sentence = r.hide_reason(reason);
                assert_eq!(check_reason(sentence).as_deref(), Ok(sentence));
            }
        }
    }
}
