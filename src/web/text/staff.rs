//! Sentences about the people of the organisation: their roles, and the record of what they did.

use crate::{audit::Act, auth::Role, language::Language};

/// The sentences in one language.
#[derive(Debug)]
pub struct StaffText {
    pub people: &'static str,
    pub people_hint: &'static str,
    pub grant: &'static str,
    pub granted: &'static str,
    pub role: &'static str,
    pub change: &'static str,
    pub roles_title: &'static str,
    pub roles: [(&'static str, &'static str); 4],
    pub record: &'static str,
    pub record_hint: &'static str,
    pub act: &'static str,
    pub all_acts: &'static str,
    pub filter: &'static str,
    pub nothing_recorded: &'static str,
    pub newest: &'static str,
    pub older: &'static str,
    pub queue: &'static str,
    pub video: &'static str,
    pub local_time: &'static str,
}

/// Returns the sentences in a language.
pub fn staff(language: Language) -> &'static StaffText {
    language.select(&SPANISH, &ENGLISH)
}

static SPANISH: StaffText = StaffText {
    people: "Personas",
    people_hint: "Quien recibe un rol necesita una cuenta. El cambio vale de inmediato.",
    grant: "Dar rol",
    granted: "Listo: el rol está asignado.",
    role: "Rol",
    change: "Cambiar",
    roles_title: "Qué puede hacer cada rol",
    roles: [
        ("Juega", "Sube videos y vota, como todas las personas."),
        ("Modera", "Oculta videos y los muestra de nuevo."),
        (
            "Organiza",
            "Dirige el concurso, da roles y hace lo que hacen los demás.",
        ),
        ("Opera", "Cuida la cola y reintenta videos."),
    ],
    record: "Registro",
    record_hint: "Lo que hizo la organización. Nadie puede cambiarlo ni borrarlo.",
    act: "Acción",
    all_acts: "Todas",
    filter: "Filtrar",
    nothing_recorded: "No hay acciones registradas.",
    newest: "Más recientes",
    older: "Anteriores",
    queue: "Cola",
    video: "Video",
    local_time: "Hora de Colombia.",
};

static ENGLISH: StaffText = StaffText {
    people: "People",
    people_hint: "Whoever gets a role needs an account. The change takes effect at once.",
    grant: "Grant role",
    granted: "Done: the role is granted.",
    role: "Role",
    change: "Change",
    roles_title: "What each role may do",
    roles: [
        ("Player", "Uploads videos and votes, as everybody does."),
        ("Moderator", "Hides clips and shows them again."),
        (
            "Organiser",
            "Runs the contest, grants roles, and does what the others do.",
        ),
        ("Operator", "Looks after the queue and retries videos."),
    ],
    record: "Record",
    record_hint: "What the organisers did. Nobody can change or remove it.",
    act: "Act",
    all_acts: "All",
    filter: "Filter",
    nothing_recorded: "Nothing is recorded.",
    newest: "Newest",
    older: "Older",
    queue: "Queue",
    video: "Video",
    local_time: "Colombian time.",
};

impl StaffText {
    /// Returns name and description of a role.
    fn role_entry(&self, role: Role) -> (&'static str, &'static str) {
        let [player, moderator, organiser, operator] = self.roles;
        match role {
            Role::Player => player,
            Role::Moderator => moderator,
            Role::Organiser => organiser,
            Role::Operator => operator,
        }
    }

    pub fn role_name(&self, role: Role) -> &'static str {
        self.role_entry(role).0
    }

    pub fn role_description(&self, role: Role) -> &'static str {
        self.role_entry(role).1
    }
}

/// Returns an act in words, as the predicate of a sentence.
pub fn act_in_words(language: Language, act: Act) -> &'static str {
    let (spanish, english) = match act {
        Act::ContestCreated => ("Creó el concurso", "Created the contest"),
        Act::ContestScheduled => ("Cambió el concurso", "Changed the contest"),
        Act::ContestFrozen => ("Cerró los resultados", "Froze the results"),
        Act::ContestPublished => ("Publicó los resultados", "Published the results"),
        Act::ContestRemoved => ("Eliminó el concurso", "Removed the contest"),
        Act::RoleGranted => ("Dio un rol", "Granted a role"),
        Act::PasswordReset => ("Cambió una contraseña", "Reset a password"),
        Act::VideoHidden => ("Ocultó un video", "Hid a clip"),
        Act::VideoShown => ("Mostró un video", "Showed a clip"),
        Act::VideoRetried => ("Reintentó un video", "Retried a clip"),
        Act::QueueRedriven => ("Reintentó los detenidos", "Retried all that stopped"),
        Act::ReportDismissed => ("Descartó reportes", "Dismissed reports"),
    };
    language.select(spanish, english)
}

/// Returns the name of a member of an entry's `before` or `after`; unknown ones keep theirs.
pub fn member_in_words(language: Language, member: &str) -> &str {
    let (spanish, english) = match member {
        "role" => ("Rol", "Role"),
        "reason" => ("Motivo", "Reason"),
        "videos" => ("Videos", "Videos"),
        "reports" => ("Reportes", "Reports"),
        "answers" => ("Respuestas", "Answers"),
        "name" => ("Nombre", "Name"),
        other => return other,
    };
    language.select(spanish, english)
}
