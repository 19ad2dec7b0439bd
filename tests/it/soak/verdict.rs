//! The verdict on a soak: nothing failed, nothing was lost, and memory and descriptors did not
//! grow.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
};

use super::{
    records::{Outcomes, Records},
    samples::{Incarnation, Samples, Series, percentiles},
    stage::Stage,
};
use crate::support::eventually;

/// Maximum growth of a process's memory per hour. Both must be exceeded.
const MAX_MEMORY_PERCENT: f64 = 10.0;
const MAX_MEMORY_MB: f64 = 3.0;

/// Maximum growth of a process's file descriptors per hour.
const MAX_DESCRIPTORS: f64 = 5.0;

/// Share of the run in which a process warms up.
const WARM_UP: f64 = 1.0 / 6.0;

/// Minimum number of samples for a slope, and for a slope that is judged.
const MIN_SAMPLES: usize = 5;
const MIN_JUDGED: usize = 15;

/// Tables whose dead rows are shown, and whose bytes per row.
const CHURNED: [&str; 3] = ["uncounted", "videos", "standings"];
const GROWING: [&str; 4] = ["votes", "users", "videos", "search_words"];

/// Waits until nothing is running any more, then compares what people were told with the rows.
/// Returns what disagrees.
pub async fn compare(stage: &Stage, records: &Records) -> Vec<String> {
    let running = "SELECT count(*) FROM videos WHERE status IN ('uploaded', 'processing')";
    eventually("all videos have ended", 300, async || {
        stage.number(running).await == 0
    })
    .await;
    eventually("all votes are counted", 60, async || {
        stage.number("SELECT count(*) FROM uncounted").await == 0
    })
    .await;
    let mut wrong = Vec::new();
    let stored = stage
        .column(
            "SELECT email || ' ' || video_id AS text FROM votes
             JOIN users ON users.id = votes.user_id WHERE email LIKE 'fan%'",
        )
        .await;
    let stored: HashSet<String> = stored.into_iter().collect();
    let votes = records.votes.lock().unwrap().clone();
    let votes: HashSet<String> = votes
        .into_iter()
        .map(|(email, video)| format!("{email} {video}"))
        .collect();
    let (lost, unknown) = (&votes - &stored, &stored - &votes);
    if !lost.is_empty() {
        wrong.push(format!(
            "{} counted votes are not stored: {lost:?}",
            lost.len()
        ));
    }
    if !unknown.is_empty() {
        wrong.push(format!(
            "{} stored votes were not answered: {unknown:?}",
            unknown.len()
        ));
    }
    let states = stage
        .column("SELECT id || ' ' || status::text AS text FROM videos WHERE original_bytes > 1")
        .await;
    let states: HashSet<String> = states.into_iter().collect();
    let uploads = records.uploads.lock().unwrap().clone();
    for upload in &uploads {
        let is_there = states.contains(&format!("{} processed", upload.video));
        if is_there == upload.is_deleted {
            wrong.push(format!("{upload:?} is stored as processed: {is_there}"));
        }
    }
    // A delete leaves its row for as long as a worker may still store outputs.
    let open = "SELECT count(*) FROM uploads WHERE is_upload";
    let open = stage.number(open).await;
    if open > 0 {
        wrong.push(format!("{open} uploads are unfinished"));
    }
    println!(
        "{} votes and {} uploads were compared",
        votes.len(),
        uploads.len()
    );
    let found = stage.system.output("fsck").await;
    if !found.status.success() {
        wrong.push(format!("anb fsck: {found:?}"));
    }
    wrong
}

/// Prints the requests of the run.
pub fn print_requests(totals: BTreeMap<&'static str, Outcomes>) {
    println!("\n| request | count | failures | p50 | p99 |\n|---|---|---|---|---|");
    for (kind, mut outcomes) in totals {
        let (p50, p99) = percentiles(&mut outcomes);
        println!(
            "| {kind} | {} | {} | {p50:.1} ms | {p99:.1} ms |",
            outcomes.times.len(),
            outcomes.failures
        );
    }
}

