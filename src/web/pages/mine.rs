//! A player's own videos: `/mis-videos`, and what the player can do with each.

use actix_web::{HttpResponse, http::StatusCode, web};
use serde::Deserialize;

use crate::{
    app::App,
    http::{
        Code, Error, Result,
        extract::VideoPath,
        form::Fields,
        page::{Next, Page},
        rate::Limits,
    },
    ids::VideoId,
    users,
    videos::{
        self, Change,
        handlers::{answer::answer_within_limit, change_within_limit, delete_within_limit},
    },
    web::{
        clips::{self, Address},
        own, private,
        refused::Refused,
        text::phrases,
        view::{
            Section,
            mine::{DeletePage, MyVideo, MyVideoPage, MyVideosPage},
        },
        visit::{Member, Visit, see_other},
    },
};

/// Videos per page.
const VIDEOS: u32 = 24;

#[derive(Deserialize)]
pub struct Paging {
    pagina: Option<String>,
}

/// `GET /mis-videos`
pub async fn my_videos(
    app: web::Data<App>,
    visit: Visit,
    member: Member,
    paging: web::Query<Paging>,
) -> Result<HttpResponse> {
    let page = Page::of_size(VIDEOS, paging.pagina.as_deref(), None)?;
    let (limit, offset) = (page.fetch_limit(), page.offset());
    let found = videos::list_own(&app.backends.db, member.user(), limit, offset).await?;
    let (found, has_next) = page.trim(&found);
    let videos = own::my_videos(&app, found, visit.language).await?;
    let next = if has_next {
        Next::ByNumber
    } else {
        Next::Nothing
    };
    let t = phrases(visit.language);
    let page = MyVideosPage {
        shell: visit.shell(Section::Account, "/mis-videos", t.my_videos),
        unfinished: own::open_uploads(&app, member.user()).await?,
        pager: clips::pager(page, next, &Address::new("/mis-videos")),
        refresh: videos.iter().any(MyVideo::is_unfinished),
        videos,
    };
    private(&visit, StatusCode::OK, &page)
}

/// `GET /mis-videos/{video_id}`
pub async fn my_video(
    app: web::Data<App>,
    visit: Visit,
    member: Member,
    VideoPath(video): VideoPath,
) -> Result<HttpResponse> {
    show(&app, &visit, member, video, None).await
}

/// Others' videos do not exist here.
async fn find(app: &App, member: Member, video: VideoId) -> Result<videos::Video> {
    let found = videos::find_own(&app.backends.db, member.user(), video).await?;
    found.map_err(|_denial| Code::NotFound.into())
}

async fn show(
    app: &App,
    visit: &Visit,
    member: Member,
    video: VideoId,
    error: Option<Error>,
) -> Result<HttpResponse> {
    let refused = Refused::of(error, visit.language)?;
    let found = find(app, member, video).await?;
    let profile = users::find_profile(&app.backends.db, member.user()).await?;
    let profile = profile.ok_or(Code::Unauthorized)?;
    let t = phrases(visit.language);
    let (player, city) = (own::name(&profile), profile.city);
    let clip = own::clip(&found, player, city, &app.media_urls);
    let shared = clip.as_ref().filter(|_| found.is_watchable());
    let share = shared.map(|clip| {
        let page = visit.site.absolute(&clip.page());
        clips::share(clip, t, page.as_deref())
    });
    let shown = own::my_videos(app, std::slice::from_ref(&found), visit.language).await?;
    let shown = shown.into_iter().next().ok_or(Code::NotFound)?;
    let page = MyVideoPage {
        shell: visit.shell(
            Section::Account,
            format!("/mis-videos/{video}"),
            found.title.clone(),
        ),
        refresh: shown.is_unfinished(),
        video: shown,
        clip,
        share,
        errors: refused.errors,
        notice: refused.notice,
    };
    refused.reply.send(visit, &page)
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct TitleForm {
    title: String,
}

/// `POST /mis-videos/{video_id}/titulo`
pub async fn rename(
    app: web::Data<App>,
    limits: web::Data<Limits>,
    visit: Visit,
    member: Member,
    VideoPath(video): VideoPath,
    Fields(form): Fields<TitleForm>,
) -> Result<HttpResponse> {
    let change = match videos::check_title(&form.title) {
        Ok(title) => Change {
            title: Some(title),
            is_public: None,
        },
        Err(errors) => return show(&app, &visit, member, video, Some(errors.into())).await,
    };
    apply(&app, &limits, &visit, member, video, change).await
}

/// `POST /mis-videos/{video_id}/publicar`
pub async fn publish(
    app: web::Data<App>,
    limits: web::Data<Limits>,
    visit: Visit,
    member: Member,
    VideoPath(video): VideoPath,
) -> Result<HttpResponse> {
    apply(&app, &limits, &visit, member, video, visibility(true)).await
}

/// `POST /mis-videos/{video_id}/retirar`
pub async fn unpublish(
    app: web::Data<App>,
    limits: web::Data<Limits>,
    visit: Visit,
    member: Member,
    VideoPath(video): VideoPath,
) -> Result<HttpResponse> {
    apply(&app, &limits, &visit, member, video, visibility(false)).await
}

fn visibility(is_public: bool) -> Change {
    Change {
        title: None,
        is_public: Some(is_public),
    }
}

async fn apply(
    app: &App,
    limits: &Limits,
    visit: &Visit,
    member: Member,
    video: VideoId,
    change: Change,
) -> Result<HttpResponse> {
    match change_within_limit(app, limits, member.user(), video, &change).await {
        Ok(_) => Ok(see_other(&format!("/mis-videos/{video}"))),
        Err(error) => show(app, visit, member, video, Some(error)).await,
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct AnswerForm {
    texto: String,
}

/// `POST /mis-videos/{video_id}/responder`
pub async fn answer(
    app: web::Data<App>,
    limits: web::Data<Limits>,
    visit: Visit,
    member: Member,
    VideoPath(video): VideoPath,
    Fields(form): Fields<AnswerForm>,
) -> Result<HttpResponse> {
    match answer_within_limit(&app, &limits, member.user(), video, &form.texto).await {
        Ok(()) => Ok(see_other(&format!("/mis-videos/{video}"))),
        Err(error) => show(&app, &visit, member, video, Some(error)).await,
    }
}

/// `GET /mis-videos/{video_id}/eliminar`
pub async fn ask_to_delete(
    app: web::Data<App>,
    visit: Visit,
    member: Member,
    VideoPath(video): VideoPath,
) -> Result<HttpResponse> {
    let found = find(&app, member, video).await?;
    let t = phrases(visit.language);
    let address = format!("/mis-videos/{video}/eliminar");
    let shown = own::my_videos(&app, std::slice::from_ref(&found), visit.language).await?;
    let page = DeletePage {
        shell: visit.shell(Section::Account, address, t.delete_video),
        video: shown.into_iter().next().ok_or(Code::NotFound)?,
    };
    private(&visit, StatusCode::OK, &page)
}

/// `POST /mis-videos/{video_id}/eliminar`
pub async fn delete(
    app: web::Data<App>,
    limits: web::Data<Limits>,
    visit: Visit,
    member: Member,
    VideoPath(video): VideoPath,
) -> Result<HttpResponse> {
    match delete_within_limit(&app, &limits, member.user(), video).await {
        Ok(()) => Ok(see_other("/mis-videos")),
        Err(error) => show(&app, &visit, member, video, Some(error)).await,
    }
}
