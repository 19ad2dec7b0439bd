//! Time until an acknowledged vote is visible in the public listing, while other clients vote.

use std::{
    cell::RefCell,
    collections::HashMap,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use reqwest::Client;
use serde_json::Value;
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

use super::{arena::Arena, seed};
use crate::support::eventually;

/// Polling interval of the listing.
const POLL: Duration = Duration::from_millis(25);

/// Maximum time from the response to a vote until it is visible.
const VISIBLE_TIMEOUT: Duration = Duration::from_mins(2);

/// Maximum number of votes in one measurement.
const MAX_VOTES: usize = 500;

/// Votes that are not visible yet, by video: the expected count, and the channel to notify.
type Pending = RefCell<HashMap<String, (i64, oneshot::Sender<()>)>>;

/// Votes for each witness (`seed.rs`) during `span`, again as soon as its previous vote is visible.
/// Returns the delay of each vote.
pub async fn measure(arena: &Arena, span: Duration) -> Vec<Duration> {
    let client = Client::new();
    let fans = RefCell::new(arena.other_fans(MAX_VOTES).await);
    let begun = Instant::now();
    let pending: Pending = RefCell::default();
    let watch = async {
        loop {
            sleep(POLL).await;
            for (video, votes) in list(&client, arena).await {
                let mut pending = pending.borrow_mut();
                if pending
                    .get(&video)
                    .is_some_and(|(number, _)| votes >= *number)
                {
                    let (_, voter) = pending.remove(&video).unwrap();
                    voter.send(()).unwrap();
                }
            }
        }
    };
    let vote = async |video: String, votes: i64| {
        let mut took = Vec::new();
        for number in votes + 1.. {
            if begun.elapsed() >= span {
                break;
            }
            let fan = fans.borrow_mut().pop().unwrap();
            cast(&client, arena, &video, fan).await;
            let answered = Instant::now();
            let (voter, shows) = oneshot::channel();
            pending.borrow_mut().insert(video.clone(), (number, voter));
            timeout(VISIBLE_TIMEOUT, shows).await.unwrap().unwrap();
            took.push(answered.elapsed());
        }
        took
    };
    let witnesses = list(&client, arena).await;
    let votes = join_all(
        witnesses
            .into_iter()
            .map(|(video, votes)| vote(video, votes)),
    );
    tokio::select! {
        took = votes => took.concat(),
        () = watch => unreachable!(),
    }
}

/// Casts one vote and waits until it is counted.
pub async fn single_vote(arena: &Arena) {
    let client = Client::new();
    let (video, _) = list(&client, arena).await.swap_remove(0);
    let fan = arena.other_fans(1).await.swap_remove(0);
    cast(&client, arena, &video, fan).await;
    eventually("the vote is counted", 60, async || {
        let left = "SELECT count(*)::text AS text FROM uncounted";
        arena.column(left).await.concat() == "0"
    })
    .await;
}

async fn cast(client: &Client, arena: &Arena, video: &str, fan: String) {
    let url = format!("{}/api/public/videos/{video}/vote", arena.serve.url);
    let answer = client.post(&url).bearer_auth(fan).send().await.unwrap();
    answer.error_for_status().unwrap();
}

/// Returns the witnesses with their vote counts.
async fn list(client: &Client, arena: &Arena) -> Vec<(String, i64)> {
    let url = format!(
        "{}/api/public/videos?city={}&limit={}",
        arena.serve.url,
        seed::WITNESS_CITY,
        seed::WITNESSES
    );
    let answer = client.get(url).send().await.unwrap();
    let videos: Vec<Value> = answer.error_for_status().unwrap().json().await.unwrap();
    assert_eq!(videos.len(), usize::try_from(seed::WITNESSES).unwrap());
    let of = |video: Value| {
        let id = video["video_id"].as_str().unwrap().to_owned();
        (id, video["votes"].as_i64().unwrap())
    };
    videos.into_iter().map(of).collect()
}
