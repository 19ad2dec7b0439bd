//! Endpoints of organisers: creating, scheduling, freezing, publishing and removing a contest.

use actix_web::{FromRequest as _, HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::{ContestBody, Format, ResultQuery, city_filter, file, result_page};
use crate::{
    app::App,
    audit::By,
    auth::permissions::{ExportResults, RunContest},
    contests::{self, Changed, Contest, CurrentContest, PlanBody, Refusal},
    http::{
        Code, Error, Result,
        extract::{self, Json, May},
        page::Page,
    },
    language::Language,
};

#[derive(Deserialize)]
struct Creation {
    #[serde(default)]
    slug: String,
    #[serde(flatten)]
    plan: PlanBody,
}

/// Whether the caller insists on a change that affects a contest that is running.
#[derive(Deserialize)]
pub struct ForceQuery {
    #[serde(default)]
    force: bool,
}

#[derive(Serialize)]
struct ChangedBody {
    #[serde(flatten)]
    contest: ContestBody,
    /// Number of videos that the change brought into the contest.
    entered_videos: usize,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid(fields) => fields.into(),
            Refusal::ForceRequired(fields) => Self {
                fields,
                ..Self::from(Code::ForceRequired)
            },
            Refusal::NotFound => Code::NotFound.into(),
            Refusal::Running => Code::ContestRunning.into(),
            Refusal::NotOver => Code::ContestNotOver.into(),
            Refusal::Frozen => Code::ContestFrozen.into(),
            Refusal::NotFrozen => Code::ContestNotFrozen.into(),
            Refusal::Published => Code::ContestPublished.into(),
            Refusal::Broken(error) => error.into(),
        }
    }
}

fn body(contest: &Contest, language: Language) -> ContestBody {
    ContestBody::new(contest, contest.now, language)
}

fn changed(changed: &Changed, language: Language) -> ChangedBody {
    ChangedBody {
        contest: body(&changed.contest, language),
        entered_videos: changed.entered,
    }
}

/// `GET /api/contests`
pub async fn list(
    app: web::Data<App>,
    _: May<RunContest>,
    language: Language,
    page: Page,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let contests = contests::list(&app.backends.db).await?;
    let offset = usize::try_from(page.offset()).unwrap_or(usize::MAX);
    let contests: Vec<ContestBody> = contests
        .iter()
        .skip(offset)
        .map(|contest| body(contest, language))
        .collect();
    let (contests, has_next) = page.trim(&contests);
    Ok(page.private(&contests, has_next, &request))
}

/// `POST /api/contests`
pub async fn create(
    app: web::Data<App>,
    current: web::Data<CurrentContest>,
    staff: May<RunContest>,
    language: Language,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse> {
    // Read last, so that other users get 404 whatever they send.
    let Json(Creation { slug, plan }) =
        Json::from_request(&request, &mut payload.into_inner()).await?;
    let created =
        contests::create(&app.backends.db, &By::from(&staff), &slug, &plan.check()?).await?;
    current.forget().await;
    Ok(HttpResponse::Created().json(changed(&created, language)))
}

/// `GET /api/contests/{slug}`
pub async fn detail(
    app: web::Data<App>,
    _: May<RunContest>,
    language: Language,
    slug: web::Path<String>,
) -> Result<HttpResponse> {
    let contest = contests::find(&app.backends.db, &slug).await?;
    let contest = contest.ok_or(Code::NotFound)?;
    Ok(HttpResponse::Ok().json(body(&contest, language)))
}

/// `PATCH /api/contests/{slug}`
pub async fn schedule(
    app: web::Data<App>,
    current: web::Data<CurrentContest>,
    staff: May<RunContest>,
    slug: web::Path<String>,
    force: web::Query<ForceQuery>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse> {
    let Json(plan): Json<PlanBody> =
        Json::from_request(&request, &mut payload.into_inner()).await?;
    let db = &app.backends.db;
    let scheduled =
        contests::schedule(db, &By::from(&staff), &slug, &plan.check()?, force.force).await?;
    current.forget().await;
    let language = extract::language(&request);
    Ok(HttpResponse::Ok().json(changed(&scheduled, language)))
}

/// `DELETE /api/contests/{slug}`
pub async fn remove(
    app: web::Data<App>,
    current: web::Data<CurrentContest>,
    staff: May<RunContest>,
    slug: web::Path<String>,
    force: web::Query<ForceQuery>,
) -> Result<HttpResponse> {
    contests::remove(&app.backends.db, &By::from(&staff), &slug, force.force).await?;
    current.forget().await;
    Ok(HttpResponse::NoContent().finish())
}

/// `POST /api/contests/{slug}/freeze`
pub async fn freeze(
    app: web::Data<App>,
    current: web::Data<CurrentContest>,
    staff: May<RunContest>,
    language: Language,
    slug: web::Path<String>,
    force: web::Query<ForceQuery>,
) -> Result<HttpResponse> {
    let contest = contests::freeze(&app.backends.db, &By::from(&staff), &slug, force.force).await?;
    current.forget().await;
    Ok(HttpResponse::Ok().json(body(&contest, language)))
}

/// `POST /api/contests/{slug}/publish`
pub async fn publish(
    app: web::Data<App>,
    current: web::Data<CurrentContest>,
    staff: May<RunContest>,
    language: Language,
    slug: web::Path<String>,
) -> Result<HttpResponse> {
    let contest = contests::publish(&app.backends.db, &By::from(&staff), &slug).await?;
    current.forget().await;
    Ok(HttpResponse::Ok().json(body(&contest, language)))
}

/// Returns the contest with this slug if its result is frozen.
async fn frozen(app: &App, slug: &str) -> Result<Contest> {
    let contest = contests::find(&app.backends.db, slug).await?;
    let contest = contest.ok_or(Code::NotFound)?;
    if contest.frozen_at.is_none() {
        return Err(Code::ContestNotFrozen.into());
    }
    Ok(contest)
}

/// `GET /api/contests/{slug}/results`
pub async fn results(
    app: web::Data<App>,
    _: May<ExportResults>,
    slug: web::Path<String>,
    query: web::Query<ResultQuery>,
    page: Page,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let contest = frozen(&app, &slug).await?;
    let city = city_filter(&app, &query).await?;
    let (rows, has_next) = result_page(&app, &contest, city.as_ref(), page).await?;
    Ok(page.private(&rows, has_next, &request))
}

/// `GET /api/contests/{slug}/results.json`
pub async fn results_json(
    app: web::Data<App>,
    _: May<ExportResults>,
    slug: web::Path<String>,
    query: web::Query<ResultQuery>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let contest = frozen(&app, &slug).await?;
    file(&app, contest, &query, Format::Json, &request).await
}

/// `GET /api/contests/{slug}/results.csv`
pub async fn results_table(
    app: web::Data<App>,
    _: May<ExportResults>,
    slug: web::Path<String>,
    query: web::Query<ResultQuery>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let contest = frozen(&app, &slug).await?;
    file(&app, contest, &query, Format::Table, &request).await
}
