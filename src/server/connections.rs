//! The connections that clients have open. There are fewer than the process may have files, so that there is
//! always one for the database or an upload; and before there are too many, those that have been idle longest
//! are closed: strangers who open a thousand and say nothing keep nobody out.

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

/// Files and sockets that are not for clients, beside the database's: queue, listeners, logs.
const RESERVED: usize = 96;

/// What one connection takes: its socket, the handle that closes it while it is idle, and a file that is
/// received or sent.
const FILES_EACH: usize = 3;

/// As many as are useful: actix-web's own limit for each of its threads.
const MOST: usize = 25_000;

/// Fewest, whatever the limit of open files.
const FEWEST: usize = 16;

/// The open connections of a server; clones are the same.
#[derive(Clone)]
pub struct Connections {
    inner: Arc<Inner>,
}

struct Inner {
    most: usize,
    last_id: AtomicU64,
    open: Mutex<HashMap<u64, Arc<State>>>,
}

/// One connection, in the data that actix-web keeps with it: dropped when it is closed.
struct Connection {
    id: u64,
    state: Arc<State>,
    connections: Connections,
}

struct State {
    /// A second handle of the socket: its number is not given to another connection meanwhile.
    socket: TcpStream,
    phase: Mutex<Phase>,
}

/// What a connection does.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// It waits for a request since then.
    Idle(Instant),
    /// It has so many requests that are not answered to the end.
    Busy(usize),
    /// The server closed it, and it is about to go.
    Closed,
}

impl Connections {
    /// Makes the connections of a server: as many as `open_files` allow beside `others`.
    pub fn new(open_files: usize, others: usize) -> Self {
        let free = open_files.saturating_sub(RESERVED + others);
        Self {
            inner: Arc::new(Inner {
                most: (free / FILES_EACH).clamp(FEWEST, MOST),
                last_id: AtomicU64::new(0),
                open: Mutex::default(),
            }),
        }
    }

    /// Returns how many there may be.
    pub fn most(&self) -> usize {
        self.inner.most
    }

    /// Keeps a new connection in mind; for [`actix_web::HttpServer::on_connect`].
    pub fn opened(&self, socket: &dyn Any, data: &mut Extensions) {
        let Some(socket) = socket.downcast_ref::<tokio::net::TcpStream>() else {
            return;
        };
        // Without a free file nothing can be kept in mind, and closing others helps all the same.
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

    /// Closes a sixteenth of all connections when nine tenths of them are taken: those idle longest, and never
    /// the one that has just come.
    fn close_idle(&self, newest: u64) {
        let open = self.open();
        let most = self.inner.most;
        if open.len() < most - most / 10 {
            return;
        }
        let others = open.iter().filter(|(id, _)| **id != newest);
        let mut idle: Vec<_> = others
            .filter_map(|(_, state)| match *state.phase() {
                Phase::Idle(since) => Some((since, state)),
                Phase::Busy(_) | Phase::Closed => None,
            })
            .collect();
        idle.sort_unstable_by_key(|(since, _)| *since);
        let closed = idle
            .iter()
            .take((most / 16).max(1))
            .filter(|(_, state)| state.close_if_idle())
            .count();
        metrics::counter!("anb_http_idle_connections_closed_total")
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

    /// Closes the socket both ways, which the server's thread sees as a client that went away.
    fn close_if_idle(&self) -> bool {
        let mut phase = self.phase();
        let Phase::Idle(_) = *phase else { return false };
        *phase = Phase::Closed;
        // It may have been closed by its client already.
        self.socket.shutdown(Shutdown::Both).is_ok()
    }

    fn begin(&self) {
        let mut phase = self.phase();
        *phase = match *phase {
            Phase::Idle(_) => Phase::Busy(1),
            Phase::Busy(requests) => Phase::Busy(requests + 1),
            Phase::Closed => Phase::Closed,
        };
    }

    fn end(&self) {
        let mut phase = self.phase();
        *phase = match *phase {
            Phase::Busy(requests) if requests > 1 => Phase::Busy(requests - 1),
            Phase::Busy(_) | Phase::Idle(_) => Phase::Idle(Instant::now()),
            Phase::Closed => Phase::Closed,
        };
    }
}

/// Marks a connection as busy while it lives.
struct Busy(Arc<State>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The body of an answer; its connection is busy until all of it was sent.
pub struct Sending {
    body: BoxBody,
    _busy: Option<Busy>,
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

/// Marks the connection of a request as busy until it is answered; for [`actix_web::middleware::from_fn`].
pub async fn mark_busy(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<Sending>, Error> {
    let busy = request.request().conn_data::<Connection>().map(|own| {
        own.state.begin();
        Busy(Arc::clone(&own.state))
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
    fn there_are_fewer_connections_than_files() {
        for (open_files, most) in [(1024, 304), (524_288, MOST), (64, FEWEST), (0, FEWEST)] {
            assert_eq!(Connections::new(open_files, 16).most(), most);
        }
    }

    #[tokio::test]
    async fn the_connections_that_are_idle_longest_are_closed_first() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connections = Connections::new(0, 0);
        let mut clients = Vec::new();
        let mut kept = Vec::new();
        for number in 0..FEWEST {
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
        // Nine tenths of 16 are 15: the last two to come closed one each, and the first has a request.
        let closed: Vec<usize> = (0..FEWEST).filter(|number| is_closed[*number]).collect();
        assert_eq!(closed, [1, 2]);
        kept.truncate(4);
        assert_eq!(connections.open().len(), 4);
    }
}
