//! Samples of everything that could grow: memory, descriptors, tables, Redis, disk, and the times
//! of the requests since the sample before. Each sample is also appended to CSV files.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use deadpool_redis::redis::{Client, cmd};

use super::{
    records::{Outcomes, Records},
    stage::Stage,
};
use crate::{
    bench::arena::database_cpu_seconds,
    support::{Share, cpu_seconds, descendants, memory, percentile},
};

/// A process, from its start to its end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Incarnation {
    pub name: String,
    pub id: u32,
}

/// Values of one quantity over time: minute and value.
pub type Series = Vec<(f64, f64)>;

/// Everything that was sampled, in memory.
#[derive(Default)]
pub struct Samples {
    /// Resident memory (MB) of each process: the minimum since the sample before, since concurrent
    /// logins need much for moments.
    pub memory: BTreeMap<Incarnation, Series>,
    /// Open file descriptors of each process, also the minimum.
    pub descriptors: BTreeMap<Incarnation, Series>,
    /// Values of the whole system.
    pub system: BTreeMap<&'static str, Series>,
    /// Values of each table.
    pub tables: BTreeMap<String, Table>,
    /// The 99th percentile (ms) of each kind of request.
    pub slowest: BTreeMap<&'static str, Series>,
}

#[derive(Default)]
pub struct Table {
    pub live: Series,
    pub dead: Series,
    pub heap_bytes: Series,
    pub index_bytes: Series,
}

/// Memory (MB) and descriptors of a process since the last sample.
struct Usage {
    least_memory: f64,
    most_memory: f64,
    least_descriptors: u32,
}

/// Writes the samples into a folder.
pub struct Sampler<'a> {
    stage: &'a Stage,
    records: &'a Records,
    folder: &'a Path,
    recent: BTreeMap<Incarnation, Usage>,
    pub samples: Samples,
}

const FILES: [(&str, &str); 4] = [
    (
        "processes",
        "minute,process,id,least_rss_mb,most_rss_mb,least_descriptors,cpu_s",
    ),
    (
        "tables",
        "minute,table,live,dead,heap_bytes,index_bytes,autovacuums",
    ),
    (
        "system",
        "minute,backends,backend_mb,database_mb,redis_mb,disk_mb,files,postgres_cpu_s,redis_cpu_s,people_cpu_s",
    ),
    ("requests", "minute,kind,count,p50_ms,p99_ms,failures"),
];

impl<'a> Sampler<'a> {
    pub fn new(stage: &'a Stage, records: &'a Records, folder: &'a Path) -> Self {
        for (name, head) in FILES {
            fs::write(folder.join(format!("{name}.csv")), format!("{head}\n")).unwrap();
        }
        Self {
            stage,
            records,
            folder,
            recent: BTreeMap::new(),
            samples: Samples::default(),
        }
    }

    /// Takes a sample.
    pub async fn take(&mut self) {
        let minute = self.records.minutes();
        self.glance();
        self.processes(minute);
        self.tables(minute).await;
        self.system(minute).await;
        self.requests(minute);
    }

    fn append(&self, file: &str, row: &str) {
        append(self.folder, file, row);
    }

    /// Looks at the processes between two samples.
    pub fn glance(&mut self) {
        for (name, id) in self.stage.running() {
            let Some(bytes) = memory(id, "VmRSS") else {
                continue;
            };
            let (memory, open) = (megabytes(bytes), descriptors(id));
            let usage = Usage {
                least_memory: memory,
                most_memory: memory,
                least_descriptors: open,
            };
            let usage = self.recent.entry(Incarnation { name, id }).or_insert(usage);
            usage.least_memory = usage.least_memory.min(memory);
            usage.most_memory = usage.most_memory.max(memory);
            usage.least_descriptors = usage.least_descriptors.min(open);
        }
    }

    fn processes(&mut self, minute: f64) {
        for (process, usage) in std::mem::take(&mut self.recent) {
            // It has ended since.
            let Some(cpu) = cpu_seconds(process.id, Share::WithChildren) else {
                continue;
            };
            let (least, most) = (usage.least_memory, usage.most_memory);
            let open = usage.least_descriptors;
            let Incarnation { name, id } = &process;
            let row = format!("{minute:.2},{name},{id},{least:.2},{most:.2},{open},{cpu:.2}");
            self.append("processes", &row);
            let memory = self.samples.memory.entry(process.clone()).or_default();
            memory.push((minute, least));
            let descriptors = self.samples.descriptors.entry(process).or_default();
            descriptors.push((minute, open.into()));
        }
    }

