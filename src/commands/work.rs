//! `anb work`: the queue worker.

use anyhow::Context as _;
use aws_config::{SdkConfig, imds};

use crate::{
    app::WorkerContext,
    aws,
    config::{self, Switch},
    db,
    ec2::{Instance, Pace},
    monitoring, open_files,
    shutdown::Shutdown,
    worker::Worker,
};

pub async fn run(settings: config::Work) -> anyhow::Result<()> {
    settings.validate()?;
    let shutdown = Shutdown::new(settings.stop.shutdown_grace);
    shutdown.listen()?;
    let started = shutdown.unless_requested(Box::pin(start(&settings, &shutdown)));
    let Some((worker, aws)) = started.await.transpose()? else {
        return Ok(());
    };
    open_files::raise();
    worker.dependencies().report();
    monitoring::listen(&settings.metrics_addr, worker.dependencies().clone())?;

    match settings.machine.ec2_lifecycle {
        Switch::On => {
            let metadata = imds::Client::builder()
                .configure(&aws::provider_config(&aws))
                .build();
            let stop = shutdown.clone();
            let instance = Instance::find(&aws, metadata, stop, Pace::default()).await?;
            Box::pin(instance.run_protected(worker.jobs(), worker.run())).await;
        }
        Switch::Off => worker.run().await,
    }
    shutdown.drain().await;
    Ok(())
}

async fn start(
    settings: &config::Work,
    shutdown: &Shutdown,
) -> anyhow::Result<(Worker, SdkConfig)> {
    db::pooler::reject_shared_sessions(&settings.backends.database).await?;
    let launcher = std::env::current_exe().context("find this program")?;
    let aws = match settings.machine.ec2_lifecycle {
        Switch::On => aws::load(&settings.backends.aws).await,
        Switch::Off => aws::load_for(&settings.backends).await,
    };
    let context = WorkerContext::build(settings, launcher, &aws).await?;
    Ok((Worker::new(context, shutdown.clone()), aws))
}
