//! The HTTP server: routes, middleware, listening and shutdown.

mod connections;
mod drain;

use std::{thread, time::Duration};

use actix_cors::Cors;
use actix_web::{
    App as ActixApp, HttpServer,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, StatusCode, header},
    middleware::{Compress, Next, from_fn},
    web::{self, ServiceConfig, patch, post, put},
};
use anyhow::Context as _;

use self::{
    connections::{Connections, mark_busy},
    drain::{Drain, drain},
};
use crate::{
    app::App,
    audit, cities,
    config::http::Settings,
    contests::{self, CurrentContest, handlers::organise},
    contract,
    http::{
        body_guard::discard_rest,
        cache::PageCache,
        extract::{self, ClientAddress, TrustedProxies},
        path::trim_slash,
        public_url::PublicUrl,
        range,
        rate::Limits,
        respond::{ErrorFace, PROBES, REQUEST_ID, finish_response},
        route::{read, resource},
    },
    listing,
    monitoring::{self, Dependencies},
    open_files, reports,
    shutdown::{Shutdown, Task},
    users,
    videos::{self, handlers::resumable as uploads, resumable::Writers},
    votes::{self, Votes},
    web::{self as pages, assets::ASSETS, pages::error, site::Site, streams::Live},
};

/// Maximum time for receiving the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout of idle connections. It exceeds that of load balancers (60 s), so that the server never
/// closes a connection on which the balancer has just sent a request.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long a connection is still read at its end, after [`discard_rest`] gave up. Closing at
/// once would reset it, and a client that is still sending might miss the response.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum time for which browsers may cache the allowed origins (s).
const CORS_MAX_AGE_SECS: usize = 600;

/// Health probes of load balancers, without a rate limit.
fn probes(config: &mut ServiceConfig) {
    config
        .service(resource("/health").route(read().to(monitoring::health)))
        .service(resource("/ready").route(read().to(monitoring::ready)));
}

fn files(config: &mut ServiceConfig) {
    let media = resource("/media/{key:.*}").route(read().to(videos::handlers::media));
    config.service(media.wrap(from_fn(range::normalise)));
}

/// The published contract.
fn documentation(config: &mut ServiceConfig) {
    config
        .service(resource("/openapi.json").route(read().to(contract::handlers::document)))
        .service(web::redirect("/swagger", "/swagger/").permanent())
        .service(resource("/swagger/{file:.*}").route(read().to(contract::handlers::swagger)))
        .service(resource("/errors/{code}").route(read().to(contract::handlers::explain_code)));
}

