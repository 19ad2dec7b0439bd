//! `anb serve`: the API.

use crate::{
    app::App,
    aws, config, db,
    internal::{self, Dependencies},
    open_files,
    server::Server,
    shutdown::Shutdown,
};

pub async fn run(settings: config::Serve) -> anyhow::Result<()> {
    settings.validate()?;
    db::pooler::refuse(&settings.database).await?;
    let shutdown = Shutdown::new(settings.stop.grace);
    shutdown.listen()?;

    let aws = aws::load_for(&settings.aws, &settings.queue, &settings.storage).await;
    let app = App::build(&settings, &aws, &shutdown).await?;
    open_files::raise();
    let dependencies = Dependencies::of_app(&app, &shutdown);
    dependencies.report();
    internal::listen(&settings.metrics, dependencies)?;
    let server = Server::bind(app, &settings.http, &shutdown)?;
    tracing::info!(address = %server.address(), "API listens");

    let result = server.run().await;
    shutdown.drain().await;
    result
}
