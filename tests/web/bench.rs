//! Times on a cheap phone with a bad link, for `docs/performance.md`: `make bench-pages`.

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

/// Watches the slowest interaction (event timing, W3C).
const WATCH_TAPS: &str = "
    window.slowest = 0;
    new PerformanceObserver((list) => list.getEntries().forEach(({ duration, interactionId }) => {
        if (interactionId) window.slowest = Math.max(window.slowest, duration);
    })).observe({ type: 'event', durationThreshold: 16 });";

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
    visitor.open("/").await;
    visitor.run(WATCH_TAPS, Value::Null).await;
    visitor.click(".search summary").await;
    visitor.click(".cell:nth-child(2) form.vote button").await;
    visitor
        .until(".cell:nth-child(2) button[data-state=voted]")
        .await;
    visitor.click(".cell:nth-child(3) a.play").await;
    visitor.until(".cell:nth-child(3) video").await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let slowest = visitor.run("return window.slowest", Value::Null).await;
    println!("\nslowest interaction (search, vote, play): {slowest} ms");

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