/// Routes below `/api`: resources, not single routes, so that a wrong method yields 405, not 404.
fn api(config: &mut ServiceConfig) {
    config
        .service(resource("/auth/signup").route(post().to(users::handlers::sign_up)))
        .service(resource("/auth/login").route(post().to(users::handlers::log_in)))
        .service(resource("/auth/password").route(post().to(users::handlers::change_password)))
        .service(resource("/auth/logout").route(post().to(users::handlers::log_out)))
        .service(resource("/auth/profile").route(read().to(users::handlers::profile)))
        .service(resource("/videos").route(read().to(videos::handlers::list_own)))
        // Before `{video_id}`, which would match as well. Uploads have no response timeout.
        .service(web::resource("/videos/upload").route(post().to(videos::handlers::upload)))
        .service(
            resource("/videos/{video_id}")
                .route(read().to(videos::handlers::detail))
                .route(patch().to(videos::handlers::change))
                .route(web::delete().to(videos::handlers::delete)),
        )
        .service(
            resource("/videos/{video_id}/publish")
                .route(post().to(videos::handlers::publish))
                .route(put().to(videos::handlers::publish)),
        )
        .service(
            resource("/videos/{video_id}/answer")
                .route(post().to(videos::handlers::answer::answer)),
        )
        .service(resource("/videos/{video_id}/report").route(post().to(reports::handlers::send)))
        .service(resource("/moderation/reports").route(read().to(reports::handlers::list)))
        .service(
            resource("/moderation/videos/{video_id}/dismiss")
                .route(post().to(reports::handlers::dismiss)),
        )
        .service(
            resource("/moderation/videos/{video_id}/hide")
                .route(post().to(videos::handlers::moderation::hide)),
        )
        .service(
            resource("/moderation/videos/{video_id}/show")
                .route(post().to(videos::handlers::moderation::show)),
        )
        .service(resource("/admin/audit").route(read().to(audit::handlers::list)))
        .service(resource("/admin/roles").route(put().to(users::handlers::staff::grant)))
        .service(
            resource("/uploads")
                .route(web::method(Method::OPTIONS).to(uploads::abilities))
                .route(read().to(uploads::list))
                .route(post().to(uploads::create)),
        )
        // Without a response timeout, as any upload.
        .service(
            web::resource("/uploads/{video_id}")
                .route(web::method(Method::OPTIONS).to(uploads::abilities))
                .route(web::head().to(uploads::locate))
                .route(patch().to(uploads::append))
                .route(web::delete().to(uploads::cancel)),
        )
        .service(resource("/public/videos").route(read().to(listing::handlers::list_videos)))
        .service(resource("/public/videos/{video_id}/vote").route(post().to(votes::handlers::cast)))
        .service(resource("/rules").route(read().to(videos::handlers::rules)))
        .service(resource("/public/rankings").route(read().to(listing::handlers::rank)))
        .service(resource("/public/contest").route(read().to(contests::handlers::current)))
        .service(
            resource("/public/contest/{slug}/results")
                .route(read().to(contests::handlers::results)),
        )
        .service(
            resource("/public/contest/{slug}/results.json")
                .route(read().to(contests::handlers::results_json)),
        )
        .service(
            resource("/public/contest/{slug}/results.csv")
                .route(read().to(contests::handlers::results_table)),
        )
        .service(
            resource("/contests")
                .route(read().to(organise::list))
                .route(post().to(organise::create)),
        )
        .service(
            resource("/contests/{slug}")
                .route(read().to(organise::detail))
                .route(patch().to(organise::schedule))
                .route(web::delete().to(organise::remove)),
        )
        .service(resource("/contests/{slug}/freeze").route(post().to(organise::freeze)))
        .service(resource("/contests/{slug}/publish").route(post().to(organise::publish)))
        .service(resource("/contests/{slug}/results").route(read().to(organise::results)))
        .service(resource("/contests/{slug}/results.json").route(read().to(organise::results_json)))
        .service(resource("/contests/{slug}/results.csv").route(read().to(organise::results_table)))
        .service(resource("/public/cities").route(read().to(cities::handlers::list)))
        .service(resource("/user/votes").route(read().to(votes::handlers::list)));
}

/// A listening server.
pub struct Server {
    running: actix_web::dev::Server,
    address: std::net::SocketAddr,
    shutdown: Shutdown,
}

