//! `anb queue`: the operator's view of the queue, and another chance for what failed. Never purges.

use std::io::{self, Write as _};

use serde::Serialize;

use crate::{
    aws,
    cli::{QueueAction, QueueTool},
    config,
    db::Db,
    queue::{DeadMessage, Queue, Stats},
    videos::{Depth, operator},
};

/// The rows' numbers, and beside them what the broker holds: it may hold more (copies) or fewer (the
/// sweeper pushes again).
#[derive(Serialize)]
struct Numbers {
    #[serde(flatten)]
    videos: Depth,
    messages: Stats,
}

#[derive(Serialize)]
struct Dead<'a> {
    reason: Option<&'a str>,
    payload: &'a str,
}

pub async fn run(arguments: QueueTool) -> anyhow::Result<()> {
    let QueueTool {
        database,
        queue,
        aws,
        json,
        action,
    } = arguments;
    database.validate()?;
    queue.validate()?;
    let db = Db::new(&database)?;
    let aws = aws::load(&aws).await;
    let queue = Queue::connect(&queue, config::worker::DEFAULT_VISIBILITY, &aws).await?;
    match action {
        QueueAction::Stats => {
            let videos = operator::depth(&db).await?;
            let messages = queue.stats().await?;
            if json {
                return say_json(&Numbers { videos, messages });
            }
            let age = videos.oldest_age_seconds;
            say(&format!(
                "videos    waiting {}, in flight {}, dead {}, the oldest waits for {}\n\
                 messages  waiting {}, in flight {}, dead {}",
                videos.waiting,
                videos.in_flight,
                videos.dead,
                age.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s")),
                messages.waiting,
                messages.in_flight,
                messages.dead,
            ))
        }
        QueueAction::Redrive => {
            let redriven = operator::redrive(&db, &queue).await?;
            if json {
                return say_json(&redriven);
            }
            say(&format!(
                "{} videos wait again; dead messages: {} removed, {} of unknown kinds sent again, {} left",
                redriven.videos, redriven.removed, redriven.sent_again, redriven.left
            ))
        }
        QueueAction::Peek { limit } => {
            let messages = queue.take_dead(limit).await?;
            let said = describe(&messages, json);
            for message in messages {
                message.put_back().await?;
            }
            said
        }
    }
}

fn describe(messages: &[DeadMessage], json: bool) -> anyhow::Result<()> {
    let dead: Vec<_> = messages
        .iter()
        .map(|message| Dead {
            reason: message.reason.as_deref(),
            payload: &message.payload,
        })
        .collect();
    if json {
        return say_json(&dead);
    }
    for message in &dead {
        let reason = message.reason.unwrap_or("-");
        say(&format!("{reason}\t{}", message.payload))?;
    }
    Ok(())
}

fn say_json(value: &impl Serialize) -> anyhow::Result<()> {
    say(&serde_json::to_string(value)?)
}

fn say(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout().lock(), "{text}")?)
}
