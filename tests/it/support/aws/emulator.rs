//! The emulator of SQS: [ministack](https://pypi.org/project/ministack/), a Python program that
//! `.config/setup tests` installs. It forgets everything when it ends.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
};

use tokio::sync::OnceCell;

use crate::support::{eventually, free_port};

/// Maximum number of tries, since another process may take the port first.
const MAX_STARTS: u32 = 5;

/// Returns the address of the running emulator; the first caller starts it.
pub async fn emulator() -> SocketAddr {
    static ADDRESS: OnceCell<SocketAddr> = OnceCell::const_new();
    *ADDRESS.get_or_init(start).await
}

async fn start() -> SocketAddr {
    let program = program();
    assert!(
        program.exists(),
        "{} is missing: run .config/setup tests",
        program.display()
    );
    for _ in 0..MAX_STARTS {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let mut child = spawn(program.clone(), address.port());
        let ready = format!("http://{address}/_ministack/ready");
        let mut is_ready = false;
        eventually("the emulator answers or ends", 60, async || {
            is_ready = reqwest::get(&ready).await.is_ok();
            is_ready || child.try_wait().unwrap().is_some()
        })
        .await;
        if is_ready && child.try_wait().unwrap().is_none() {
            return address;
        }
    }
    panic!("{} does not start", program.display());
}

fn program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".anb/tools/emulator/bin/ministack")
}

/// Spawns it from a thread that lasts as long as this process: the kernel ends the emulator with it.
fn spawn(program: PathBuf, port: u16) -> Child {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let child = command(&program, port).spawn().unwrap();
        sender.send(child).unwrap();
        loop {
            thread::park();
        }
    });
    receiver.recv().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "starts the emulator")]
fn command(program: &Path, port: u16) -> Command {
    let mut command = Command::new("setpriv");
    command
        .arg("--pdeathsig=TERM")
        .arg("--")
        .arg(program)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("BIND_HOST", Ipv4Addr::LOCALHOST.to_string())
        .env("GATEWAY_PORT", port.to_string())
        .env("SERVICES", "sqs,s3")
        .env("LOG_LEVEL", "ERROR")
        // Listeners on ports of their own, which only one emulator of this machine could have.
        .env("IOT_MTLS_ENABLED", "0")
        .env("SFTP_ENABLED", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}