impl Server {
    /// Binds the API's address. Returns an error naming the variables if that fails.
    pub async fn bind(app: App, settings: &Settings, shutdown: &Shutdown) -> anyhow::Result<Self> {
        let site = web::Data::new(Site::new(&app, settings).await?);
        let live = web::Data::new(Live::new(&app.backends.db, shutdown));
        let votes = web::Data::new(Votes::new(&app.backends.db, &app.counting, shutdown));
        let writers = web::Data::new(Writers::new(shutdown));
        let tagging = videos::tagging::keep_settled(app.backends.clone(), shutdown.clone());
        shutdown.spawn(Task::Tagging, tagging);
        let contest = web::Data::new(CurrentContest::new(&app.backends.db));
        let app = web::Data::new(app);
        let dependencies = web::Data::new(Dependencies::of_app(&app, shutdown));
        let limits = web::Data::new(Limits::new(settings));
        let answers = web::Data::new(PageCache::default());
        let public_url = PublicUrl(settings.public_url.clone());
        let proxies = TrustedProxies(settings.trusted_proxies);
        let stopping = Drain::new(shutdown);
        let drained = web::Data::new(stopping.clone());
        let stop = web::Data::new(shutdown.clone());
        let origins = settings.cors_allowed_origins.clone();
        let connections = Connections::new(open_files::limit(), app.backends.db.max_connections());
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let max_per_thread = connections.most().div_ceil(threads);
        let factory = move || {
            ActixApp::new()
                .app_data(app.clone())
                .app_data(limits.clone())
                .app_data(answers.clone())
                .app_data(site.clone())
                .app_data(live.clone())
                .app_data(ErrorFace(error::face))
                .app_data(votes.clone())
                .app_data(contest.clone())
                .app_data(writers.clone())
                .app_data(proxies)
                .app_data(public_url.clone())
                .app_data(dependencies.clone())
                .app_data(drained.clone())
                .app_data(stop.clone())
                .app_data(extract::query_config())
                .configure(probes)
                .service(
                    // CORS is outside the limit: pages must read its 429. Compression is innermost.
                    web::scope("")
                        .wrap(Compress::default())
                        .wrap(from_fn(limit_address))
                        .wrap(from_fn(uploads::negotiate_version))
                        .wrap(cors(&origins))
                        .configure(files)
                        .configure(documentation)
                        .configure(pages::routes)
                        .service(web::scope("/api").configure(api))
                        .default_service(web::to(error::unknown)),
                )
                // The middleware added last runs first. `discard_rest` discards a rejected body
                // after the response, when the connection is no longer busy. `drain` covers
                // rejections too. `finish_response` gives each response an id and each error a body,
                // including those of inner middleware.
                .wrap(from_fn(finish_response))
                .wrap(from_fn(drain))
                .wrap(from_fn(mark_busy))
                .wrap(from_fn(discard_rest))
                .wrap(from_fn(trim_slash))
        };
        let address = settings.listen();
        let server = HttpServer::new(factory)
            .workers(threads)
            .max_connections(max_per_thread)
            .on_connect(move |socket, data| connections.opened(socket, data))
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(HEAD_TIMEOUT)
            .client_disconnect_timeout(DISCARD_TIMEOUT)
            .shutdown_timeout(shutdown.grace().as_secs())
            .shutdown_signal(stopping.until_quiet())
            .bind(address)
            .with_context(|| {
                format!(
                    "HOST={} PORT={}: cannot listen on this address",
                    settings.host, settings.port
                )
            })?;
        let address = server.addrs().first().copied().context("listen")?;
        Ok(Self {
            running: server.run(),
            address,
            shutdown: shutdown.clone(),
        })
    }

    pub fn address(&self) -> std::net::SocketAddr {
        self.address
    }

    /// Serves until shutdown is requested and running requests are complete, or shutdown is forced.
    pub async fn run(self) -> anyhow::Result<()> {
        let handle = self.running.handle();
        tokio::select! {
            result = self.running => result.context("serve"),
            () = self.shutdown.forced() => {
                handle.stop(false).await;
                Ok(())
            }
        }
    }
}

async fn limit_address(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody, BoxBody>>, actix_web::Error> {
    let limits = request.app_data::<web::Data<Limits>>().cloned();
    if let Some(limits) = limits {
        let ClientAddress(client) = ClientAddress::of(request.request());
        // Carriers put thousands of phones behind one address, and each loads these once.
        if !request.path().starts_with(ASSETS) {
            if let Err(refused) = limits.address.take(&client) {
                return Ok(request.error_response(refused).map_into_right_body());
            }
            let response = next.call(request).await?;
            if response.status() == StatusCode::NOT_MODIFIED {
                limits.address.give_back(&client);
            }
            return Ok(response.map_into_left_body());
        }
    }
    next.call(request)
        .await
        .map(ServiceResponse::map_into_left_body)
}

fn cors(origins: &[String]) -> Cors {
    let cors = Cors::default()
        .allowed_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allowed_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::ACCEPT_LANGUAGE,
            header::RANGE,
            header::IF_RANGE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
        ])
        .allowed_headers(uploads::REQUEST_HEADERS)
        .expose_headers([
            header::ACCEPT_RANGES,
            header::CONTENT_LENGTH,
            header::CONTENT_RANGE,
            header::ETAG,
            header::LINK,
            header::RETRY_AFTER,
            REQUEST_ID,
        ])
        .expose_headers(uploads::RESPONSE_HEADERS)
        .max_age(CORS_MAX_AGE_SECS)
        // A disallowed origin gets the response without CORS headers, so its pages cannot read it.
        .block_on_origin_mismatch(false);
    origins
        .iter()
        .fold(cors, |cors, origin| cors.allowed_origin(origin))
}
