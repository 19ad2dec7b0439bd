//! Resumable uploads on loopback, compared with the form: rate, processor time and memory.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    time::Instant,
};

use futures_util::future::join_all;
use rustix::fs::sendfile;
use tokio::task::spawn_blocking;

use super::{
    arena::Arena,
    moments::middle,
    uploads::{film_form, send_all},
};
use crate::{
    processes::process::{Process, Role},
    support::{mp4, tus},
};

const MB: usize = 1_000_000;

/// Size of the films (MB).
const FILM_MB: usize = 100;

/// Number of rounds, whose median is reported.
const ROUNDS: usize = 9;

/// Number of concurrent uploads that show the memory.
const AT_ONCE: usize = 32;

/// The recommended size of a request (bytes).
const CHUNK: usize = 5 * 1024 * 1024;

/// Settings of the measured API: no limit is reached.
const UNLIMITED: [(&str, &str); 5] = [
    ("WRITE_RATE", "off"),
    ("MAX_OPEN_UPLOADS", "1000"),
    ("MAX_RESUMABLE_UPLOADS", "1000"),
    ("MAX_WAITING_VIDEOS", "60000"),
    ("RUST_BACKTRACE", "0"),
];

/// How a film is sent.
#[derive(Debug, Clone, Copy)]
enum Way {
    Form,
    /// One PATCH.
    Whole,
    /// Requests of [`CHUNK`] bytes over one connection.
    Chunks,
}

const WAYS: [(Way, &str); 3] = [
    (Way::Form, "form"),
    (Way::Whole, "one `PATCH`"),
    (Way::Chunks, "`PATCH`es of 5 MiB"),
];

struct Bench {
    arena: Arena,
    token: String,
    film: PathBuf,
    form: PathBuf,
}

/// What a number of concurrent uploads cost.
#[derive(Debug, Clone, Copy)]
struct Cost {
    seconds: f64,
    cpu: f64,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute: make bench-resume"]
async fn resumable_uploads_on_loopback() {
    let bench = Bench::open().await;
    println!("| {FILM_MB} MB on loopback | MB/s | × form | CPU of `serve` | × form |");
    println!("|---|---|---|---|---|");
    let mut serve = bench.start().await;
    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        let mut costs = [None; WAYS.len()];
        for step in 0..WAYS.len() {
            let place = (round + step) % WAYS.len();
            costs[place] = Some(bench.send(&serve, WAYS[place].0, 1).await);
        }
        // The first one warms up.
        if round > 0 {
            rounds.push(costs.map(Option::unwrap));
        }
    }
    let median = |value: &dyn Fn(&[Cost; 3]) -> f64| {
        let values: Vec<_> = rounds.iter().map(value).collect();
        middle(values, |value| *value)
    };
    let megabytes = f64::from(u32::try_from(FILM_MB).unwrap());
    for (place, (_, name)) in WAYS.iter().enumerate() {
        println!(
            "| {name} | {:.0} | {:.2} | {:.2} s | {:.2} |",
            median(&|costs| megabytes / costs[place].seconds),
            median(&|costs| costs[0].seconds / costs[place].seconds),
            median(&|costs| costs[place].cpu),
            median(&|costs| costs[place].cpu / costs[0].cpu),
        );
    }
    println!();
    println!("| {AT_ONCE} × {FILM_MB} MB at once | idle | peak | peak − idle | MB/s | CPU each |");
    println!("|---|---|---|---|---|---|");
    for (way, name) in WAYS {
        // A peak is that of the process so far.
        serve = bench.start().await;
        let idle = serve.memory("VmRSS");
        let Cost { seconds, cpu } = bench.send(&serve, way, AT_ONCE).await;
        let peak = serve.memory("VmHWM");
        let count = f64::from(u32::try_from(AT_ONCE).unwrap());
        println!(
            "| {name} | {} MB | {} MB | {} MB | {:.0} | {:.2} s |",
            idle / 1_000_000,
            peak / 1_000_000,
            peak.saturating_sub(idle) / 1_000_000,
            megabytes * count / seconds,
            cpu / count,
        );
    }
    drop(serve);
    bench.arena.close().await;
}