/// Prints the slope of each series. Returns the slopes that exceed their bounds.
pub fn print_slopes(samples: &Samples, minutes: f64) -> Vec<String> {
    let mut table = Growth {
        minutes,
        text: "\n| what | first | last | per hour | in percent |\n|---|---|---|---|---|\n"
            .to_owned(),
        wrong: Vec::new(),
    };
    for (process, series) in &samples.memory {
        let name = format!("memory of {} ({}), MB", process.name, process.id);
        let slope = table.row(&name, series).filter(Slope::is_steady);
        let is_wrong =
            |slope: &Slope| slope.percent > MAX_MEMORY_PERCENT && slope.per_hour > MAX_MEMORY_MB;
        table
            .wrong
            .extend(slope.filter(is_wrong).map(|slope| slope.describe(&name)));
    }
    for (process, series) in &samples.descriptors {
        let name = format!("descriptors of {} ({})", process.name, process.id);
        let slope = table.row(&name, series).filter(Slope::is_steady);
        let is_wrong = |slope: &Slope| slope.per_hour > MAX_DESCRIPTORS;
        table
            .wrong
            .extend(slope.filter(is_wrong).map(|slope| slope.describe(&name)));
    }
    for (name, series) in &samples.system {
        table.row(name, series);
    }
    for (name, found) in &samples.tables {
        if CHURNED.contains(&name.as_str()) {
            table.row(&format!("dead rows of {name}"), &found.dead);
            table.row(&format!("index bytes of {name}"), &found.index_bytes);
        }
        if GROWING.contains(&name.as_str()) {
            table.row(&format!("rows of {name}"), &found.live);
            let heap = per_row(&found.heap_bytes, &found.live);
            table.row(&format!("bytes per row of {name}"), &heap);
            let index = per_row(&found.index_bytes, &found.live);
            table.row(&format!("index bytes per row of {name}"), &index);
        }
    }
    for (kind, series) in &samples.slowest {
        table.row(&format!("p99 of {kind}, ms"), series);
    }
    println!("{}", table.text);
    table.wrong
}

struct Growth {
    minutes: f64,
    text: String,
    wrong: Vec<String>,
}

impl Growth {
    /// Adds a row. Returns the slope, if there are enough samples after the warm-up.
    fn row(&mut self, name: &str, series: &Series) -> Option<Slope> {
        let first = series.first()?;
        // A process may have started later than the soak.
        let warm = first.0 + self.minutes * WARM_UP;
        let series = series.iter().copied();
        let series: Series = series.filter(|(minute, _)| *minute >= warm).collect();
        if series.len() < MIN_SAMPLES {
            writeln!(self.text, "| {name} | {:.1} | – | – | – |", first.1).unwrap();
            return None;
        }
        let slope = Slope::of(&series);
        let (from, to) = (series[0].1, series[series.len() - 1].1);
        let Slope {
            per_hour, percent, ..
        } = &slope;
        writeln!(
            self.text,
            "| {name} | {from:.1} | {to:.1} | {per_hour:+.2} | {percent:+.1} % |"
        )
        .unwrap();
        Some(slope)
    }
}

/// The slope of a series: the median of those between all pairs of points (Theil–Sen), which a few
/// outliers do not change.
struct Slope {
    per_hour: f64,
    /// The same in percent of the median value.
    percent: f64,
    /// The slope that three quarters of the pairs exceed.
    low: f64,
    samples: usize,
}

impl Slope {
    fn of(series: &Series) -> Self {
        let mut slopes = Vec::new();
        for (number, (from, before)) in series.iter().enumerate() {
            let later = series.iter().skip(number + 1);
            slopes.extend(later.map(|(to, after)| 60.0 * (after - before) / (to - from)));
        }
        let per_hour = quantile(&mut slopes, 2);
        let mut values: Vec<_> = series.iter().map(|(_, value)| *value).collect();
        let typical = quantile(&mut values, 2);
        let percent = if typical == 0.0 {
            0.0
        } else {
            per_hour / typical * 100.0
        };
        Self {
            per_hour,
            percent,
            low: quantile(&mut slopes, 4),
            samples: series.len(),
        }
    }

    /// Returns whether there are enough samples, and most of them grow.
    fn is_steady(&self) -> bool {
        self.samples >= MIN_JUDGED && self.low > 0.0
    }

    fn describe(&self, name: &str) -> String {
        let Self {
            per_hour, percent, ..
        } = self;
        format!("{name}: {per_hour:+.1} per hour, {percent:+.1} %")
    }
}

/// Divides bytes by rows, sample by sample.
fn per_row(bytes: &Series, rows: &Series) -> Series {
    let both = bytes.iter().zip(rows);
    both.filter(|(_, (_, rows))| *rows > 0.0)
        .map(|((minute, bytes), (_, rows))| (*minute, bytes / rows))
        .collect()
}

/// Returns the smallest value that at least one of `parts` equal parts of the values does not exceed.
fn quantile(values: &mut [f64], parts: usize) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / parts]
}

#[test]
fn growing_memory_fails_the_run() {
    let grows = |per_minute: f64| {
        let noise = |minute: u32| f64::from(minute * 7 % 5) / 2.0;
        let series = (0..40).map(|minute| {
            let outlier = if minute % 10 == 3 { 30.0 } else { 0.0 };
            let value = 30.0 + f64::from(minute) * per_minute + noise(minute) + outlier;
            (f64::from(minute), value)
        });
        let process = Incarnation {
            name: "serve 1".to_owned(),
            id: 1,
        };
        let mut samples = Samples::default();
        samples.memory.insert(process, series.collect());
        print_slopes(&samples, 60.0).len()
    };
    assert_eq!([0.0, 0.02, 0.2].map(grows), [0, 0, 1]);
}
