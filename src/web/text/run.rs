//! The sentences of the page on which organisers run a contest.

use super::contest::{en, es};
use crate::language::Language;

/// The sentences in one language.
#[derive(Debug)]
pub struct RunText {
    pub none_yet: &'static str,
    pub phases: [&'static str; 7],
    pub phase: &'static str,
    pub tile_players: &'static str,
    pub tile_videos: &'static str,
    pub tile_public: &'static str,
    pub tile_votes: &'static str,
    pub tile_queue: &'static str,
    pub tile_failed: &'static str,
    pub votes_by_hour: &'static str,
    pub no_votes: &'static str,
    pub plot_summary: fn(votes: i64, most: i64, hour: &str) -> String,
    pub as_table: &'static str,
    pub hour: &'static str,
    pub by_city: &'static str,
    pub fields: [(&'static str, &'static str); 15],
    pub dates: &'static str,
    pub zone_hint: &'static str,
    pub rules: &'static str,
    pub rules_hint: &'static str,
    pub slug_hint: &'static str,
    pub create_title: &'static str,
    pub create: &'static str,
    pub settings: &'static str,
    pub save: &'static str,
    pub save_anyway: &'static str,
    pub affects: &'static str,
    pub created: fn(videos: i64) -> String,
    pub saved: fn(videos: i64) -> String,
    pub frozen: &'static str,
    pub published: &'static str,
    pub removed: &'static str,
    pub steps: &'static str,
    pub freeze: &'static str,
    pub freeze_again: &'static str,
    pub freeze_says: &'static str,
    pub freeze_again_says: &'static str,
    pub freeze_waits: &'static str,
    pub publish: &'static str,
    pub publish_says: &'static str,
    pub remove: &'static str,
    pub remove_says: &'static str,
    pub remove_votes: fn(votes: i64) -> String,
    pub back: &'static str,
    pub not_after: fn(field: &str) -> String,
}

/// Returns the sentences in a language.
pub fn run(language: Language) -> &'static RunText {
    language.select(&SPANISH, &ENGLISH)
}

impl RunText {
    /// Returns what the page calls a field of the form.
    pub fn field(&self, name: &str) -> Option<&'static str> {
        let mut fields = self.fields.iter();
        fields
            .find(|(field, _)| *field == name)
            .map(|(_, label)| *label)
    }
}

static SPANISH: RunText = RunText {
    none_yet: "No hay concurso: los videos y los votos están siempre abiertos.",
    phases: [
        "Por empezar",
        "Recibe videos",
        "En espera",
        "En votación",
        "Votación cerrada",
        "Resultado congelado",
        "Resultado publicado",
    ],
    phase: "Estado",
    tile_players: "Jugadores",
    tile_videos: "Videos",
    tile_public: "Publicados",
    tile_votes: "Votos",
    tile_queue: "En fila",
    tile_failed: "Detenidos",
    votes_by_hour: "Votos por hora",
    no_votes: "Todavía no hay votos.",
    plot_summary: |votes, most, hour| {
        format!(
            "{} en total. La hora con más: {hour}, con {}.",
            es(votes, "voto", "votos"),
            es(most, "voto", "votos")
        )
    },
    as_table: "Ver como tabla",
    hour: "Hora",
    by_city: "Por ciudad",
    fields: [
        ("name", "Nombre"),
        ("slug", "Dirección corta"),
        ("time_zone", "Zona horaria"),
        ("submissions_open_at", "Los videos abren"),
        ("submissions_close_at", "Los videos cierran"),
        ("voting_open_at", "La votación abre"),
        ("voting_close_at", "La votación cierra"),
        ("votes_per_day", "Votos por persona y día"),
        ("votes_in_all", "Votos por persona en total"),
        (
            "min_account_age_seconds",
            "Antigüedad de la cuenta para votar (horas)",
        ),
        ("entries_per_player", "Videos por jugador"),
        ("min_duration_seconds", "Duración mínima (segundos)"),
        ("max_duration_seconds", "Duración máxima (segundos)"),
        ("min_lines", "Resolución mínima (líneas)"),
        ("max_file_bytes", "Tamaño máximo (MB)"),
    ],
    dates: "Fechas",
    zone_hint: "Las fechas están en la zona horaria del concurso. Sin fecha, vale el momento en que guardas; los videos cierran entonces con la votación.",
    rules: "Reglas",
    rules_hint: "Vacío: sin límite, o el de la instalación.",
    slug_hint: "Minúsculas, cifras y guiones: copa-2026. No se puede cambiar.",
    create_title: "Crear el concurso",
    create: "Crear concurso",
    settings: "Fechas y reglas",
    save: "Guardar cambios",
    save_anyway: "Hacer el cambio de todos modos",
    affects: "El concurso está en marcha y este cambio lo afecta. Revísalo; si es lo que quieres, hazlo de todos modos.",
    created: |videos| {
        format!(
            "Listo: el concurso existe. Entraron {}.",
            es(videos, "video", "videos")
        )
    },
    saved: |videos| match videos {
        0 => "Listo: cambios guardados.".to_owned(),
        _ => format!(
            "Listo: cambios guardados. Entraron {}.",
            es(videos, "video", "videos")
        ),
    },
    frozen: "Listo: el resultado está congelado.",
    published: "Listo: el resultado es público.",
    removed: "Listo: el concurso se eliminó.",
    steps: "Siguiente paso",
    freeze: "Congelar el resultado",
    freeze_again: "Congelar de nuevo",
    freeze_says: "Cuenta los votos y fija el resultado, con su huella. Solo lo ve la organización hasta que lo publiques. Después no se pueden cambiar fechas ni reglas.",
    freeze_again_says: "Cuenta de nuevo y reemplaza el resultado que aún no es público, por ejemplo sin un video que ocultaste. La huella cambia.",
    freeze_waits: "El resultado se congela cuando cierre la votación.",
    publish: "Publicar el resultado",
    publish_says: "Cualquiera podrá verlo y descargarlo. No se puede deshacer.",
    remove: "Eliminar el concurso",
    remove_says: "Se borran sus fechas y reglas. Los videos y sus votos se conservan, fuera de todo concurso, y la votación queda siempre abierta.",
    remove_votes: |votes| format!("El concurso ya tiene {}.", es(votes, "voto", "votos")),
    back: "Volver",
    not_after: |field| format!("Debe ser posterior a «{field}»."),
};