impl Bench {
    async fn open() -> Self {
        let arena = Arena::open(500).await;
        let [film, form] = ["film", "form"].map(|name| arena.system.folder().join(name));
        fs::write(&film, mp4(FILM_MB * MB)).unwrap();
        fs::write(&form, film_form(FILM_MB * MB)).unwrap();
        let token = arena.fans(1).await.concat();
        Self {
            arena,
            token,
            film,
            form,
        }
    }

    async fn start(&self) -> Process {
        let mut serve = self.arena.system.start_with(Role::Serve, &UNLIMITED);
        serve.until_ready().await;
        serve
    }

    /// Uploads `count` films at once, and removes them. The creation of uploads is not measured.
    async fn send(&self, serve: &Process, way: Way, count: usize) -> Cost {
        let address = serve.url.strip_prefix("http://").unwrap();
        let mut uploads = Vec::new();
        if !matches!(way, Way::Form) {
            for _ in 0..count {
                uploads.push(self.create(serve).await);
            }
        }
        let (begun, cpu) = (Instant::now(), serve.cpu_seconds());
        match way {
            Way::Form => send_all(address, &self.token, &self.form, count).await,
            Way::Whole => self.append_all(address, uploads, FILM_MB * MB).await,
            Way::Chunks => self.append_all(address, uploads, CHUNK).await,
        }
        let cost = Cost {
            seconds: begun.elapsed().as_secs_f64(),
            cpu: serve.cpu_seconds() - cpu,
        };
        self.remove_films(count);
        cost
    }

    /// Creates an upload. Returns its path.
    async fn create(&self, serve: &Process) -> String {
        let created = reqwest::Client::new()
            .post(format!("{}/api/uploads", serve.url))
            .bearer_auth(&self.token)
            .header("tus-resumable", "1.0.0")
            .header("upload-length", FILM_MB * MB)
            .header("upload-metadata", tus::metadata(&[("title", "Mi jugada")]))
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap();
        created.headers()["location"].to_str().unwrap().to_owned()
    }

    async fn append_all(&self, address: &str, uploads: Vec<String>, chunk: usize) {
        let all = uploads.into_iter().map(|upload| {
            let (address, token) = (address.to_owned(), self.token.clone());
            let film = self.film.clone();
            spawn_blocking(move || append(&address, &token, &upload, &film, chunk).unwrap())
        });
        for appended in join_all(all).await {
            appended.unwrap();
        }
    }

    /// Removes all stored films, of which there must be `count`.
    fn remove_films(&self, count: usize) {
        let uploads = self.arena.system.folder().join("uploads");
        let films = fs::read_dir(uploads).unwrap().map(|file| file.unwrap());
        let is_film = |file: &fs::DirEntry| {
            let length = file.metadata().unwrap().len();
            usize::try_from(length) == Ok(FILM_MB * MB)
        };
        let films: Vec<_> = films.filter(is_film).collect();
        assert_eq!(films.len(), count);
        for film in films {
            fs::remove_file(film.path()).unwrap();
        }
    }
}

/// Sends a film to an upload over one connection, with `sendfile` like [`super::uploads`].
fn append(address: &str, token: &str, upload: &str, film: &Path, chunk: usize) -> io::Result<()> {
    let length = FILM_MB * MB;
    let film = File::open(film)?;
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    for offset in (0..length).step_by(chunk) {
        let mut left = chunk.min(length - offset);
        write!(
            stream,
            "PATCH {upload} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\
             tus-resumable: 1.0.0\r\nupload-offset: {offset}\r\n\
             content-type: application/offset+octet-stream\r\ncontent-length: {left}\r\n\r\n",
        )?;
        while left > 0 {
            left -= sendfile(&stream, &film, None, left)?;
        }
        let answer = read_head(&mut stream)?;
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    }
    Ok(())
}

/// Reads the head of a response without a body.
fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.ends_with(b"\r\n\r\n") {
        let length = stream.read(&mut buffer)?;
        assert!(length > 0, "{}", String::from_utf8_lossy(&head));
        head.extend_from_slice(&buffer[..length]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
