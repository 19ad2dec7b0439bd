//! Times on a cheap phone with a bad link, for `docs/performance.md`: `make bench-pages`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    sheets::{Contest, Who},
    visitor::Visitor,
};

/// A cheap phone has a quarter of the speed of this machine.
const CPU_RATE: u32 = 4;

/// Loads of a page, of which the median counts.
const LOADS: usize = 3;

/// Name, latency (ms), bytes per second.
const LINKS: [(&str, u32, i64); 2] = [
    ("400 kb/s, 400 ms", 400, 50_000),
    ("1.6 Mb/s, 150 ms", 150, 200_000),
];

/// Returns first and largest contentful paint (ms), and the longest task after the load.
const PAINTS: &str = "
    const done = arguments[arguments.length - 1];
    const seen = { fcp: 0, lcp: 0, longest: 0 };
    const { loadEventEnd } = performance.getEntriesByType('navigation')[0];
    const watch = (type, note) => new PerformanceObserver((list) => list.getEntries().forEach(note))
        .observe({ type, buffered: true });
    watch('paint', ({ name, startTime }) => {
        if (name === 'first-contentful-paint') seen.fcp = startTime;
    });
    watch('largest-contentful-paint', ({ startTime }) => (seen.lcp = startTime));
    watch('longtask', ({ startTime, duration }) => {
        if (startTime > loadEventEnd) seen.longest = Math.max(seen.longest, duration);
    });
    setTimeout(() => done(seen), 500);";

/// Taps of each kind, of which the median counts.
const TAPS: usize = 5;

/// The first of the cards that are tapped. `watch` has one of those above.
const FIRST_CARD: usize = 7;

/// Watches events (event timing, W3C).
const WATCH_TAPS: &str = "
    window.taps = [];
    new PerformanceObserver((list) => {
        for (const event of list.getEntries()) {
            const { startTime, processingStart, processingEnd, duration } = event;
            if (!event.interactionId) continue;
            const [wait, run] = [processingStart - startTime, processingEnd - processingStart];
            taps.push({ wait, run, duration });
        }
    }).observe({ type: 'event', durationThreshold: 16 });";

/// Returns the time from a tap until the vote is shown as counted (ms).
const VOTE: &str = "
    const done = arguments[arguments.length - 1];
    const button = document.querySelector('form.vote button');
    const started = performance.now();
    new MutationObserver((_, observer) => {
        if (button.dataset.state !== 'voted') return;
        observer.disconnect();
        done(performance.now() - started);
    }).observe(button, { attributes: true });
    button.click();";

async fn ask(visitor: &Visitor, script: &str) -> Value {
    let call = json!({ "script": script, "args": [] });
    visitor.browser().send("/execute/async", call).await
}

async fn slow_down(visitor: &Visitor, rate: u32) {
    let rate = json!({ "rate": rate });
    visitor
        .devtools("Emulation.setCPUThrottlingRate", rate)
        .await;
}

/// The slowest event of a tap, in milliseconds.
#[derive(serde::Deserialize)]
struct Tap {
    /// Until its handlers run, and what they take.
    wait: f64,
    run: f64,
    /// Until the next paint, in steps of 8 ms.
    duration: f64,
}

async fn tap(visitor: &Visitor, selector: &str) -> Tap {
    visitor.run("window.taps.length = 0", Value::Null).await;
    visitor.click(selector).await;
    // What it starts is over, such as the answer to a vote.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let slowest = "return taps.sort((a, b) => b.duration - a.duration)[0]
        ?? { wait: 0, run: 0, duration: 0 }";
    let slowest = visitor.run(slowest, Value::Null).await;
    serde_json::from_value(slowest).unwrap()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[tokio::test]
#[ignore = "a measurement"]
async fn pages_on_a_cheap_phone() {
    let contest = Contest::hold().await;
    let mut visitor = contest.visitor(Who::Anybody).await;
    let watch = contest
        .sheets
        .iter()
        .find(|sheet| sheet.name == "watch")
        .unwrap();
    slow_down(&visitor, CPU_RATE).await;
    println!("| page | link | FCP (ms) | LCP (ms) | longest task after the load (ms) |");
    println!("|---|---|---|---|---|");
    for (name, latency, speed) in LINKS {
        for path in ["/", &watch.path, "/clasificacion"] {
            let (mut first, mut largest, mut longest) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..LOADS {
                visitor
                    .devtools("Network.clearBrowserCache", json!({}))
                    .await;
                visitor.throttle(latency, speed, speed).await;
                visitor.open(path).await;
                let seen = ask(&visitor, PAINTS).await;
                let number = |name: &str| seen[name].as_f64().unwrap();
                first.push(number("fcp"));
                largest.push(number("lcp"));
                longest.push(number("longest"));
            }
            let (first, largest, longest) = (median(first), median(largest), median(longest));
            let path = if path == watch.path {
                "/videos/{id}"
            } else {
                path
            };
            println!("| `{path}` | {name} | {first:.0} | {largest:.0} | {longest:.0} |");
        }
    }

    visitor.be(&contest.stage, &contest.organiser).await;
    visitor.throttle(0, -1, -1).await;
    println!();
    println!("| interaction | wait (ms) | handlers (ms) | to the next paint (ms) | slowest (ms) |");
    println!("|---|---|---|---|---|");
    let kinds = [
        // What the browser needs by itself.
        ("none", "h1"),
        ("search", ".search summary"),
        ("vote", ".cell:nth-child({n}) form.vote button"),
        ("play", ".cell:nth-child({n}) a.play"),
    ];
    let mut taps = kinds.map(|_| Vec::new());
    for card in FIRST_CARD..FIRST_CARD + TAPS {
        visitor.open("/").await;
        visitor.run(WATCH_TAPS, Value::Null).await;
        for ((_, selector), taps) in kinds.iter().zip(&mut taps) {
            taps.push(tap(&visitor, &selector.replace("{n}", &card.to_string())).await);
        }
    }
    for ((name, _), taps) in kinds.iter().zip(&taps) {
        let of = |time: fn(&Tap) -> f64| taps.iter().map(time).collect::<Vec<f64>>();
        let paints = of(|tap| tap.duration);
        let slowest = paints.iter().copied().fold(0.0, f64::max);
        let [wait, run, paint] = [of(|tap| tap.wait), of(|tap| tap.run), paints].map(median);
        println!("| {name} | {wait:.0} | {run:.0} | {paint:.0} | {slowest:.0} |");
    }

    slow_down(&visitor, 1).await;
    visitor.open(&watch.path).await;
    visitor.throttle(150, 200_000, 200_000).await;
    let counted = ask(&visitor, VOTE).await;
    println!(
        "tap to counted vote at 150 ms: {:.0} ms",
        counted.as_f64().unwrap()
    );
    visitor.end().await;
}
