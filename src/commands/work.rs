//! `anb work`: the queue worker.

use anyhow::Context as _;

use crate::{
    app::Workshop,
    aws, config,
    internal::{self, Dependencies},
    shutdown::Shutdown,
    worker::Worker,
};

pub async fn run(settings: config::Work) -> anyhow::Result<()> {
    settings.validate()?;
    let shutdown = Shutdown::new(settings.stop.grace);
    shutdown.listen()?;

    let launcher = std::env::current_exe().context("find this program")?;
    let aws = aws::load_for(&settings.aws, &settings.queue, &settings.storage).await;
    let workshop = Workshop::build(&settings, launcher, &aws).await?;
    let dependencies = Dependencies::of_workshop(&workshop);
    dependencies.report(&shutdown);
    internal::listen(&settings.metrics, dependencies, &shutdown)?;

    Worker::new(workshop, shutdown.clone()).run().await;
    shutdown.drain().await;
    Ok(())
}
