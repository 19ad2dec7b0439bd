//! The official clients, which `.config/setup clients` installs. Their drivers are in
//! `tests/clients`.

use std::{path::Path, process::Stdio};

use serde::Deserialize;
use tokio::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[derive(Debug, Clone, Copy)]
pub enum Client {
    /// tus-js-client, on Node.
    TusJs,
    /// tuspy, on Python.
    Tuspy,
}

/// What a client reports of a successful upload.
#[derive(Debug, Deserialize)]
pub struct Outcome {
    /// Address of the upload.
    pub url: String,
    pub seconds: f64,
}

impl Outcome {
    /// Returns the id of the upload, which is that of its video.
    pub fn id(&self) -> &str {
        self.url.rsplit_once('/').unwrap().1
    }
}

impl Client {
    /// Uploads a file, with `chunk` bytes per request or in one request. Returns none, with a
    /// message, if the client is not installed because npm is missing.
    pub async fn upload(
        self,
        file: &Path,
        name: &str,
        api: &str,
        token: &str,
        chunk: Option<u64>,
    ) -> Option<Outcome> {
        let mut client = self.command()?;
        client
            .arg(file)
            .args([name, &format!("{api}/api/uploads"), token])
            .args(chunk.map(|chunk| chunk.to_string()))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = client.output().await.unwrap();
        assert!(output.status.success(), "{self:?}: {output:?}");
        Some(serde_json::from_slice(&output.stdout).unwrap())
    }

    #[expect(clippy::disallowed_methods, reason = "tests start programs")]
    fn command(self) -> Option<Command> {
        let mut command = match self {
            Self::TusJs => {
                let modules = format!("{ROOT}/.anb/tools/tus-js-client/node_modules");
                if !Path::new(&modules).exists() {
                    println!("npm is missing: uploads with tus-js-client are NOT tested");
                    return None;
                }
                let mut command = Command::new("node");
                command.arg(format!("{ROOT}/tests/clients/client.mjs"));
                command.arg(modules);
                command
            }
            Self::Tuspy => {
                let mut command = Command::new(format!("{ROOT}/.anb/tools/clients/bin/python"));
                command.arg(format!("{ROOT}/tests/clients/client.py"));
                command
            }
        };
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        Some(command)
    }
}
