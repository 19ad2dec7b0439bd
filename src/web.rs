//! The pages for people: rendered here, styled and animated by the files of `web/assets`.
//!
//! Public pages are the same for every visitor, so they are cached like the public lists; the
//! browser asks `/sesion` for what concerns its visitor. All other pages are never cached.

pub mod assets;
pub mod clips;
mod contest;
mod own;
pub mod pages;
mod refused;
mod result_cache;
pub mod site;
pub mod streams;
pub mod text;
pub mod view;
pub mod visit;

use actix_web::{
    HttpResponse, Resource,
    body::MessageBody,
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
    middleware::{Next, from_fn},
    web::{self, ServiceConfig, post},
};
use askama::Template;

use self::{
    pages::{
        account, contest as result, gallery, info, live, mine, organise, ranking, report, session,
        upload, watch,
    },
    site::Site,
    view::contest::{RecordPage, ResultPage},
    visit::Visit,
};
use crate::http::{
    Result,
    representation::{Complete, HTML},
    route::{read, resource},
};

/// Every page.
pub fn routes(config: &mut ServiceConfig) {
    config
        .configure(contest_routes)
        .service(page("/").route(read().to(gallery::gallery)))
        .service(page("/clasificacion").route(read().to(ranking::ranking)))
        .service(page("/videos/{video_id}").route(read().to(watch::watch)))
        .service(page("/videos/{video_id}/votar").route(post().to(watch::vote)))
        .service(page("/videos/{video_id}/reportar").route(post().to(report::send)))
        .service(page("/reporte/{video_id}").route(read().to(report::page)))
        .service(page("/videos/{video_id}/portada.jpg").route(read().to(watch::poster)))
        .service(page("/voto/{video_id}").route(read().to(watch::outcome)))
        .service(
            page("/registro")
                .route(read().to(account::sign_up_page))
                .route(post().to(account::sign_up)),
        )
        .service(
            page("/entrar")
                .route(read().to(account::log_in_page))
                .route(post().to(account::log_in)),
        )
        .service(page("/cuenta").route(read().to(account::account)))
        .service(page("/cuenta/clave").route(post().to(account::change_password)))
        .service(page("/salir").route(post().to(session::log_out)))
        .service(page("/sesion").route(read().to(session::session)))
        .service(page("/idioma").route(post().to(session::choose_language)))
        .service(page("/mis-videos").route(read().to(mine::my_videos)))
        .service(page("/mis-videos/eventos").route(read().to(live::events)))
        .service(page("/mis-videos/estado").route(read().to(live::state)))
        .service(page("/mis-videos/{video_id}").route(read().to(mine::my_video)))
        .service(page("/mis-videos/{video_id}/titulo").route(post().to(mine::rename)))
        .service(page("/mis-videos/{video_id}/responder").route(post().to(mine::answer)))
        .service(page("/mis-videos/{video_id}/publicar").route(post().to(mine::publish)))
        .service(page("/mis-videos/{video_id}/retirar").route(post().to(mine::unpublish)))
        .service(
            page("/mis-videos/{video_id}/eliminar")
                .route(read().to(mine::ask_to_delete))
                .route(post().to(mine::delete)),
        )
        .service(page("/organizacion").route(read().to(organise::dashboard)))
        .service(page("/organizacion/eventos").route(read().to(organise::events)))
        .service(page("/organizacion/estado").route(read().to(organise::state)))
        .service(page("/organizacion/reintentar").route(post().to(organise::retry_all)))
        .service(page("/organizacion/piezas").route(read().to(organise::parts)))
        .service(page("/organizacion/clasificacion.csv").route(read().to(organise::ranking_table)))
        .service(
            page("/organizacion/personas")
                .route(read().to(organise::people))
                .route(post().to(organise::grant_role)),
        )
        .service(page("/organizacion/registro").route(read().to(organise::record)))
        .service(page("/organizacion/reportes").route(read().to(organise::reported)))
        .service(
            page("/organizacion/reportes/{video_id}/ocultar")
                .route(post().to(organise::hide_reported)),
        )
        .service(
            page("/organizacion/reportes/{video_id}/mostrar")
                .route(post().to(organise::show_reported_again)),
        )
        .service(
            page("/organizacion/reportes/{video_id}/descartar")
                .route(post().to(organise::dismiss_reported)),
        )
        .service(page("/organizacion/videos").route(read().to(organise::videos)))
        .service(page("/organizacion/videos/{video_id}").route(read().to(organise::video)))
        .service(page("/organizacion/videos/{video_id}/ocultar").route(post().to(organise::hide)))
        .service(
            page("/organizacion/videos/{video_id}/mostrar").route(post().to(organise::show_again)),
        )
        .service(
            page("/organizacion/videos/{video_id}/reintentar").route(post().to(organise::retry)),
        )
        .service(page("/ayuda").route(read().to(info::help)))
        .service(page("/privacidad").route(read().to(info::privacy)))
        .service(page("/robots.txt").route(read().to(assets::robots)))
        // Uploads have no response timeout.
        .service(
            web::resource("/subir")
                .wrap(from_fn(protect))
                .route(read().to(upload::upload_page))
                .route(post().to(upload::upload)),
        )
        .service(web::resource("/estatico/{build}/{file}").route(read().to(assets::asset)));
}

