//! A bad mobile link: a TCP relay with a rate, a delay and resets. It counts what clients send.

use std::{
    future::pending,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{mpsc, watch},
    task::AbortHandle,
    time::{Instant, sleep, sleep_until},
};

use super::RUNTIME;

/// Unit of forwarding (bytes).
const PIECE_BYTES: usize = 16 * 1024;

/// Number of pieces that may wait beyond those that the delay holds. A link has a small buffer: if
/// the server reads too slowly, the client must notice.
const SPARE_PIECES: usize = 16;

/// Maximum time that is made up for after a late timer, so that the rate is exact.
const SLACK: Duration = Duration::from_millis(20);

/// Properties of a link. The default is fast and reliable.
#[derive(Debug, Clone, Default)]
pub struct Quality {
    /// Rate of each direction, shared by all connections (bytes per second); none without a limit.
    pub rate: Option<u32>,
    /// Round-trip time. Without a rate the delay reduces the throughput.
    pub round_trip: Duration,
    /// Round trips before a new connection carries bytes: one for TCP, another one for TLS 1.3.
    pub handshakes: u32,
    pub resets: Resets,
}

/// Numbers of bytes sent by clients, over all connections, after which the link breaks.
#[derive(Debug, Clone, Default)]
pub enum Resets {
    #[default]
    Never,
    /// After every so many bytes.
    Every(u64),
    /// After each of these numbers, which ascend.
    At(Vec<u64>),
}

impl Resets {
    /// Returns the number of bytes, larger than `sent`, after which the next reset follows.
    fn after(&self, sent: u64) -> Option<u64> {
        match self {
            Self::Never => None,
            Self::Every(bytes) => Some(sent + bytes),
            Self::At(offsets) => offsets.iter().copied().find(|offset| *offset > sent),
        }
    }
}

/// Forwards connections until it is dropped.
pub struct Link {
    pub address: SocketAddr,
    line: Arc<Line>,
    listening: AbortHandle,
}

/// State shared by the connections of a link.
struct Line {
    target: SocketAddr,
    quality: Quality,
    up: Lane,
    down: Lane,
    sent: AtomicU64,
    resets: AtomicU64,
    next_reset: Mutex<Option<u64>>,
    /// A change breaks every connection.
    breaks: watch::Sender<()>,
}

/// One direction of a link: the time when it has carried everything so far.
struct Lane(Mutex<Instant>);

impl Link {
    /// Starts a link to the server at `url`.
    pub async fn to(url: &str, quality: Quality) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let target = url.strip_prefix("http://").unwrap();
        let line = Arc::new(Line {
            target: target.parse().unwrap(),
            up: Lane::new(),
            down: Lane::new(),
            sent: AtomicU64::new(0),
            resets: AtomicU64::new(0),
            next_reset: Mutex::new(quality.resets.after(0)),
            breaks: watch::Sender::new(()),
            quality,
        });
        let listening = RUNTIME.spawn(listen(listener, Arc::clone(&line)));
        Self {
            address,
            line,
            listening: listening.abort_handle(),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the number of bytes that clients sent, with the heads of their requests.
    pub fn sent(&self) -> u64 {
        self.line.sent.load(Ordering::SeqCst)
    }

    /// Returns the number of resets so far.
    pub fn resets(&self) -> u64 {
        self.line.resets.load(Ordering::SeqCst)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.listening.abort();
        self.line.breaks.send_replace(());
    }
}

async fn listen(listener: TcpListener, line: Arc<Line>) {
    while let Ok((client, _)) = listener.accept().await {
        let line = Arc::clone(&line);
        RUNTIME.spawn(async move { drop(line.carry(client).await) });
    }
}

impl Line {
    /// Forwards one connection until both sides have closed it. If it ends otherwise, both sides
    /// see a reset.
    async fn carry(&self, mut client: TcpStream) -> io::Result<()> {
        let mut breaks = self.breaks.subscribe();
        sleep(self.quality.round_trip * self.quality.handshakes).await;
        let mut server = match TcpStream::connect(self.target).await {
            Ok(server) => server,
            Err(error) => {
                client.set_zero_linger()?;
                return Err(error);
            }
        };
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let passed = {
            let (from_client, to_client) = client.split();
            let (from_server, to_server) = server.split();
            let both = async {
                tokio::try_join!(
                    self.pass(from_client, to_server, &self.up),
                    self.pass(from_server, to_client, &self.down),
                )
            };
            tokio::select! {
                passed = both => passed.map(drop),
                _changed = breaks.changed() => Err(io::ErrorKind::ConnectionReset.into()),
            }
        };
        if passed.is_err() {
            client.set_zero_linger()?;
            server.set_zero_linger()?;
        }
        passed
    }

    /// Forwards one direction of a connection, with the rate of its lane and half the delay.
    async fn pass(
        &self,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
        lane: &Lane,
    ) -> io::Result<()> {
        let (queue, mut delayed) = mpsc::channel(self.queue_pieces());
        let read = async move {
            loop {
                let mut piece = vec![0; PIECE_BYTES];
                let length = from.read(&mut piece).await?;
                if length == 0 {
                    return io::Result::Ok(());
                }
                piece.truncate(length);
                if let Some(rate) = self.quality.rate {
                    sleep_until(lane.take(length, rate)).await;
                }
                if std::ptr::eq(lane, &raw const self.up) && self.count(length) {
                    // The connection ends now.
                    pending::<()>().await;
                }
                let due = Instant::now() + self.quality.round_trip / 2;
                if queue.send((due, piece)).await.is_err() {
                    return Ok(());
                }
            }
        };
        let write = async {
            while let Some((due, piece)) = delayed.recv().await {
                sleep_until(due).await;
                to.write_all(&piece).await?;
            }
            to.shutdown().await
        };
        tokio::try_join!(read, write).map(drop)
    }

    /// Returns how many pieces are on their way in one direction.
    fn queue_pieces(&self) -> usize {
        let rate = u128::from(self.quality.rate.unwrap_or_default());
        let bytes = rate * self.quality.round_trip.as_millis() / 2 / 1000;
        usize::try_from(bytes).unwrap() / PIECE_BYTES + SPARE_PIECES
    }

    /// Counts bytes of a client. Returns whether the link breaks at them.
    fn count(&self, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).unwrap();
        let sent = self.sent.fetch_add(bytes, Ordering::SeqCst) + bytes;
        let mut next = self.next_reset.lock().unwrap();
        let is_due = next.is_some_and(|next| sent >= next);
        if is_due {
            *next = self.quality.resets.after(sent);
            self.resets.fetch_add(1, Ordering::SeqCst);
            self.breaks.send_replace(());
        }
        is_due
    }
}

impl Lane {
    fn new() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    /// Returns when the lane has carried another `bytes`.
    fn take(&self, bytes: usize, rate: u32) -> Instant {
        let mut free = self.0.lock().unwrap();
        let bytes = u32::try_from(bytes).unwrap();
        let since = Instant::now().checked_sub(SLACK).unwrap();
        *free = (*free).max(since) + Duration::from_secs(1) * bytes / rate;
        *free
    }
}
