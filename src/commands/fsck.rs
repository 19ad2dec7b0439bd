//! `anb fsck`: proves that rows, files and queue agree, or says where they do not.

use std::io::{self, Write as _};

use anyhow::bail;
use serde::Serialize;

use crate::{
    aws,
    cli::Fsck,
    config,
    db::Db,
    queue::Queue,
    storage::Storage,
    videos::{
        fsck::{self, Finding},
        sweep::Sweeper,
    },
};

#[derive(Serialize)]
struct Said {
    #[serde(flatten)]
    finding: Finding,
    is_repaired: bool,
}

pub async fn run(arguments: Fsck) -> anyhow::Result<()> {
    arguments.database.validate()?;
    arguments.queue.validate()?;
    arguments.storage.validate()?;
    let aws = aws::load_for(&arguments.aws, &arguments.queue, &arguments.storage).await;
    let visibility = config::worker::DEFAULT_VISIBILITY;
    let db = Db::new(&arguments.database)?;
    let queue = Queue::connect(&arguments.queue, visibility, &aws).await?;
    let storage = Storage::connect(&arguments.storage, &aws).await?;
    let on = Sweeper {
        db: &db,
        queue: &queue,
        storage: &storage,
        upload_timeout: arguments.upload.upload_timeout,
    };
    let mut said = Vec::new();
    for finding in fsck::check(&on).await? {
        let is_repaired = arguments.fix && Box::pin(fsck::repair(&on, &finding)).await?;
        said.push(Said {
            finding,
            is_repaired,
        });
    }
    say(&said, arguments.json)?;
    match said.len() {
        0 => Ok(()),
        1 => bail!("1 finding"),
        count => bail!("{count} findings"),
    }
}

fn say(said: &[Said], json: bool) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        return Ok(writeln!(out, "{}", serde_json::to_string(said)?)?);
    }
    for said in said {
        writeln!(out, "{}", serde_json::to_string(said)?)?;
    }
    Ok(())
}
