//! `/organizacion/personas`: who has which role, and the form that grants one.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use crate::{
    app::App,
    auth::{Role, permissions::GrantRoles},
    http::{Error, Result, form::Fields},
    users::{
        handlers::staff::grant_checked,
        staff::{self, StaffMember, check_grant},
    },
    web::{
        refused::Refused,
        text::staff::{StaffText, staff as sentences},
        view::{
            Notice, Section,
            staff::{PeoplePage, Person},
        },
        visit::{Staff, Visit, see_other},
    },
};

/// The fields of the form, also as parameters of its page.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct GrantFields {
    email: String,
    role: String,
    /// Whether a role was just granted.
    listo: String,
}

/// `GET /organizacion/personas`
pub async fn people(
    app: web::Data<App>,
    visit: Visit,
    staff: Staff<GrantRoles>,
    fields: web::Query<GrantFields>,
) -> Result<HttpResponse> {
    show(&app, &visit, staff.caller.role, &fields, None).await
}

/// `POST /organizacion/personas`
pub async fn grant_role(
    app: web::Data<App>,
    visit: Visit,
    staff: Staff<GrantRoles>,
    Fields(fields): Fields<GrantFields>,
) -> Result<HttpResponse> {
    let granted = match check_grant(&fields.email, &fields.role) {
        Ok((email, role)) => grant_checked(&app, &staff.by, &email, role).await,
        Err(errors) => Err(errors.into()),
    };
    match granted {
        Ok(()) => Ok(see_other("/organizacion/personas?listo=1")),
        Err(error) => show(&app, &visit, staff.caller.role, &fields, Some(error)).await,
    }
}

async fn show(
    app: &App,
    visit: &Visit,
    role: Role,
    fields: &GrantFields,
    error: Option<Error>,
) -> Result<HttpResponse> {
    let refused = Refused::of(error, visit.language)?;
    let text = sentences(visit.language);
    let people = staff::list(&app.backends.db).await?;
    let granted = !fields.listo.is_empty();
    let page = PeoplePage {
        shell: visit.shell(Section::Organise, "/organizacion/personas", text.people),
        text,
        role,
        people: people.iter().map(|member| person(member, text)).collect(),
        email: fields.email.clone(),
        chosen: if fields.role.is_empty() {
            Role::Moderator.name().to_owned()
        } else {
            fields.role.clone()
        },
        errors: refused.errors,
        notice: refused
            .notice
            .or_else(|| granted.then(|| Notice::good(text.granted))),
    };
    refused.reply.send(visit, &page)
}

fn person(member: &StaffMember, text: &StaffText) -> Person {
    let role = Role::from_name(&member.role);
    Person {
        name: format!("{} {}", member.first_name, member.last_name),
        email: member.email.clone(),
        role: member.role.clone(),
        role_words: role.map_or_else(
            || member.role.clone(),
            |role| text.role_name(role).to_owned(),
        ),
    }
}
