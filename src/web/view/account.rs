//! Registration, log-in and account: `/registro`, `/entrar`, `/cuenta`.

use askama::Template;

use super::{Clip, FieldProblem, Notice, Shell, query_value};

#[derive(Debug, Template)]
#[template(path = "sign_up.html", config = ".config/askama.toml")]
pub struct SignUpPage {
    pub shell: Shell,
    pub form: SignUpForm,
    /// Places to suggest without a script.
    pub places: Vec<String>,
    pub errors: Vec<FieldProblem>,
    pub notice: Option<Notice>,
    /// Path to return to.
    pub volver: String,
    /// The clip that the visitor was about to vote for.
    pub votar: Option<Clip>,
}

/// What the visitor has typed, without the password.
#[derive(Debug, Clone, Default)]
pub struct SignUpForm {
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    pub city: String,
    pub country: String,
}

#[derive(Debug, Template)]
#[template(path = "log_in.html", config = ".config/askama.toml")]
pub struct LogInPage {
    pub shell: Shell,
    pub email: String,
    /// Whether the session outlives the browser.
    pub keep: bool,
    pub errors: Vec<FieldProblem>,
    pub notice: Option<Notice>,
    /// Path to return to.
    pub volver: String,
    /// The clip that the visitor was about to vote for.
    pub votar: Option<Clip>,
}

#[derive(Debug, Template)]
#[template(path = "account.html", config = ".config/askama.toml")]
pub struct AccountPage {
    pub shell: Shell,
    pub profile: Profile,
    pub errors: Vec<FieldProblem>,
    pub notice: Option<Notice>,
}

/// Data of the account.
#[derive(Debug, Clone)]
pub struct Profile {
    pub first_name: String,
    pub last_name: String,
    pub email: String,
    pub city: String,
    pub country: String,
    /// Whether the account has pages of the organisation.
    pub is_staff: bool,
}

impl SignUpPage {
    fn log_in_page(&self) -> String {
        detour("/entrar", &self.volver, self.votar.as_ref())
    }
}

impl LogInPage {
    fn sign_up_page(&self) -> String {
        detour("/registro", &self.volver, self.votar.as_ref())
    }
}

/// Returns the address of the other form with the same return path and vote.
fn detour(path: &str, volver: &str, votar: Option<&Clip>) -> String {
    let volver = query_value(volver);
    match votar {
        None => format!("{path}?volver={volver}"),
        Some(clip) => format!("{path}?volver={volver}&votar={}", query_value(&clip.id)),
    }
}
