//! A relay in front of a server, so that a test can observe readers and break connections.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::AbortHandle,
};

use super::{RUNTIME, eventually};

const BUFFER_BYTES: usize = 64 * 1024;

/// The server behind a relay.
pub enum Target {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Forwards bytes until it is dropped.
pub struct Relay {
    pub address: SocketAddr,
    line: Arc<Line>,
    listening: AbortHandle,
}

/// State shared by the connections of a relay.
struct Line {
    target: Target,
    /// Bytes in every request that waits for a message.
    pattern: &'static [u8],
    waiting: AtomicUsize,
    /// Whether connections are forwarded. Any change, or dropping the relay, breaks existing ones.
    is_open: watch::Sender<bool>,
}

impl Relay {
    /// Starts a relay to `target`. `pattern` identifies requests that wait for a message; it may be
    /// empty.
    pub async fn start(target: Target, pattern: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let line = Arc::new(Line {
            target,
            pattern: pattern.as_bytes(),
            waiting: AtomicUsize::new(0),
            is_open: watch::Sender::new(true),
        });
        let listening = RUNTIME.spawn(listen(listener, Arc::clone(&line)));
        Self {
            address,
            line,
            listening: listening.abort_handle(),
        }
    }

    /// Waits until a client waits for a message.
    pub async fn until_read(&self) {
        eventually("a reader waits", 60, async || {
            self.line.waiting.load(Ordering::SeqCst) > 0
        })
        .await;
    }

    /// Breaks every connection. New ones are forwarded.
    pub fn cut(&self) {
        self.line.is_open.send_replace(true);
    }

    /// Breaks every connection and accepts no new one, as if the server were unavailable.
    pub fn close(&self) {
        self.line.is_open.send_replace(false);
    }

    /// Forwards connections again.
    pub fn open(&self) {
        self.line.is_open.send_replace(true);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.listening.abort();
        self.close();
    }
}

async fn listen(listener: TcpListener, line: Arc<Line>) {
    while let Ok((client, _)) = listener.accept().await {
        let line = Arc::clone(&line);
        RUNTIME.spawn(async move { line.carry(client).await });
    }
}

impl Line {
    /// Forwards one connection until either side closes it or the relay changes.
    async fn carry(&self, client: TcpStream) {
        let mut changes = self.is_open.subscribe();
        if !*changes.borrow_and_update() {
            return;
        }
        let is_broken = changes.clone();
        let is_broken = || is_broken.has_changed().unwrap_or(true);
        let carried = async {
            match &self.target {
                Target::Tcp(address) => {
                    let server = TcpStream::connect(address).await?;
                    self.pass(client, server, is_broken).await
                }
                Target::Unix(path) => {
                    let server = UnixStream::connect(path).await?;
                    self.pass(client, server, is_broken).await
                }
            }
        };
        tokio::select! {
            // Either side may close or break it.
            _ended = carried => {}
            _changed = changes.changed() => {}
        }
    }

    /// Checks `is_broken` after each read, because a client that breaks a connection and then sends
    /// must not reach the server even if the relay has not noticed yet.
    async fn pass(
        &self,
        mut client: TcpStream,
        mut server: impl AsyncRead + AsyncWrite + Unpin,
        is_broken: impl Fn() -> bool,
    ) -> std::io::Result<()> {
        client.set_nodelay(true)?;
        let (mut asked, mut answered) = (vec![0; BUFFER_BYTES], vec![0; BUFFER_BYTES]);
        let mut waits = None;
        loop {
            tokio::select! {
                length = client.read(&mut asked) => match length? {
                    0 => return Ok(()),
                    _ if is_broken() => return Ok(()),
                    length => {
                        server.write_all(&asked[..length]).await?;
                        if has(&asked[..length], self.pattern) {
                            waits = Some(Waits::begin(&self.waiting));
                        }
                    }
                },
                length = server.read(&mut answered) => match length? {
                    0 => return Ok(()),
                    length => {
                        drop(waits.take());
                        client.write_all(&answered[..length]).await?;
                    }
                },
            }
        }
    }
}

/// Counts as waiting until dropped.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn has(bytes: &[u8], pattern: &[u8]) -> bool {
    !pattern.is_empty() && bytes.windows(pattern.len()).any(|window| window == pattern)
}
