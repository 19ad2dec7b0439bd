//! `anb serve`: the API.

use crate::{
    app::App,
    aws, config, db,
    monitoring::{self, Dependencies},
    open_files,
    server::Server,
    shutdown::Shutdown,
};

pub async fn run(settings: config::Serve) -> anyhow::Result<()> {
    settings.validate()?;
    if settings.lacks_https() {
        tracing::warn!(
            "PUBLIC_URL is not an https:// origin: session cookies are not secure, and shared links \
             show no picture"
        );
    }
    let shutdown = Shutdown::new(settings.stop.shutdown_grace);
    shutdown.listen()?;
    let started = shutdown.unless_requested(Box::pin(start(&settings, &shutdown)));
    let Some(app) = started.await.transpose()? else {
        return Ok(());
    };
    open_files::raise();
    let dependencies = Dependencies::of_app(&app, &shutdown);
    dependencies.report();
    monitoring::listen(&settings.metrics_addr, dependencies)?;
    let server = Server::bind(app, &settings.http, &shutdown).await?;
    tracing::info!(address = %server.address(), "API is listening");

    let result = server.run().await;
    shutdown.drain().await;
    result
}

async fn start(settings: &config::Serve, shutdown: &Shutdown) -> anyhow::Result<App> {
    db::pooler::reject_shared_sessions(&settings.backends.database).await?;
    let aws = aws::load_for(&settings.backends).await;
    App::build(settings, &aws, shutdown).await
}
