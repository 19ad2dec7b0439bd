//! Open connections of clients. Their number is limited so that files remain for the database and
//! uploads. Before the limit is reached, the connections idle longest are closed, so that a client
//! with a thousand silent connections does not lock others out.

use std::{
    any::Any,
    collections::HashMap,
    net::{Shutdown, TcpStream},
    os::fd::AsFd as _,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Instant,
};

use actix_web::{
    Error,
    body::{BodySize, BoxBody, MessageBody},
    dev::{Extensions, ServiceRequest, ServiceResponse},
    middleware::Next,
    web::Bytes,
};

use crate::metric;

/// Files and sockets of the queue, listeners and logs. The database's are counted separately.
const RESERVED: usize = 96;

/// Files per connection: its socket, a handle that closes it while idle, and a file in transfer.
const FILES_EACH: usize = 3;

/// Maximum number of connections: actix-web's own limit for each of its threads.
const MAX_CONNECTIONS: usize = 25_000;

/// Minimum number of connections, whatever the limit of open files.
const MIN_CONNECTIONS: usize = 16;

/// The open connections of a server. Cheap to clone; clones share state.
#[derive(Clone)]
pub struct Connections {
    inner: Arc<Inner>,
}

struct Inner {
    max: usize,
    last_id: AtomicU64,
    open: Mutex<HashMap<u64, Arc<State>>>,
}

/// One connection, stored in its actix-web connection data and dropped when it is closed.
struct Connection {
    id: u64,
    state: Arc<State>,
    connections: Connections,
}

struct State {
    /// A duplicated handle, so that its descriptor is not reused by another connection.
    socket: TcpStream,
    phase: Mutex<Phase>,
}

/// State of a connection.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Waiting for a request since this time.
    Idle(Instant),
    /// Number of requests that are not completely answered.
    Overloaded(usize),
    /// Closed by the server, about to be removed.
    Closed,
}

impl Connections {
    /// Creates the registry, limited to what `open_files` allow in addition to `others`.
    pub fn new(open_files: usize, others: usize) -> Self {
        let free = open_files.saturating_sub(RESERVED + others);
        Self {
            inner: Arc::new(Inner {
                max: (free / FILES_EACH).clamp(MIN_CONNECTIONS, MAX_CONNECTIONS),
                last_id: AtomicU64::new(0),
                open: Mutex::default(),
            }),
        }
    }

    pub fn most(&self) -> usize {
        self.inner.max
    }

    /// Registers a new connection; for [`actix_web::HttpServer::on_connect`].
    pub fn opened(&self, socket: &dyn Any, data: &mut Extensions) {
        let Some(socket) = socket.downcast_ref::<tokio::net::TcpStream>() else {
            return;
        };
        // Without a free file it cannot be registered, but closing idle connections still helps.
        let handle = socket.as_fd().try_clone_to_owned();
        let id = self.inner.last_id.fetch_add(1, Ordering::Relaxed);
        if let Ok(handle) = handle {
            let state = Arc::new(State {
                socket: handle.into(),
                phase: Mutex::new(Phase::Idle(Instant::now())),
            });
            self.open().insert(id, Arc::clone(&state));
            data.insert(Connection {
                id,
                state,
                connections: self.clone(),
            });
        }
        self.close_idle(id);
    }

    /// Closes a sixteenth of all connections when nine tenths of the maximum are open: those idle
    /// longest, but never the newest.
    fn close_idle(&self, newest: u64) {
        let open = self.open();
        let max = self.inner.max;
        if open.len() < max - max / 10 {
            return;
        }
        let others = open.iter().filter(|(id, _)| **id != newest);
        let mut idle: Vec<_> = others
            .filter_map(|(_, state)| match *state.phase() {
                Phase::Idle(since) => Some((since, state)),
                Phase::Overloaded(_) | Phase::Closed => None,
            })
            .collect();
        idle.sort_unstable_by_key(|(since, _)| *since);
        let closed = idle
            .iter()
            .take((max / 16).max(1))
            .filter(|(_, state)| state.close_if_idle())
            .count();
        metrics::counter!(metric::HTTP_IDLE_CONNECTIONS_CLOSED)
            .increment(u64::try_from(closed).unwrap_or(u64::MAX));
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<State>>> {
        self.inner
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.open().remove(&self.id);
    }
}

impl State {
    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shuts the socket down in both directions, which the server's thread sees as a disconnect.
    fn close_if_idle(&self) -> bool {
        let mut phase = self.phase();
        let Phase::Idle(_) = *phase else { return false };
        *phase = Phase::Closed;
        // The client may have closed it already.
        self.socket.shutdown(Shutdown::Both).is_ok()
    }

    fn begin(&self) {
        let mut phase = self.phase();
        *phase = match *phase {
            Phase::Idle(_) => Phase::Overloaded(1),
            Phase::Overloaded(requests) => Phase::Overloaded(requests + 1),
            Phase::Closed => Phase::Closed,
        };
    }

    fn end(&self) {
        let mut phase = self.phase();
        *phase = match *phase {
            Phase::Overloaded(requests) if requests > 1 => Phase::Overloaded(requests - 1),
            Phase::Overloaded(_) | Phase::Idle(_) => Phase::Idle(Instant::now()),
            Phase::Closed => Phase::Closed,
        };
    }
}

/// Marks a connection as busy until dropped.
struct Overloaded(Arc<State>);

impl Drop for Overloaded {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The body of a response. Its connection is busy until all of it is sent.
pub struct Sending {
    body: BoxBody,
    _busy: Option<Overloaded>,
}

impl MessageBody for Sending {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}

/// Marks the connection of a request as busy until the response is sent; for
/// [`actix_web::middleware::from_fn`].
pub async fn mark_busy(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<Sending>, Error> {
    let busy = request.request().conn_data::<Connection>().map(|own| {
        own.state.begin();
        Overloaded(Arc::clone(&own.state))
    });
    let response = next.call(request).await?;
    Ok(response.map_body(|_, body| Sending {
        body: body.boxed(),
        _busy: busy,
    }))
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, net::TcpListener};

    use super::*;

    #[test]
    fn connections_are_limited_by_open_files() {
        for (open_files, max) in [
            (1024, 304),
            (524_288, MAX_CONNECTIONS),
            (64, MIN_CONNECTIONS),
            (0, MIN_CONNECTIONS),
        ] {
            assert_eq!(Connections::new(open_files, 16).most(), max);
        }
    }

    #[tokio::test]
    async fn longest_idle_connections_are_closed_first() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connections = Connections::new(0, 0);
        let mut clients = Vec::new();
        let mut kept = Vec::new();
        for number in 0..MIN_CONNECTIONS {
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            client.set_nonblocking(true).unwrap();
            clients.push(client);
            let (socket, _) = listener.accept().unwrap();
            socket.set_nonblocking(true).unwrap();
            let socket = tokio::net::TcpStream::from_std(socket).unwrap();
            let mut data = Extensions::new();
            connections.opened(&socket, &mut data);
            if number == 0 {
                data.get::<Connection>().unwrap().state.begin();
            }
            kept.push((socket, data));
        }
        let is_closed: Vec<bool> = clients
            .iter_mut()
            .map(|client| client.read(&mut [0]).is_ok_and(|bytes| bytes == 0))
            .collect();
        // Nine tenths of 16 are 15: the last two arrivals closed one each. The first one is busy.
        let closed: Vec<usize> = (0..MIN_CONNECTIONS)
            .filter(|number| is_closed[*number])
            .collect();
        assert_eq!(closed, [1, 2]);
        kept.truncate(4);
        assert_eq!(connections.open().len(), 4);
    }
}
