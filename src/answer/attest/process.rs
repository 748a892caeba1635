//! Which process listens at an address of this machine, as far as the system tells.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The process behind one address.
#[derive(Default)]
pub(super) struct Process {
    last: Arc<Mutex<Option<Listener>>>,
}

/// A listening socket, by the number that the system knows it by, and the process that has it open.
#[derive(Clone)]
struct Listener {
    socket: u64,
    name: Option<String>,
}

impl Process {
    /// Its name and number, such as `llama-server (pid 4711)`. All processes are looked through only when another socket listens
    /// there than the last time, for that takes longer than an answer should wait.
    pub async fn listening(&self, address: SocketAddr) -> Option<String> {
        let last = Arc::clone(&self.last);
        let looking = tokio::task::spawn_blocking(move || {
            let socket = socket(address)?;
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            let known = last.as_ref().filter(|last| last.socket == socket).cloned();
            let listener = known.unwrap_or_else(|| Listener { socket, name: owner(socket) });
            *last = Some(listener.clone());
            listener.name
        });
        looking.await.ok().flatten()
    }
}

#[cfg(target_os = "linux")]
fn socket(address: SocketAddr) -> Option<u64> {
    use procfs::net::{TcpState, tcp, tcp6};

    let ours =
        |local: &SocketAddr| local.port() == address.port() && (local.ip() == address.ip() || local.ip().is_unspecified());
    let sockets = tcp().into_iter().chain(tcp6()).flatten();
    Some(sockets.filter(|entry| entry.state == TcpState::Listen).find(|entry| ours(&entry.local_address))?.inode)
}

#[cfg(target_os = "linux")]
fn owner(socket: u64) -> Option<String> {
    use procfs::process::{FDTarget, all_processes};

    // Other users' processes do not show what they have open.
    for process in all_processes().ok()?.flatten() {
        let Ok(mut open) = process.fd() else { continue };
        if open.any(|one| one.is_ok_and(|one| one.target == FDTarget::Socket(socket))) {
            let name: String = process.stat().ok()?.comm.chars().filter(|c| !c.is_control()).collect();
            return Some(format!("{name} (pid {})", process.pid()));
        }
    }
    None
}

#[cfg(not(target_os = "linux"))]
fn socket(_: SocketAddr) -> Option<u64> {
    None
}

#[cfg(not(target_os = "linux"))]
fn owner(_: u64) -> Option<String> {
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
