//! `/subir`: the rules, and the upload by form. The module of the page sends resumable uploads.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::{
    app::App,
    contests::CurrentContest,
    http::{
        Error, Result,
        extract::{Authenticated, RequestId},
        rate::Limits,
    },
    videos,
    web::{
        refused::Refused,
        text::phrases,
        view::{
            Section,
            upload::{Rules, UploadPage},
        },
        visit::{Member, Visit, see_other},
    },
};

/// `GET /subir`
pub async fn upload_page(
    app: web::Data<App>,
    contest: web::Data<CurrentContest>,
    visit: Visit,
    _: Member,
) -> Result<HttpResponse> {
    show(&app, &contest, &visit, None).await
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
    let (caller, id) = (Authenticated(caller), RequestId::of(&request));
    match videos::handlers::receive(&app, &limits, caller, id, &request, payload).await {
        Ok(video) => Ok(see_other(&format!("/mis-videos/{video}"))),
        Err(error) => show(&app, &contest, &visit, Some(error)).await,
    }
}

async fn show(
    app: &App,
    contest: &CurrentContest,
    visit: &Visit,
    error: Option<Error>,
) -> Result<HttpResponse> {
    let refused = Refused::of(error, visit.language)?;
    let t = phrases(visit.language);
    let setting = app.upload.max_file_size;
    let (rules, max_bytes) = contest.video_rules(app.rules, setting).await?;
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
