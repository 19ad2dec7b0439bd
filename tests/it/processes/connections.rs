//! Clients that open connections and send nothing.

use reqwest::Method;
use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    STOP,
    process::{Process, Role, SystemUnderTest},
    system,
};
use crate::support::{Response, eventually, read};

/// Maximum size of a request's head in Actix (bytes).
const MAX_HEAD: usize = 131_072;

/// Number of idle connections, more than the file limits of the processes here.
const IDLE_CONNECTIONS: usize = 300;

#[tokio::test]
async fn soft_limit_of_open_files_is_raised_to_the_hard_limit() {
    let mut system = SystemUnderTest::bare().await;
    system.run("migrate").await;
    system.limit_open_files(64, 1024);
    let mut serve = system.start(Role::Serve);
    serve.until_ready().await;
    let log = serve.log();
    assert!(log.contains("raised the limit of open files"), "{log}");
    assert!(log.contains("soft=64 hard=1024"), "{log}");
    let _idle = open_idle(&serve).await;
    eventually("the API responds", 60, async || {
        serve.get("/ready").await.status() == 200
    })
    .await;
}

#[tokio::test]
async fn idle_connections_do_not_block_other_clients() {
    let (mut app, mut system) = system().await;
    system.limit_open_files(64, 256);
    let mut serve = system.start(Role::Serve);
    serve.until_ready().await;
    app.url.clone_from(&serve.url);
    // A client with an unanswered request.
    let mut busy = connect(&serve).await;
    let head = "POST /api/auth/login HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n\
                content-length: 2\r\nexpect: 100-continue\r\n\r\n";
    busy.write_all(head.as_bytes()).await.unwrap();
    // The server has read the head.
    let mut start = [0; 25];
    busy.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 100 Continue\r\n\r\n");

    let mut idle = open_idle(&serve).await;
    eventually("a client gets a response", 60, async || {
        reqwest::get(format!("{}/ready", serve.url))
            .await
            .is_ok_and(|answer| answer.status() == 200)
    })
    .await;
    let answer = Response::of(app.request(Method::GET, "/api/public/videos")).await;
    assert_eq!(answer.status, 200);

    busy.write_all(b"{}").await.unwrap();
    let mut start = [0; 10];
    busy.read_exact(&mut start).await.unwrap();
    // 400, or 408 on a busy machine.
    assert_eq!(&start, b"HTTP/1.1 4");
    let first = idle.first_mut().unwrap();
    assert_eq!(first.read(&mut [0]).await.unwrap_or(0), 0, "not closed");
}

#[tokio::test]
async fn malformed_heads_are_rejected_without_an_error_in_the_log() {
    let system = SystemUnderTest::bare().await;
    system.run("migrate").await;
    let mut serve = system.start(Role::Serve);
    serve.until_ready().await;
    // Nothing stays unread, which would reset the connection.
    let mut large = "GET / HTTP/1.1\r\nx-large: ".to_owned();
    large += &"a".repeat(MAX_HEAD - large.len());
    for (head, status) in [
        ("GET / HTTP/1.1\r\nx-bad: a\u{1}b\r\n\r\n", "400"),
        ("nonsense\r\n\r\n", "400"),
        (&large, "431"),
    ] {
        let mut connection = connect(&serve).await;
        connection.write_all(head.as_bytes()).await.unwrap();
        let answer = read(&mut connection).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("content-length: 0"), "{answer}");
        assert_eq!(body, "");
    }
    serve.signal(Signal::TERM);
    assert_eq!(serve.ended(STOP).await, Some(0));
    let log = serve.log();
    assert!(!log.contains("ERROR"), "{log}");
}

async fn connect(process: &Process) -> TcpStream {
    let address = process.url.strip_prefix("http://").unwrap();
    TcpStream::connect(address).await.unwrap()
}

async fn open_idle(process: &Process) -> Vec<TcpStream> {
    let mut connections = Vec::new();
    for _ in 0..IDLE_CONNECTIONS {
        connections.push(connect(process).await);
    }
    connections
}
