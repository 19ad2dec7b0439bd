//! `GET /api/admin/audit`: the acts of staff, for organisers.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{By, Recorded, Wanted};
use crate::{
    app::App,
    auth::permissions::ReadAudit,
    http::{
        Code, Error, Result,
        extract::{May, RequestId},
        page::Page,
    },
    ids::UserId,
    validate::Problem,
};

impl<P> From<&May<P>> for By {
    fn from(staff: &May<P>) -> Self {
        let RequestId(request) = staff.request;
        Self::user(staff.caller.user, request)
    }
}

#[derive(Deserialize)]
pub struct AuditQuery {
    limit: Option<String>,
    before: Option<String>,
}

#[derive(Serialize)]
struct EntryBody {
    /// As text, like every id.
    id: String,
    at: DateTime<Utc>,
    actor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor_id: Option<UserId>,
    act: String,
    subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<Uuid>,
}

impl From<&Recorded> for EntryBody {
    fn from(entry: &Recorded) -> Self {
        let entry = entry.clone();
        Self {
            id: entry.id.to_string(),
            at: entry.at,
            actor: entry.actor,
            actor_id: entry.actor_id,
            act: entry.act,
            subject: entry.subject,
            before: entry.before,
            after: entry.after,
            request_id: entry.request_id,
        }
    }
}

/// Parses the number of an entry: the list goes on with those before it. Returns 400 if it is none.
pub fn entry_number(parameter: Option<&str>) -> Result<Option<i64>> {
    let Some(text) = parameter else {
        return Ok(None);
    };
    match text.parse() {
        Ok(number) if number > 0 => Ok(Some(number)),
        _ => Err(Error::field("before", Problem::Invalid)),
    }
}

/// `GET /api/admin/audit`
pub async fn list(
    app: web::Data<App>,
    _: May<ReadAudit>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    // Read last, so that other users get 404 whatever they send.
    let query = web::Query::<AuditQuery>::from_query(request.query_string());
    let query = query.map_err(|_unreadable| Code::ValidationFailed)?;
    let page = Page::of_limit(query.limit.as_deref())?;
    let wanted = Wanted {
        before: entry_number(query.before.as_deref())?,
        ..Wanted::default()
    };
    let entries = super::list(&app.backends.db, &wanted, page.fetch_limit()).await?;
    let (shown, has_next) = page.trim(&entries);
    let mut response = HttpResponse::Ok();
    if let Some(last) = shown.last().filter(|_| has_next) {
        let limit = page.limit();
        let path = request.path();
        let next = format!("<{path}?before={}&limit={limit}>; rel=\"next\"", last.id);
        response.insert_header((header::LINK, next));
    }
    let shown: Vec<EntryBody> = shown.iter().map(EntryBody::from).collect();
    Ok(response.json(shown))
}
