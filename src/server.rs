//! The HTTP server: the table of all routes, the middleware in its order, listening and stopping.

mod connections;
mod drain;

use std::{thread, time::Duration};

use actix_cors::Cors;
use actix_web::{
    App as ActixApp, HttpServer, Resource, Route,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    guard,
    http::{Method, header},
    middleware::{Compress, Next, NormalizePath, from_fn},
    web::{self, ServiceConfig, patch, post, put},
};
use anyhow::Context as _;
use tokio::time::timeout;

use self::{
    connections::{Connections, mark_busy},
    drain::{Drain, drain},
};
use crate::{
    app::App,
    config::http::Settings,
    db,
    http::{
        Code, Error,
        cache::Answers,
        extract::{self, ClientAddress, TrustedProxies},
        range,
        rate::Limits,
        refused::read_to_the_end,
        respond::{PROBES, REQUEST_ID, respond},
    },
    internal::{self, Dependencies},
    open_files, rankings,
    shutdown::Shutdown,
    users, videos,
    votes::{self, Votes},
};

/// How long a client may take for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an idle connection is kept: longer than a load balancer does (60 s), so that it is never
/// closed under a request that the balancer just sent.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long a connection is read on at its end, after [`read_to_the_end`] gave up: closed at once it would be
/// reset, and a client that still sends might not see the answer.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest that a browser may remember which origins are allowed (s).
const CORS_MAX_AGE_SECS: usize = 600;

/// What load balancers ask, as often as they like.
fn probes(config: &mut ServiceConfig) {
    config
        .service(resource("/health").route(read().to(internal::health)))
        .service(resource("/ready").route(read().to(internal::ready)));
}

/// What browsers load by address.
fn files(config: &mut ServiceConfig) {
    let media = resource("/media/{key:.*}").route(read().to(videos::handlers::media));
    config.service(media.wrap(from_fn(range::normalise)));
}

/// Every route below `/api`. Resources, and not single routes: so a wrong method is 405, not 404.
fn api(config: &mut ServiceConfig) {
    config
        .service(resource("/auth/signup").route(post().to(users::handlers::sign_up)))
        .service(resource("/auth/login").route(post().to(users::handlers::log_in)))
        .service(resource("/auth/password").route(post().to(users::handlers::change_password)))
        .service(resource("/auth/logout").route(post().to(users::handlers::log_out)))
        .service(resource("/auth/profile").route(read().to(users::handlers::profile)))
        .service(resource("/videos").route(read().to(videos::handlers::list_own)))
        // Before `{video_id}`, which would match as well. It takes as long as the client needs.
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
        .service(resource("/public/videos").route(read().to(videos::handlers::list_public)))
        .service(resource("/public/videos/{video_id}/vote").route(post().to(votes::handlers::cast)))
        .service(resource("/public/rankings").route(read().to(rankings::handlers::rank)))
        .service(resource("/user/votes").route(read().to(votes::handlers::list)));
}

/// A path whose answer begins within [`db::PATIENCE`].
fn resource(
    path: &str,
) -> Resource<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    web::resource(path).wrap(from_fn(answer_in_time))
}

