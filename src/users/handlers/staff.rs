//! `PUT /api/admin/roles`: an organiser gives an account its role.

use actix_web::{FromRequest as _, HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    audit::By,
    auth::{Role, permissions::GrantRoles},
    http::{
        Code, Error, Result,
        extract::{Json, May},
        respond::Message,
    },
    language::Language,
    users::staff::{self, GrantOutcome, check_grant},
    validate::Problem,
};

#[derive(Deserialize)]
pub struct GrantRequest {
    email: String,
    role: String,
}

#[derive(Serialize)]
struct Granted {
    #[serde(flatten)]
    message: Message,
    email: String,
    role: &'static str,
}

/// `PUT /api/admin/roles`
pub async fn grant(
    app: web::Data<App>,
    staff: May<GrantRoles>,
    language: Language,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse> {
    // Read last, so that other users get 404 whatever they send.
    let Json(GrantRequest { email, role }) =
        Json::from_request(&request, &mut payload.into_inner()).await?;
    let (email, role) = check_grant(&email, &role)?;
    grant_checked(&app, &By::from(&staff), &email, role).await?;
    Ok(HttpResponse::Ok().json(Granted {
        message: Message::new(language, "El rol está asignado.", "The role is granted."),
        email,
        role: role.name(),
    }))
}

/// Grants a role. Returns the error for an address without an account, and for the last organiser.
pub async fn grant_checked(app: &App, by: &By, email: &str, role: Role) -> Result<()> {
    match staff::grant(&app.backends.db, by, email, role).await? {
        GrantOutcome::Granted => Ok(()),
        GrantOutcome::NoAccount => Err(Error::field("email", Problem::Unknown)),
        GrantOutcome::LastOrganiser => Err(Code::LastOrganiser.into()),
    }
}
