//! `/subir`: the rules, and the upload by form. The module of the page sends resumable uploads.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::{
    app::App,
    contests::CurrentContest,
    http::{
        Code, Error, Result,
        extract::{Authenticated, RequestId},
        rate::Limits,
    },
    ids::UserId,
    videos::{self, resumable},
    web::{
        contest::no_uploads,
        refused::Refused,
        text::{contest::contest, phrases},
        view::{
            Section,
            upload::{ClosedPage, Rules, UploadPage},
        },
        visit::{Member, Visit, see_other},
    },
};

/// `GET /subir`
pub async fn upload_page(
    app: web::Data<App>,
    contest: web::Data<CurrentContest>,
    visit: Visit,
    member: Member,
) -> Result<HttpResponse> {
    show(&app, &contest, &visit, member.user(), None).await
}

/// `POST /subir`
pub async fn upload(
    app: web::Data<App>,
    contest: web::Data<CurrentContest>,
    limits: web::Data<Limits>,
    visit: Visit,
    Member(caller): Member,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse> {
    let user = caller.user;
    let (caller, id) = (Authenticated(caller), RequestId::of(&request));
    match videos::handlers::receive(&app, &limits, caller, id, &request, payload).await {
        Ok(video) => Ok(see_other(&format!("/mis-videos/{video}"))),
        Err(error) => show(&app, &contest, &visit, user, Some(error)).await,
    }
}

async fn show(
    app: &App,
    current: &CurrentContest,
    visit: &Visit,
    user: UserId,
    error: Option<Error>,
) -> Result<HttpResponse> {
    let reading = current.get().await?;
    let closed = reading.and_then(|reading| no_uploads(&reading, visit.language));
    if let Some(sentence) = closed {
        let is_refused = error.as_ref();
        let is_refused = is_refused.is_some_and(|error| error.code == Code::SubmissionsClosed);
        // Uploads that have begun may be finished, on the usual page.
        if is_refused || resumable::list(app, user).await?.is_empty() {
            return show_closed(visit, sentence, error);
        }
    }
    let refused = Refused::of(error, visit.language)?;
    let t = phrases(visit.language);
    let setting = app.upload.max_file_size;
    let (rules, max_bytes) = current.video_rules(app.rules, setting).await?;
    let [min_seconds, max_seconds, min_lines] = rules.limits();
    let page = UploadPage {
        shell: visit.shell(Section::Upload, "/subir", t.upload_title),
        rules: Rules {
            min_seconds,
            max_seconds,
            min_lines,
            max_bytes,
        },
        errors: refused.errors,
        title: String::new(),
        notice: refused.notice,
    };
    refused.reply.send(visit, &page)
}

/// Shows why the contest takes no videos now, in place of the form.
fn show_closed(visit: &Visit, sentence: String, error: Option<Error>) -> Result<HttpResponse> {
    let refused = Refused::of(error, visit.language)?;
    let t = phrases(visit.language);
    let page = ClosedPage {
        shell: visit.shell(Section::Upload, "/subir", t.upload_title),
        refusal: contest(visit.language).no_uploads,
        sentence,
    };
    refused.reply.send(visit, &page)
}
