//! Raw HTTP, for requests that no well-behaved client sends.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::TestApp;

impl TestApp {
    /// Opens a connection and sends `bytes`.
    pub async fn open(&self, bytes: &[u8]) -> TcpStream {
        let address = self.url.strip_prefix("http://").unwrap();
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(bytes).await.unwrap();
        connection
    }

    /// Sends a request head with `connection: close`. Returns the complete response.
    pub async fn raw(&self, head: &str) -> String {
        let request = format!("{head}\r\nhost: test\r\nconnection: close\r\n\r\n");
        read(&mut self.open(request.as_bytes()).await).await
    }
}

/// Reads until the server closes the connection.
pub async fn read(connection: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// A connection of this machine, as `/proc/net/tcp` shows one of its ends.
pub struct TcpEnd {
    pub local: String,
    pub remote: String,
    pub is_established: bool,
    pub is_accepted: bool,
    /// Bytes that the other end has not acknowledged.
    pub to_send: u64,
    /// Bytes that the program has not read.
    pub to_read: u64,
}

/// Returns both ends of every connection over IPv4.
pub fn tcp_ends() -> Vec<TcpEnd> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let ends = table.lines().skip(1).map(|line| {
        // Fields: local and remote address, state, bytes to send and to read, inode (0 until accepted).
        let fields: Vec<_> = line.split_whitespace().collect();
        let (to_send, to_read) = fields[4].split_once(':').unwrap();
        TcpEnd {
            local: fields[1].to_owned(),
            remote: fields[2].to_owned(),
            is_established: fields[3] == "01",
            is_accepted: fields[9] != "0",
            to_send: u64::from_str_radix(to_send, 16).unwrap(),
            to_read: u64::from_str_radix(to_read, 16).unwrap(),
        }
    });
    ends.collect()
}

/// Returns whether the server has read everything that `connection` sent.
pub fn is_read(connection: &TcpStream) -> bool {
    let client = in_table(connection.local_addr().unwrap());
    let server = in_table(connection.peer_addr().unwrap());
    let ends = tcp_ends();
    // A connection to another server may have, or have had, the same local port.
    let ours = |end: &&TcpEnd| {
        let ends = (&end.local, &end.remote);
        ends == (&client, &server) || ends == (&server, &client)
    };
    let ours: Vec<_> = ends.iter().filter(ours).collect();
    let is_drained = |end: &&TcpEnd| end.is_accepted && end.to_send + end.to_read == 0;
    ours.len() == 2 && ours.iter().all(is_drained)
}

/// Returns how `/proc/net/tcp` writes an address of the loopback interface.
pub fn in_table(address: SocketAddr) -> String {
    format!("0100007F:{:04X}", address.port())
}