/// The pages of the contest and its result.
fn contest_routes(config: &mut ServiceConfig) {
    config
        .service(
            page("/organizacion/concurso")
                .route(read().to(organise::contest))
                .route(post().to(organise::create_contest)),
        )
        .service(page("/organizacion/concurso/cambiar").route(post().to(organise::change_contest)))
        .service(
            page("/organizacion/concurso/congelar")
                .route(read().to(organise::ask_to_act_on_contest))
                .route(post().to(organise::act_on_contest)),
        )
        .service(
            page("/organizacion/concurso/publicar")
                .route(read().to(organise::ask_to_act_on_contest))
                .route(post().to(organise::act_on_contest)),
        )
        .service(
            page("/organizacion/concurso/eliminar")
                .route(read().to(organise::ask_to_act_on_contest))
                .route(post().to(organise::act_on_contest)),
        )
        .service(
            page("/organizacion/concurso/resultado")
                .route(read().to(result::preview::<ResultPage>)),
        )
        .service(
            page("/organizacion/concurso/acta").route(read().to(result::preview::<RecordPage>)),
        )
        .service(page("/resultados/{slug}").route(read().to(result::published::<ResultPage>)))
        .service(page("/resultados/{slug}/acta").route(read().to(result::published::<RecordPage>)));
}

/// A resource whose responses have the security headers of pages.
fn page(
    path: &str,
) -> Resource<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = actix_web::Error,
        InitError = (),
    > + use<>,
> {
    resource(path).wrap(from_fn(protect))
}

async fn protect(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> std::result::Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let site = request.app_data::<web::Data<Site>>().cloned();
    let mut response = next.call(request).await?;
    if let Some(site) = site {
        site.protect(response.headers_mut());
    }
    Ok(response)
}

/// Completes the response of a page that is the same for all visitors.
fn public(visit: &Visit, mut response: HttpResponse) -> HttpResponse {
    let headers = response.headers_mut();
    // In one header, since the CORS middleware drops further ones.
    headers.insert(
        header::VARY,
        HeaderValue::from_static("accept-encoding, accept-language, cookie"),
    );
    headers.insert(
        header::CONTENT_LANGUAGE,
        HeaderValue::from_static(visit.language.tag()),
    );
    response
}

/// Returns the response with a page for one visitor.
fn private(visit: &Visit, status: StatusCode, page: &impl Template) -> Result<HttpResponse> {
    let html = page.render().map_err(anyhow::Error::from)?;
    let mut response = HttpResponse::build(status);
    response.extensions_mut().insert(Complete);
    Ok(response
        .content_type(HTML)
        .insert_header((header::CONTENT_LANGUAGE, visit.language.tag()))
        .body(html))
}