async fn answer_in_time(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, actix_web::Error> {
    let head = request.request().clone();
    let answer = timeout(db::PATIENCE, next.call(request)).await;
    answer.unwrap_or_else(|_elapsed| {
        let error = Error::from(anyhow::Error::from(db::Silent));
        Ok(ServiceResponse::from_err(error, head))
    })
}

/// `GET`, and `HEAD` with it (RFC 9110 §9.3.2).
fn read() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// A server that listens already.
pub struct Server {
    running: actix_web::dev::Server,
    address: std::net::SocketAddr,
    shutdown: Shutdown,
}

impl Server {
    /// Binds the API's address. Returns an error naming the variables if that is not possible.
    pub fn bind(app: App, settings: &Settings, shutdown: &Shutdown) -> anyhow::Result<Self> {
        let votes = web::Data::new(Votes::new(&app.db, &app.counting, shutdown));
        let app = web::Data::new(app);
        let dependencies = web::Data::new(Dependencies::of_app(&app, shutdown));
        let limits = web::Data::new(Limits::new(settings));
        let answers = web::Data::new(Answers::default());
        let proxies = TrustedProxies(settings.trusted_proxies);
        let stopping = Drain::new(shutdown);
        let drained = web::Data::new(stopping.clone());
        let stop = web::Data::new(shutdown.clone());
        let origins = settings.cors_allowed_origins.clone();
        let connections = Connections::new(open_files::limit(), app.db.most_connections());
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let most_each = connections.most().div_ceil(threads);
        let factory = move || {
            ActixApp::new()
                .app_data(app.clone())
                .app_data(limits.clone())
                .app_data(answers.clone())
                .app_data(votes.clone())
                .app_data(proxies)
                .app_data(dependencies.clone())
                .app_data(drained.clone())
                .app_data(stop.clone())
                .app_data(extract::query_config())
                .configure(probes)
                .service(
                    // CORS before the limit, whose refusal a page must be able to read; compression next
                    // to the work.
                    web::scope("")
                        .wrap(Compress::default())
                        .wrap(from_fn(limit_address))
                        .wrap(cors(&origins))
                        .configure(files)
                        // A trailing slash is accepted here, and only here: elsewhere it can matter.
                        .service(
                            web::scope("/api")
                                .wrap(NormalizePath::trim())
                                .configure(api),
                        )
                        .default_service(web::to(async || {
                            Err::<&str, _>(Error::from(Code::NotFound))
                        })),
                )
                // The last one wrapped runs first: the rest of a refused body is read behind its answer, and only
                // until then is the connection busy; a drain that no refusal escapes; an id and a body for every
                // answer, also for those of the middleware below.
                .wrap(from_fn(respond))
                .wrap(from_fn(drain))
                .wrap(from_fn(mark_busy))
                .wrap(from_fn(read_to_the_end))
        };
        let address = settings.listen();
        let server = HttpServer::new(factory)
            .workers(threads)
            .max_connections(most_each)
            .on_connect(move |socket, data| connections.opened(socket, data))
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(HEAD_TIMEOUT)
            .client_disconnect_timeout(DISCARD_TIMEOUT)
            .shutdown_timeout(shutdown.grace().as_secs())
            .shutdown_signal(stopping.until_quiet())
            .bind(address)
            .with_context(|| {
                format!(
                    "HOST={} PORT={}: listen there",
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

    /// Returns where the server listens.
    pub fn address(&self) -> std::net::SocketAddr {
        self.address
    }

    /// Serves until the shutdown is requested and running requests are answered, or it is insisted on.
    pub async fn run(self) -> anyhow::Result<()> {
        let handle = self.running.handle();
        tokio::select! {
            result = self.running => result.context("serve"),
            () = self.shutdown.insisted() => {
                handle.stop(false).await;
                Ok(())
            }
        }
    }
}

/// Refuses an address that asks too often.
async fn limit_address(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody, BoxBody>>, actix_web::Error> {
    let limits = request.app_data::<web::Data<Limits>>().cloned();
    if let Some(limits) = limits {
        let client = ClientAddress::of(request.request());
        if let Err(refused) = limits.address.take(&client.0) {
            return Ok(request.error_response(refused).map_into_right_body());
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
        .expose_headers([
            header::ACCEPT_RANGES,
            header::CONTENT_LENGTH,
            header::CONTENT_RANGE,
            header::ETAG,
            header::LINK,
            header::RETRY_AFTER,
            REQUEST_ID,
        ])
        .max_age(CORS_MAX_AGE_SECS)
        // A refused origin gets no CORS header and so no access; the answer itself stays ours.
        .block_on_origin_mismatch(false);
    origins
        .iter()
        .fold(cors, |cors, origin| cors.allowed_origin(origin))
}
