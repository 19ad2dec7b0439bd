//! A second process that runs the servers and can be killed.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

/// Environment variable that gives a process started by `Holder` its data folder.
pub const HELD_DIR: &str = "ANB_TEST_HELD_DIR";

pub struct Holder {
    child: Child,
    pub ids: [u32; 2],
    pub dir: PathBuf,
    pub sockets: PathBuf,
}

impl Holder {
    pub fn start(binary: &Path, dir: &Path) -> Self {
        Self::spawn(Command::new(binary), dir)
    }

    pub fn start_as(user: u32, binary: &Path, dir: &Path) -> Self {
        let mut command = Command::new("setpriv");
        command
            .args([
                format!("--reuid={user}"),
                format!("--regid={user}"),
                "--clear-groups".into(),
            ])
            .arg(binary);
        Self::spawn(command, dir)
    }

    fn spawn(mut command: Command, dir: &Path) -> Self {
        command
            .args(["--exact", "dev::hold", "--ignored", "--nocapture"])
            .env(HELD_DIR, dir);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let line = lines
            .into_iter()
            .find(|line| line.contains("held\t"))
            .unwrap();
        let fields: Vec<&str> = line.split('\t').skip(1).collect();
        let [postgres, redis, dir, sockets] = fields.try_into().unwrap();
        let ids = [postgres.parse().unwrap(), redis.parse().unwrap()];
        Self {
            child,
            ids,
            dir: dir.into(),
            sockets: sockets.into(),
        }
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub fn is_alive(id: u32) -> bool {
    fs::read_to_string(format!("/proc/{id}/status"))
        .is_ok_and(|status| !status.contains("State:\tZ"))
}

pub fn kill(signal: Signal, id: u32) {
    kill_process(Pid::from_raw(id.try_into().unwrap()).unwrap(), signal).unwrap();
}

pub fn test_binary() -> PathBuf {
    std::env::current_exe().unwrap()
}
