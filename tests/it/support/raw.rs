//! Raw HTTP, for requests that no well-behaved client sends.

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
