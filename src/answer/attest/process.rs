//! Which process listens at an address of this machine, as far as the system tells.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How soon all processes are looked through again after none was found: another user's show nothing.
const AGAIN: Duration = Duration::from_secs(60);

/// The process behind one address.
#[derive(Default)]
pub(super) struct Process {
    last: Arc<Mutex<Last>>,
}

/// What was found last.
#[derive(Default)]
struct Last {
    listener: Option<Listener>,
    /// When all processes were looked through.
    looked: Option<Instant>,
}

/// A process that has a listening socket open.
struct Listener {
    /// Where the system shows what it has open there.
    open: PathBuf,
    /// The socket, as the system shows it.
    socket: PathBuf,
    /// Its name and number.
    name: String,
}

impl Process {
    /// Its name and number, such as `llama-server (pid 4711)`. All processes are looked through only when the one found last no
    /// longer has that socket open, for that takes longer than an answer should wait.
    pub async fn listening(&self, address: SocketAddr) -> Option<String> {
        let last = Arc::clone(&self.last);
        let looking = tokio::task::spawn_blocking(move || {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            let known = match &last.listener {
                Some(listener) => std::fs::read_link(&listener.open).is_ok_and(|open| open == listener.socket),
                None => last.looked.is_some_and(|looked| looked.elapsed() < AGAIN),
            };
            if !known {
                *last = Last { listener: find(address), looked: Some(Instant::now()) };
            }
            last.listener.as_ref().map(|listener| listener.name.clone())
        });
        looking.await.ok().flatten()
    }
}

#[cfg(target_os = "linux")]
fn find(address: SocketAddr) -> Option<Listener> {
    use procfs::net::{TcpState, tcp, tcp6};
    use procfs::process::{FDTarget, all_processes};

    let sockets = tcp().into_iter().chain(tcp6()).flatten();
    let ours =
        |local: &SocketAddr| local.port() == address.port() && (local.ip() == address.ip() || local.ip().is_unspecified());
    let inode = sockets.filter(|entry| entry.state == TcpState::Listen).find(|entry| ours(&entry.local_address))?.inode;
    // Other users' processes do not show what they have open.
    for process in all_processes().ok()?.flatten() {
        let Ok(open) = process.fd() else { continue };
        if let Some(found) = open.flatten().find(|one| one.target == FDTarget::Socket(inode)) {
            let command: String = process.stat().ok()?.comm.chars().filter(|c| !c.is_control()).collect();
            return Some(Listener {
                open: format!("/proc/{}/fd/{}", process.pid(), found.fd).into(),
                socket: format!("socket:[{inode}]").into(),
                name: format!("{command} (pid {})", process.pid()),
            });
        }
    }
    None
}

#[cfg(not(target_os = "linux"))]
fn find(_: SocketAddr) -> Option<Listener> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_listens_is_found_and_found_again() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let process = Process::default();
        for _ in 0..2 {
            let found = process.listening(address).await.unwrap();
            assert!(found.ends_with(&format!("(pid {})", std::process::id())), "{found}");
        }
        drop(listener);
        assert_eq!(process.listening(address).await, None);
    }
}
