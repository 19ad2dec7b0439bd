//! The benchmark `make bench-queue`: rates and latencies of push and receive for each broker.

use std::time::{Duration, Instant};

use anb::queue::Queue;
use futures_util::future::join_all;

use super::{NEVER_EXPIRES, WAIT, push};
use crate::support::{RedisBroker, SqsBroker, percentile};

/// Maximum number of waiting jobs, since the emulator of SQS slows down with their number.
const ROUND: u32 = 200;

const ROUNDS: u32 = 10;

/// Number of concurrent pushes or receives.
const CLIENTS: u32 = 8;

#[tokio::test]
#[ignore = "measures: make bench-queue"]
async fn push_and_receive_rates() {
    println!("| broker | at once | push/s | p50 | p99 | receive + ack/s | p50 | p99 |");
    println!("|---|---|---|---|---|---|---|---|");
    let redis = RedisBroker::fresh().await.queue(NEVER_EXPIRES).await;
    let sqs = SqsBroker::fresh().await.queue(NEVER_EXPIRES).await;
    for (name, queue) in [("Redis", &redis), ("SQS (emulator)", &sqs)] {
        for clients in [1, CLIENTS] {
            let (mut pushes, mut receives) = (Times::default(), Times::default());
            for _ in 0..ROUNDS {
                pushes.measure(clients, || push_one(queue)).await;
                receives.measure(clients, || receive_one(queue)).await;
            }
            println!("| {name} | {clients} | {pushes} | {receives} |");
        }
    }
}

async fn push_one(queue: &Queue) {
    push(queue).await;
}

async fn receive_one(queue: &Queue) {
    let delivery = queue.receive(1, WAIT).await.unwrap().pop().unwrap();
    delivery.ack().await.unwrap();
}

/// Durations of the calls, and their total time.
#[derive(Default)]
struct Times {
    calls: Vec<Duration>,
    total: Duration,
}

impl Times {
    /// Runs `call` [`ROUND`] times with a concurrency of `clients`.
    async fn measure(&mut self, clients: u32, call: impl AsyncFn()) {
        let started = Instant::now();
        let clients = (0..clients).map(async |_| {
            let mut calls = Vec::new();
            for _ in 0..ROUND / clients {
                let started = Instant::now();
                call().await;
                calls.push(started.elapsed());
            }
            calls
        });
        self.calls.extend(join_all(clients).await.concat());
        self.total += started.elapsed();
    }

    fn percentile(&self, percent: usize) -> Duration {
        let mut calls = self.calls.clone();
        calls.sort_unstable();
        percentile(&calls, percent)
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rate = f64::from(ROUND * ROUNDS) / self.total.as_secs_f64();
        let (median, worst) = (self.percentile(50), self.percentile(99));
        write!(f, "{rate:.0} | {median:.1?} | {worst:.1?}")
    }
}
