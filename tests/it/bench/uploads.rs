//! Uploads next to what the machine can do at most.

use std::{
    fs::File,
    io::{Read as _, Write as _},
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
use tokio::process::Command;

use super::arena::Arena;
use crate::{processes::process::Role, support::mp4};

/// Measures `count` uploads at once: beside `dd`, and beside the least that receives and syncs a file.
pub async fn measure(arena: &Arena, token: &str, count: usize, megabytes: usize) -> String {
    let total = f64::from(u32::try_from(count * megabytes).unwrap());
    let folder = tempfile::tempdir_in(arena.house.folder()).unwrap();
    let begun = Instant::now();
    join_all((0..count).map(|number| dd(folder.path(), number, megabytes))).await;
    let plain = total / begun.elapsed().as_secs_f64();
    let receiver = receiver(folder.path().to_owned(), count);
    let film = Bytes::from(mp4(megabytes * 1_000_000));
    let begun = Instant::now();
    join_all((0..count).map(|_| upload(&receiver, token, film.clone()))).await;
    let least = total / begun.elapsed().as_secs_f64();
    drop(folder);

    let mut process = arena.start(Role::Serve);
    process.until_ready().await;
    let idle = process.memory("VmRSS");
    let (begun, cpu) = (Instant::now(), process.cpu_seconds());
    let url = &process.url;
    join_all((0..count).map(|_| upload(url, token, film.clone()))).await;
    let rate = total / begun.elapsed().as_secs_f64();
    let cpu = (process.cpu_seconds() - cpu) / f64::from(u32::try_from(count).unwrap());
    let above = process.memory("VmHWM").saturating_sub(idle) / 1_000_000;
    format!(
        "| {count} uploads of {megabytes} MB at once / plain receiver / `dd conv=fsync` | {rate:.0} / {least:.0} / \
         {plain:.0} MB/s: {:.2} × and {:.2} ×; CPU {cpu:.2} s each; {above} MB over idle |",
        rate / least,
        rate / plain
    )
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

/// Starts a server that takes `count` requests, writes what arrives into files and syncs them. Returns its address.
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
    format!("http://{address}")
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

/// Returns how much of the body is missing, once the head is complete.
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
