//! A client of resumable uploads: tus 1.0.0.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use reqwest::{Method, RequestBuilder};
use tokio::net::TcpStream;

use super::{Player, Response, TestApp, content, mp4};

/// The media type of a request's bytes.
pub const BYTES: &str = "application/offset+octet-stream";

/// Returns `Upload-Metadata`.
pub fn metadata(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs
        .iter()
        .map(|(key, value)| format!("{key} {}", BASE64.encode(value)));
    pairs.collect::<Vec<_>>().join(",")
}

/// Returns bytes that begin like an MP4 file and differ at every position.
pub fn film_of(length: usize) -> Vec<u8> {
    let mut film = mp4(100);
    film.extend(content(length, u64::try_from(length).unwrap()));
    film.truncate(length);
    film
}

impl TestApp {
    /// Builds a request of the protocol.
    pub fn tus(&self, player: &Player, method: Method, path: &str) -> RequestBuilder {
        let request = self.as_player(player, method, path);
        request.header("tus-resumable", "1.0.0")
    }

    /// Builds the creation of an upload.
    pub fn creation(&self, player: &Player, length: usize) -> RequestBuilder {
        let metadata = metadata(&[("title", "Mi mejor jugada"), ("is_public", "true")]);
        self.tus(player, Method::POST, "/api/uploads")
            .header("upload-length", length)
            .header("upload-metadata", metadata)
    }

    /// Creates an upload. Returns its path.
    pub async fn create_upload(&self, player: &Player, length: usize) -> String {
        let created = Response::of(self.creation(player, length)).await;
        assert_eq!(created.status, 201, "{created:?}");
        created.header("location")
    }

    /// Sends bytes to an upload.
    pub async fn send_bytes(
        &self,
        player: &Player,
        upload: &str,
        offset: usize,
        bytes: &[u8],
    ) -> Response {
        Response::of(
            self.tus(player, Method::PATCH, upload)
                .header("upload-offset", offset)
                .header("content-type", BYTES)
                .body(bytes.to_vec()),
        )
        .await
    }

    /// Returns the offset of an upload, or the status if it has none.
    pub async fn offset(&self, player: &Player, upload: &str) -> Result<usize, u16> {
        let found = Response::of(self.tus(player, Method::HEAD, upload)).await;
        if found.status != 200 {
            return Err(found.status.as_u16());
        }
        Ok(found.header("upload-offset").parse().unwrap())
    }

    /// Opens a connection and sends the head of a request with `length` bytes and the first of them.
    pub async fn begin_sending(
        &self,
        player: &Player,
        upload: &str,
        offset: usize,
        length: usize,
        first: &[u8],
    ) -> TcpStream {
        let head = format!(
            "PATCH {upload} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {}\r\n\
             tus-resumable: 1.0.0\r\nupload-offset: {offset}\r\ncontent-type: {BYTES}\r\n\
             content-length: {length}\r\n\r\n",
            player.token,
        );
        self.open(&[head.as_bytes(), first].concat()).await
    }

    /// Returns the stored original of a complete upload.
    pub async fn uploaded_bytes(&self, upload: &str) -> Vec<u8> {
        let (_, id) = upload.rsplit_once('/').unwrap();
        let key = anb::storage::StorageKey::Original(anb::ids::VideoId::parse(id).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("original");
        self.storage.fetch(key, &file).await.unwrap();
        std::fs::read(file).unwrap()
    }
}
