//! Reports of spectators: the form under a clip, `/videos/{video_id}/reportar`, and its own page,
//! `/reporte/{video_id}`, which a log-in or a refused form leads to.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use crate::{
    app::App,
    http::{
        Code, Error, Result,
        extract::{Authenticated, VideoPath},
        form::Fields,
        rate::Limits,
    },
    ids::{UserId, VideoId},
    listing,
    reports::{self, Report, handlers::send_within_limit},
    web::{
        clips,
        refused::Refused,
        text,
        view::{Section, problem, query_value, reports::ReportPage},
        visit::{Member, Visit, see_other},
    },
};

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct ReportForm {
    motivo: String,
    texto: String,
}

/// `POST /videos/{video_id}/reportar`
pub async fn send(
    app: web::Data<App>,
    limits: web::Data<Limits>,
    visit: Visit,
    caller: Result<Authenticated>,
    VideoPath(video): VideoPath,
    Fields(form): Fields<ReportForm>,
) -> Result<HttpResponse> {
    let user = match caller {
        Ok(caller) => caller.user(),
        Err(Error {
            code: Code::Unauthorized,
            ..
        }) => {
            let back = format!("{}?motivo={}", address(video), query_value(&form.motivo));
            return Ok(see_other(&format!("/entrar?volver={}", query_value(&back))));
        }
        Err(error) => return Err(error),
    };
    let sent = match Report::check(&form.motivo, Some(&form.texto)) {
        Ok(report) => send_within_limit(&app, &limits, user, video, &report).await,
        Err(errors) => Err(errors.into()),
    };
    match sent {
        Ok(()) => Ok(see_other(&address(video))),
        Err(error) if error.code == Code::AlreadyReported => Ok(see_other(&address(video))),
        Err(error) => show(&app, &visit, user, video, form, Some(error)).await,
    }
}

/// `GET /reporte/{video_id}`
///
/// Shows what the database says: thanks if the report was sent, else the form.
pub async fn page(
    app: web::Data<App>,
    visit: Visit,
    member: Member,
    VideoPath(video): VideoPath,
    form: web::Query<ReportForm>,
) -> Result<HttpResponse> {
    show(&app, &visit, member.user(), video, form.into_inner(), None).await
}

fn address(video: VideoId) -> String {
    format!("/reporte/{video}")
}

async fn show(
    app: &App,
    visit: &Visit,
    user: UserId,
    video: VideoId,
    form: ReportForm,
    error: Option<Error>,
) -> Result<HttpResponse> {
    let refused = Refused::of(error, visit.language)?;
    let db = &app.backends.db;
    let is_sent = reports::is_sent(db, user, video).await?;
    let found = listing::find(db, video).await?;
    let clip = found.map(|found| clips::clip(&found, &app.media_urls));
    if clip.is_none() && !is_sent {
        return Err(Code::NotFound.into());
    }
    let r = text::reports::reports(visit.language);
    let title = if is_sent { r.thanks_title } else { r.report };
    let page = ReportPage {
        shell: visit.shell(Section::Videos, address(video), title),
        clip,
        is_sent,
        chosen: form.motivo,
        text: form.texto,
        problem: problem(&refused.errors, "text").map(str::to_owned),
        notice: refused.notice,
    };
    refused.reply.send(visit, &page)
}
