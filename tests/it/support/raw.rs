//! HTTP by hand, for what a well-behaved client does not do.

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

    /// Sends a request as it is written here, with `connection: close`; returns the whole answer.
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
