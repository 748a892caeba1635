//! Which process listens at an address of this machine, as far as the system tells.

use std::net::SocketAddr;

/// Its name and number, such as `llama-server (pid 4711)`.
pub(super) async fn listening(address: SocketAddr) -> Option<String> {
    tokio::task::spawn_blocking(move || find(address)).await.ok().flatten()
}

#[cfg(target_os = "linux")]
fn find(address: SocketAddr) -> Option<String> {
    use procfs::net::{TcpState, tcp, tcp6};
    use procfs::process::{FDTarget, all_processes};

    let sockets = tcp().into_iter().chain(tcp6()).flatten();
    let ours =
        |local: &SocketAddr| local.port() == address.port() && (local.ip() == address.ip() || local.ip().is_unspecified());
    let inode = sockets.filter(|entry| entry.state == TcpState::Listen).find(|entry| ours(&entry.local_address))?.inode;
    // Other users' processes do not show what they have open.
    for process in all_processes().ok()?.flatten() {
        let Ok(mut open) = process.fd() else { continue };
        if open.any(|one| one.is_ok_and(|one| one.target == FDTarget::Socket(inode))) {
            let name: String = process.stat().ok()?.comm.chars().filter(|c| !c.is_control()).collect();
            return Some(format!("{name} (pid {})", process.pid()));
        }
    }
    None
}

#[cfg(not(target_os = "linux"))]
fn find(_: SocketAddr) -> Option<String> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn whoever_listens_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let found = find(listener.local_addr().unwrap()).unwrap();
        assert!(found.ends_with(&format!("(pid {})", std::process::id())), "{found}");
    }
}