    async fn tables(&mut self, minute: f64) {
        let query =
            "SELECT concat_ws(',', relname, n_live_tup, n_dead_tup, pg_relation_size(relid),
                 pg_indexes_size(relid), autovacuum_count) AS text
             FROM pg_stat_user_tables ORDER BY relname";
        for row in self.stage.column(query).await {
            self.append("tables", &format!("{minute:.2},{row}"));
            let (name, values) = row.split_once(',').unwrap();
            let values: Vec<f64> = values
                .split(',')
                .map(|value| value.parse().unwrap())
                .collect();
            let table = self.samples.tables.entry(name.to_owned()).or_default();
            table.live.push((minute, values[0]));
            table.dead.push((minute, values[1]));
            table.heap_bytes.push((minute, values[2]));
            table.index_bytes.push((minute, values[3]));
        }
    }

    async fn system(&mut self, minute: f64) {
        let stage = self.stage;
        let backends =
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'";
        let backends = stage.number(backends).await;
        let database = stage
            .number("SELECT pg_database_size(current_database())")
            .await;
        let postmaster = stage.services.postgres.id().unwrap();
        let private = descendants(postmaster).into_iter();
        let private: u64 = private.filter_map(|id| memory(id, "RssAnon")).sum();
        let redis = redis_memory(&stage.services.redis.url()).await;
        let folders = ["uploads", "processed"].map(|name| stage.folder(name));
        let usage = tokio::task::spawn_blocking(move || {
            let mut usage = DiskUsage::default();
            for folder in &folders {
                usage.add(folder);
            }
            usage
        });
        let usage = usage.await.unwrap();
        let redis_cpu = cpu_seconds(stage.services.redis.id().unwrap(), Share::Own);
        let values = [
            (
                "connections of PostgreSQL",
                f64::from(u32::try_from(backends).unwrap()),
            ),
            ("private memory of PostgreSQL (MB)", megabytes(private)),
            ("database (MB)", megabytes(database.try_into().unwrap())),
            ("Redis memory (MB)", megabytes(redis)),
            ("files on disk (MB)", megabytes(usage.bytes)),
            ("number of files", f64::from(usage.files)),
        ];
        let cpu = [
            database_cpu_seconds(&stage.services),
            redis_cpu.unwrap(),
            cpu_seconds(std::process::id(), Share::Own).unwrap(),
        ];
        let cells = values.iter().map(|(_, value)| *value).chain(cpu);
        let cells: Vec<_> = cells.map(|value| format!("{value:.3}")).collect();
        self.append("system", &format!("{minute:.2},{}", cells.join(",")));
        for (name, value) in values {
            let series = self.samples.system.entry(name).or_default();
            series.push((minute, value));
        }
    }

    fn requests(&mut self, minute: f64) {
        for (kind, mut outcomes) in self.records.take() {
            let (p50, p99) = percentiles(&mut outcomes);
            let (count, failures) = (outcomes.times.len(), outcomes.failures);
            let row = format!("{minute:.2},{kind},{count},{p50:.2},{p99:.2},{failures}");
            self.append("requests", &row);
            let series = self.samples.slowest.entry(kind).or_default();
            series.push((minute, p99));
        }
    }
}

/// Appends a row to a CSV file of a folder.
pub fn append(folder: &Path, file: &str, row: &str) {
    let path = folder.join(format!("{file}.csv"));
    let file: std::io::Result<File> = OpenOptions::new().append(true).create(true).open(path);
    writeln!(file.unwrap(), "{row}").unwrap();
}

/// Returns the median and the 99th percentile (ms).
pub fn percentiles(outcomes: &mut Outcomes) -> (f64, f64) {
    if outcomes.times.is_empty() {
        return (0.0, 0.0);
    }
    outcomes.times.sort_unstable();
    let ms = |percent| percentile(&outcomes.times, percent).as_secs_f64() * 1000.0;
    (ms(50), ms(99))
}

/// Counts the open file descriptors of a process.
fn descriptors(id: u32) -> u32 {
    let open = fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten();
    open.count().try_into().unwrap()
}

/// What the files below a folder occupy; a file with several names counts once.
#[derive(Default)]
struct DiskUsage {
    bytes: u64,
    files: u32,
    seen: HashSet<u64>,
}

impl DiskUsage {
    fn add(&mut self, folder: &Path) {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries {
            // The program deletes files meanwhile.
            let Ok(found) = entry.metadata() else {
                continue;
            };
            if found.is_dir() {
                self.add(&entry.path());
                continue;
            }
            self.files += 1;
            if found.nlink() == 1 || self.seen.insert(found.ino()) {
                self.bytes += found.blocks() * 512;
            }
        }
    }
}

async fn redis_memory(url: &str) -> u64 {
    let client = Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let info: String = cmd("INFO")
        .arg("memory")
        .query_async(&mut connection)
        .await
        .unwrap();
    let used = info
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    used.unwrap().trim().parse().unwrap()
}

fn megabytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 1000).unwrap()) / 1000.0
}
