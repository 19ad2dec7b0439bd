//! `anb queue`: shows the queue to an operator, and retries failed videos. It never purges.

use std::io::{self, Write as _};

use serde::Serialize;

use crate::{
    aws,
    cli::{QueueAction, QueueTool},
    config,
    db::Db,
    queue::{DeadMessage, Queue, Stats},
    videos::{VideoCounts, operator},
};

/// The counts of videos and of the broker's messages. There may be more messages (duplicates) or
/// fewer (the sweeper pushes them again).
#[derive(Serialize)]
struct Counts {
    #[serde(flatten)]
    videos: VideoCounts,
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
            let videos = operator::count_videos(&db).await?;
            let messages = queue.stats().await?;
            if json {
                return print_json(&Counts { videos, messages });
            }
            let age = videos.oldest_age_seconds;
            print(&format!(
                "videos    waiting {}, in flight {}, dead {}, the oldest has waited for {}\n\
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
            let redriven =
                operator::redrive(&db, &queue, &super::operator("anb queue redrive")).await?;
            if json {
                return print_json(&redriven);
            }
            print(&format!(
                "{} videos requeued; dead messages: {} removed, {} of unknown kinds sent again, {} left",
                redriven.videos, redriven.removed, redriven.sent_again, redriven.left
            ))
        }
        QueueAction::Peek { limit } => {
            let messages = queue.receive_dead(limit).await?;
            let printed = print_dead(&messages, json);
            for message in messages {
                message.put_back().await?;
            }
            printed
        }
    }
}

fn print_dead(messages: &[DeadMessage], json: bool) -> anyhow::Result<()> {
    let dead: Vec<_> = messages
        .iter()
        .map(|message| Dead {
            reason: message.reason.as_deref(),
            payload: &message.payload,
        })
        .collect();
    if json {
        return print_json(&dead);
    }
    for message in &dead {
        let reason = message.reason.unwrap_or("-");
        print(&format!("{reason}\t{}", message.payload))?;
    }
    Ok(())
}

fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&serde_json::to_string(value)?)
}

fn print(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout().lock(), "{text}")?)
}
