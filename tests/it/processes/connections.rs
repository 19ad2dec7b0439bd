//! Strangers who open connections and say nothing.

use reqwest::Method;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    house,
    process::{House, Process, Role},
};
use crate::support::{Answer, eventually};

/// More than the processes here may have files open.
const STRANGERS: usize = 300;

#[tokio::test]
async fn the_soft_limit_of_open_files_is_raised_to_the_hard_one() {
    let mut house = House::bare().await;
    house.run("migrate").await;
    house.limit_open_files(64, 1024);
    let mut serve = house.start(Role::Serve);
    serve.until_ready().await;
    let log = serve.log();
    assert!(log.contains("raised the limit of open files"), "{log}");
    assert!(log.contains("soft=64 hard=1024"), "{log}");
    let _strangers = strangers(&serve).await;
    eventually("the API answers", 60, async || {
        serve.get("/ready").await.status() == 200
    })
    .await;
}

#[tokio::test]
async fn idle_connections_keep_nobody_out() {
    let (mut app, mut house) = house().await;
    house.limit_open_files(64, 256);
    let mut serve = house.start(Role::Serve);
    serve.until_ready().await;
    app.url.clone_from(&serve.url);
    // A client whose request is not answered yet.
    let mut busy = connect(&serve).await;
    let head = "POST /api/auth/login HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n\
                content-length: 2\r\nexpect: 100-continue\r\n\r\n";
    busy.write_all(head.as_bytes()).await.unwrap();
    // The server has read the head.
    let mut start = [0; 25];
    busy.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 100 Continue\r\n\r\n");

    let mut strangers = strangers(&serve).await;
    eventually("a client is answered", 60, async || {
        reqwest::get(format!("{}/ready", serve.url))
            .await
            .is_ok_and(|answer| answer.status() == 200)
    })
    .await;
    let answer = Answer::of(app.request(Method::GET, "/api/public/videos")).await;
    assert_eq!(answer.status, 200);

    busy.write_all(b"{}").await.unwrap();
    let mut start = [0; 10];
    busy.read_exact(&mut start).await.unwrap();
    // 400, or 408 on a machine that was busy for long.
    assert_eq!(&start, b"HTTP/1.1 4");
    let first = strangers.first_mut().unwrap();
    assert_eq!(first.read(&mut [0]).await.unwrap_or(0), 0, "it is closed");
}

async fn connect(process: &Process) -> TcpStream {
    let address = process.url.strip_prefix("http://").unwrap();
    TcpStream::connect(address).await.unwrap()
}

/// Opens connections that say nothing.
async fn strangers(process: &Process) -> Vec<TcpStream> {
    let mut strangers = Vec::new();
    for _ in 0..STRANGERS {
        strangers.push(connect(process).await);
    }
    strangers
}
