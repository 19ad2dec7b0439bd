//! `anb serve`: the API.

use crate::{
    app::App,
    config,
    internal::{self, Dependencies},
    server::Server,
    shutdown::Shutdown,
};

pub async fn run(settings: config::Serve) -> anyhow::Result<()> {
    settings.validate()?;
    let shutdown = Shutdown::new(settings.stop.grace);
    shutdown.listen()?;

    let app = App::build(&settings).await?;
    internal::listen(&settings.metrics, Dependencies::of_app(&app), &shutdown)?;
    let server = Server::bind(app, &settings.http, &shutdown)?;
    tracing::info!(address = %server.address(), "API listens");

    let result = server.run().await;
    shutdown.drain().await;
    result
}
