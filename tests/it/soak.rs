//! `make soak`: an hour of what people do, all at once. In the middle a worker is killed, at two
//! thirds the APIs restart one after the other. No request may fail, nothing may be lost, and
//! neither memory nor file descriptors may grow. `docs/performance.md` has the outcome.

mod balancer;
mod browser;
mod people;
mod players;
mod records;
mod samples;
mod stage;
mod verdict;
mod world;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rand::{SeedableRng as _, rngs::StdRng};
use tokio::{
    task::JoinSet,
    time::{Instant, interval, interval_at, sleep_until},
};

use self::{
    records::Records,
    samples::{Sampler, append},
    stage::{Crew, ORGANISERS, PLAYERS, Stage, organiser, player},
    verdict::{compare, print_requests, print_slopes},
    world::World,
};
use crate::support::draw;

/// Number of people of each kind.
const READERS: usize = 30;
const WATCHERS: usize = 6;
const VOTERS: usize = 14;

/// Minutes from which on the growth is judged. A shorter run is still warming up.
const MIN_JUDGED: u32 = 30;

/// Number of samples of a short run; a long one takes one each minute.
const MIN_SAMPLES: u32 = 20;

/// Time between two looks at the memory of the processes.
const GLANCE: Duration = Duration::from_secs(2);

/// Maximum number of log lines that are printed.
const MAX_COMPLAINTS: usize = 50;

/// Where the CSV files are written, of which `tests/load/soak.py` draws the plots.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.anb/soak");

/// Size of a run.
#[derive(Debug, Clone, Copy)]
struct Size {
    minutes: u32,
    /// Number of seeded videos.
    videos: u32,
    /// Mean pause of a player between two uploads (s).
    upload_pause: u32,
}

impl Size {
    /// Reads `SOAK_MINUTES`, `SOAK_VIDEOS` and `SOAK_UPLOAD_PAUSE`.
    fn from_environment() -> Self {
        let number = |name, default| match std::env::var(name) {
            Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text}")),
            Err(_) => default,
        };
        Self {
            minutes: number("SOAK_MINUTES", 60),
            videos: number("SOAK_VIDEOS", 20_000),
            upload_pause: number("SOAK_UPLOAD_PAUSE", 45),
        }
    }

    fn length(self) -> Duration {
        Duration::from_mins(self.minutes.into())
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes an hour: make soak"]
async fn mixed_load_fails_no_request_and_leaks_nothing() {
    let size = Size::from_environment();
    println!("{size:?}");
    let folder = PathBuf::from(FOLDER);
    fs::create_dir_all(&folder).unwrap();
    // Two seconds of 4 MB, so that an upload over a mobile link takes several.
    let film = draw(
        "-f lavfi -i testsrc2=size=1280x720:rate=30:duration=2 -f lavfi -i sine=440 -shortest \
         -c:v libx264 -preset ultrafast -crf 4 -pix_fmt yuv420p",
        "film.mp4",
    )
    .await;
    let (stage, mut crew) = Box::pin(Stage::open(size.videos, &film)).await;
    let videos = "SELECT id::text AS text FROM videos WHERE is_public ORDER BY votes DESC, id";
    let videos = stage.column(videos).await;
    let records = Records::new(&folder);
    let world = World::new(stage.balancer.url(), records, videos, film);
    let world = Arc::new(world);
    fs::write(folder.join("events.csv"), "minute,event\n").unwrap();

    let mut sampler = Sampler::new(&stage, &world.records, &folder);
    sampler.take().await;
    let crowd = people(&world, size);
    let sampling = sample(&mut sampler, &world, size);
    let interruptions = interrupt(&stage, &mut crew, &world, &folder, size);
    tokio::join!(crowd, sampling, interruptions);
    sampler.take().await;
    crew.assert_running();

    let mut wrong = compare(&stage, &world.records).await;
    print_requests(world.records.totals());
    let growth = print_slopes(&sampler.samples, f64::from(size.minutes));
    for (what, count) in world.records.counts() {
        println!("{count} {what}");
    }
    if size.minutes >= MIN_JUDGED {
        wrong.extend(growth);
    }
    wrong.extend(world.records.failures());
    drop(sampler);
    crew.stop().await;
    let complaints = stage.complaints();
    println!("{} warnings and errors in the logs", complaints.len());
    for line in complaints.iter().take(MAX_COMPLAINTS) {
        println!("    {line}");
    }
    let Stage { services, .. } = stage;
    services.stop().await;
    println!("{} failures", wrong.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Lets everybody do what they do until the soak is over.
async fn people(world: &Arc<World>, size: Size) {
    let mut crowd = JoinSet::new();
    let mut seed = 0;
    let mut guest = || {
        seed += 1;
        (Arc::clone(world), StdRng::seed_from_u64(seed))
    };
    for _ in 0..READERS {
        let (world, rng) = guest();
        crowd.spawn(async move { people::read(&world, rng).await });
    }
    for _ in 0..WATCHERS {
        let (world, rng) = guest();
        crowd.spawn(async move { people::watch(&world, rng).await });
    }
    for _ in 0..VOTERS {
        let (world, rng) = guest();
        crowd.spawn(async move { people::vote(&world, rng).await });
    }
    for number in 0..ORGANISERS {
        let (world, rng) = guest();
        let share = (number, ORGANISERS);
        let email = organiser(number);
        crowd.spawn(async move { people::organise(&world, &email, share, rng).await });
    }
    for number in 0..PLAYERS {
        let (world, rng) = guest();
        let pause = Duration::from_secs(size.upload_pause.into());
        crowd.spawn(async move { players::play(&world, &player(number), pause, rng).await });
    }
    crowd.join_all().await;
}

/// Takes a sample each minute until the soak is over.
async fn sample(sampler: &mut Sampler<'_>, world: &World, size: Size) {
    let period = (size.length() / MIN_SAMPLES).min(Duration::from_mins(1));
    let mut due = interval_at(Instant::now() + period, period);
    let mut glance = interval(GLANCE);
    loop {
        tokio::select! {
            _now = glance.tick() => sampler.glance(),
            _now = due.tick() => sampler.take().await,
            () = world.over.cancelled() => return,
        }
    }
}

/// Kills a worker in the middle, restarts the APIs at two thirds, and ends the soak.
async fn interrupt(stage: &Stage, crew: &mut Crew, world: &World, folder: &Path, size: Size) {
    let begun = Instant::now();
    let note = |event: &str| {
        let row = format!("{:.2},{event}", world.records.minutes());
        println!("{row}");
        append(folder, "events", &row);
    };
    sleep_until(begun + size.length() / 2).await;
    crew.kill_a_worker(stage, &note).await;
    sleep_until(begun + size.length() * 2 / 3).await;
    note("the APIs restart");
    crew.restart_apis(stage).await;
    note("the APIs have restarted");
    sleep_until(begun + size.length()).await;
    note("end");
    world.over.cancel();
}
