//! Upload throughput, compared with the maximum of the machine.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

use actix_web::web::Bytes;
use futures_util::future::join_all;
use reqwest::{
    Body, Client,
    multipart::{Form, Part},
};
use rustix::fs::sendfile;
use tokio::{process::Command, task::spawn_blocking};

use super::{
    arena::Arena,
    moments::{Size, middle},
};
use crate::{processes::process::Role, support::mp4};

/// Maximum number of bytes per `sendfile` call.
const CHUNK: usize = 1 << 30;

/// Boundary of the multipart form.
const BOUNDARY: &str = "anb-bench";

/// Results of one round (MB/s).
#[derive(Default)]
struct Round {
    dd: f64,
    receiver: f64,
    api: f64,
    /// CPU time per upload (s).
    cpu: f64,
    /// Peak memory above idle (bytes).
    above: u64,
}

/// Compares `count` concurrent uploads with `dd` and with a minimal server that syncs its files.
pub async fn measure(arena: &Arena, token: &str, count: usize, size: &Size) -> String {
    let megabytes = size.megabytes;
    let mut rounds = Vec::new();
    for turn in 0..size.rounds {
        rounds.push(round(arena, token, count, megabytes, turn).await);
    }
    let Round {
        dd,
        receiver,
        api,
        cpu,
        above,
    } = middle(rounds, |round| round.api / round.dd);
    format!(
        "| {count} uploads of {megabytes} MB at once / plain receiver / `dd conv=fsync` | \
         {api:.0} / {receiver:.0} / {dd:.0} MB/s: {:.2} × and {:.2} ×; CPU {cpu:.2} s each; {} MB over idle |",
        api / receiver,
        api / dd,
        above / 1_000_000
    )
}

/// Runs the three one after the other. Who begins changes with `turn`, and each begins without the
/// files of the others: whoever fills the page cache last would wait for memory.
async fn round(arena: &Arena, token: &str, count: usize, megabytes: usize, turn: usize) -> Round {
    let total = f64::from(u32::try_from(count * megabytes).unwrap());
    let folder = tempfile::tempdir_in(arena.system.folder()).unwrap();
    let form = folder.path().join("form");
    fs::write(&form, film_form(megabytes * 1_000_000)).unwrap();
    File::open(&form).unwrap().sync_all().unwrap();

    let mut round = Round::default();
    for place in 0..3 {
        let files = tempfile::tempdir_in(folder.path()).unwrap();
        match (turn + place) % 3 {
            0 => {
                let begun = Instant::now();
                join_all((0..count).map(|number| dd(files.path(), number, megabytes))).await;
                round.dd = total / begun.elapsed().as_secs_f64();
            }
            1 => {
                let receiver = receiver(files.path().to_owned(), count);
                let begun = Instant::now();
                send_all(&receiver, token, &form, count).await;
                round.receiver = total / begun.elapsed().as_secs_f64();
            }
            _ => {
                let mut process = arena.start(Role::Serve);
                process.until_ready().await;
                let address = process.url.strip_prefix("http://").unwrap().to_owned();
                let idle = process.memory("VmRSS");
                let (begun, cpu) = (Instant::now(), process.cpu_seconds());
                send_all(&address, token, &form, count).await;
                round.api = total / begun.elapsed().as_secs_f64();
                let count = f64::from(u32::try_from(count).unwrap());
                round.cpu = (process.cpu_seconds() - cpu) / count;
                round.above = process.memory("VmHWM").saturating_sub(idle);
                for film in fs::read_dir(arena.system.folder().join("uploads")).unwrap() {
                    let film = film.unwrap().path();
                    if film.extension().is_some_and(|kind| kind == "mp4") {
                        fs::remove_file(film).unwrap();
                    }
                }
            }
        }
    }
    round
}

async fn dd(folder: &Path, number: usize, megabytes: usize) {
    #[expect(clippy::disallowed_methods, reason = "tests start programs")]
    let mut dd = Command::new("dd");
    let file = folder.join(number.to_string());
    dd.arg(format!("of={}", file.display()))
        .arg(format!("count={megabytes}"))
        .args(["if=/dev/zero", "bs=1000000", "conv=fsync"]);
    let output = dd.output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Returns a form with a film of the given size.
pub fn film_form(bytes: usize) -> Vec<u8> {
    let title = "content-disposition: form-data; name=\"title\"\r\n\r\nMi mejor jugada";
    let film =
        "content-disposition: form-data; name=\"video_file\"; filename=\"jugada.mp4\"\r\n\r\n";
    let head = format!("--{BOUNDARY}\r\n{title}\r\n--{BOUNDARY}\r\n{film}");
    let end = format!("\r\n--{BOUNDARY}--\r\n");
    [head.as_bytes(), &mp4(bytes), end.as_bytes()].concat()
}

/// Uploads the same form `count` times concurrently.
pub async fn send_all(address: &str, token: &str, form: &Path, count: usize) {
    let all = (0..count).map(|_| {
        let (address, token, form) = (address.to_owned(), token.to_owned(), form.to_owned());
        spawn_blocking(move || send(&address, &token, &form).unwrap())
    });
    for sent in join_all(all).await {
        sent.unwrap();
    }
}

/// Uploads a form with `sendfile`, which saves CPU time by avoiding a copy. A real client, such as
/// a phone, does not use the server's CPU either.
fn send(address: &str, token: &str, form: &Path) -> io::Result<()> {
    let form = File::open(form)?;
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "POST /api/videos/upload HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\
         content-type: multipart/form-data; boundary={BOUNDARY}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        form.metadata()?.len()
    )?;
    while sendfile(&stream, &form, None, CHUNK)? > 0 {}
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    Ok(())
}

/// Starts a server that writes `count` requests to files and syncs them. Returns its address.
fn receiver(folder: PathBuf, count: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for number in 0..count {
            let (stream, _) = listener.accept().unwrap();
            let file = File::create(folder.join(number.to_string())).unwrap();
            thread::spawn(move || receive(stream, file));
        }
    });
    address.to_string()
}

fn receive(mut stream: TcpStream, mut file: File) {
    let mut buffer = vec![0; 256 * 1024];
    let (mut head, mut missing) = (Vec::new(), None);
    while missing != Some(0) {
        let length = stream.read(&mut buffer).unwrap();
        file.write_all(&buffer[..length]).unwrap();
        if let Some(missing) = &mut missing {
            *missing -= length;
            continue;
        }
        head.extend_from_slice(&buffer[..length]);
        missing = body_length(&head);
    }
    file.sync_all().unwrap();
    let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    stream.write_all(answer).unwrap();
}

/// Returns the number of missing body bytes, once the head is complete.
fn body_length(bytes: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
    let (head, _) = text.split_once("\r\n\r\n")?;
    let (_, length) = head.split_once("content-length: ").unwrap();
    let length: usize = length.lines().next().unwrap().parse().unwrap();
    Some(length - (bytes.len() - head.len() - 4))
}

pub async fn upload(url: &str, token: &str, film: Bytes) {
    let length = u64::try_from(film.len()).unwrap();
    let part = Part::stream_with_length(Body::from(film), length).file_name("jugada.mp4");
    let form = Form::new()
        .text("title", "Mi mejor jugada")
        .part("video_file", part);
    let request = Client::new().post(format!("{url}/api/videos/upload"));
    let answer = request.bearer_auth(token).multipart(form).send().await;
    answer.unwrap().error_for_status().unwrap();
}
