//! Targets that no hostile file may reach: a file and three sockets that detect access.

use std::{
    fs,
    net::{TcpListener, UdpSocket},
    os::fd::OwnedFd,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
};

use rustix::{
    fs::inotify::{self, CreateFlags, WatchFlags},
    io::Errno,
};

/// A film and sockets that no program has a reason to open.
pub struct Canary {
    film: PathBuf,
    watch: OwnedFd,
    tcp: TcpListener,
    udp: UdpSocket,
    unix: UnixListener,
    socket: PathBuf,
}

impl Canary {
    /// Writes a film into a folder, watches it, and listens on the sockets.
    pub fn set(folder: &Path, film: &[u8]) -> Self {
        let path = folder.join("canary.mp4");
        fs::write(&path, film).unwrap();
        let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&watch, &path, WatchFlags::OPEN | WatchFlags::ACCESS).unwrap();
        let socket = folder.join("canary.socket");
        let canary = Self {
            film: path,
            watch,
            tcp: TcpListener::bind("127.0.0.1:0").unwrap(),
            udp: UdpSocket::bind("127.0.0.1:0").unwrap(),
            unix: UnixListener::bind(&socket).unwrap(),
            socket,
        };
        canary.tcp.set_nonblocking(true).unwrap();
        canary.udp.set_nonblocking(true).unwrap();
        canary.unix.set_nonblocking(true).unwrap();
        canary
    }

    pub fn film(&self) -> &Path {
        &self.film
    }

    /// Returns the paths and URLs of the targets.
    pub fn urls(&self) -> Vec<String> {
        let (tcp, udp) = (self.tcp.local_addr(), self.udp.local_addr());
        let (tcp, udp) = (tcp.unwrap(), udp.unwrap());
        vec![
            format!("file://{}", self.film.display()),
            self.film.display().to_string(),
            format!("http://{tcp}/film.mp4"),
            format!("tcp://{tcp}"),
            format!("udp://{udp}"),
            format!("unix:{}", self.socket.display()),
        ]
    }

    pub fn http(&self) -> String {
        format!("http://{}/film.mp4", self.tcp.local_addr().unwrap())
    }

    /// Returns the number of targets accessed since the last call.
    pub fn touched(&self) -> usize {
        let mut events = [0; 4096];
        let read = match rustix::io::read(&self.watch, &mut events) {
            Ok(bytes) => bytes,
            Err(Errno::AGAIN) => 0,
            Err(error) => panic!("{error}"),
        };
        let tcp = self.tcp.accept().is_ok();
        let udp = self.udp.recv(&mut [0; 1]).is_ok();
        let unix = self.unix.accept().is_ok();
        [read > 0, tcp, udp, unix]
            .into_iter()
            .filter(|touched| *touched)
            .count()
    }
}