static ENGLISH: RunText = RunText {
    none_yet: "There is no contest: uploads and votes are always open.",
    phases: [
        "Not started",
        "Takes videos",
        "Waiting",
        "Voting",
        "Voting closed",
        "Result frozen",
        "Result published",
    ],
    phase: "State",
    tile_players: "Players",
    tile_videos: "Videos",
    tile_public: "Public",
    tile_votes: "Votes",
    tile_queue: "Waiting in line",
    tile_failed: "Stopped",
    votes_by_hour: "Votes by hour",
    no_votes: "There are no votes yet.",
    plot_summary: |votes, most, hour| {
        format!(
            "{} in all. The hour with most: {hour}, with {}.",
            en(votes, "vote", "votes"),
            en(most, "vote", "votes")
        )
    },
    as_table: "Show as a table",
    hour: "Hour",
    by_city: "By city",
    fields: [
        ("name", "Name"),
        ("slug", "Short address"),
        ("time_zone", "Time zone"),
        ("submissions_open_at", "Uploads open"),
        ("submissions_close_at", "Uploads close"),
        ("voting_open_at", "Voting opens"),
        ("voting_close_at", "Voting closes"),
        ("votes_per_day", "Votes per person and day"),
        ("votes_in_all", "Votes per person in all"),
        (
            "min_account_age_seconds",
            "Age of an account that votes (hours)",
        ),
        ("entries_per_player", "Videos per player"),
        ("min_duration_seconds", "Minimum duration (seconds)"),
        ("max_duration_seconds", "Maximum duration (seconds)"),
        ("min_lines", "Minimum resolution (lines)"),
        ("max_file_bytes", "Maximum size (MB)"),
    ],
    dates: "Dates",
    zone_hint: "Dates are in the time zone of the contest. Without a date, it is the moment when you save; uploads then close with the voting.",
    rules: "Rules",
    rules_hint: "Empty: no limit, or that of the installation.",
    slug_hint: "Lower-case letters, digits and hyphens: copa-2026. It cannot be changed.",
    create_title: "Create the contest",
    create: "Create contest",
    settings: "Dates and rules",
    save: "Save changes",
    save_anyway: "Make the change anyway",
    affects: "The contest is running and this change affects it. Check it; if it is what you want, make it anyway.",
    created: |videos| {
        format!(
            "Done: the contest exists. {} entered.",
            en(videos, "video", "videos")
        )
    },
    saved: |videos| match videos {
        0 => "Done: changes saved.".to_owned(),
        _ => format!(
            "Done: changes saved. {} entered.",
            en(videos, "video", "videos")
        ),
    },
    frozen: "Done: the result is frozen.",
    published: "Done: the result is public.",
    removed: "Done: the contest was removed.",
    steps: "Next step",
    freeze: "Freeze the result",
    freeze_again: "Freeze again",
    freeze_says: "Counts the votes and fixes the result, with its fingerprint. Only the organisers see it until you publish it. Dates and rules cannot be changed afterwards.",
    freeze_again_says: "Counts again and replaces the result that is not public yet, for example without a video that you hid. The fingerprint changes.",
    freeze_waits: "The result can be frozen once voting has closed.",
    publish: "Publish the result",
    publish_says: "Anybody will be able to see and download it. It cannot be undone.",
    remove: "Remove the contest",
    remove_says: "Its dates and rules are deleted. Videos and their votes stay, outside any contest, and voting is always open.",
    remove_votes: |votes| format!("The contest has {} already.", en(votes, "vote", "votes")),
    back: "Back",
    not_after: |field| format!("Must be later than “{field}”."),
};
