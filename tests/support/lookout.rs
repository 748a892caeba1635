//! Watches whom a server speaks to, by what the system tells of its connections.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Server;

/// Notes every other end of a connection of a process, until it is asked what it saw.
pub struct Lookout {
    stop: Arc<AtomicBool>,
    looking: std::thread::JoinHandle<BTreeSet<SocketAddr>>,
}

impl Lookout {
    /// Looks from now on.
    pub fn on(server: &Server) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, pid, own) = (Arc::clone(&stop), server.pid(), server.address);
        let looking = std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            while !stopped.load(Ordering::Relaxed) {
                seen.extend(peers_of(pid).into_iter().filter(|(local, _)| *local != own).map(|(_, remote)| remote));
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            seen
        });
        Self { stop, looking }
    }

    /// Every address that was at the other end of a connection that the server made.
    pub fn seen(self) -> BTreeSet<SocketAddr> {
        self.stop.store(true, Ordering::Relaxed);
        self.looking.join().unwrap()
    }
}

/// Both ends of the connections that a process has now, where the system tells.
#[cfg(target_os = "linux")]
fn peers_of(pid: u32) -> Vec<(SocketAddr, SocketAddr)> {
    let Ok(process) = procfs::process::Process::new(pid as i32) else { return Vec::new() };
    let open: BTreeSet<u64> = process.fd().into_iter().flatten().flatten().filter_map(|open| socket(&open.target)).collect();
    let sockets = process.tcp().unwrap_or_default().into_iter().chain(process.tcp6().unwrap_or_default());
    let connected = sockets.filter(|entry| open.contains(&entry.inode) && entry.remote_address.port() != 0);
    connected.map(|entry| (entry.local_address, entry.remote_address)).collect()
}

#[cfg(not(target_os = "linux"))]
fn peers_of(_: u32) -> Vec<(SocketAddr, SocketAddr)> {
    Vec::new()
}

#[cfg(target_os = "linux")]
fn socket(target: &procfs::process::FDTarget) -> Option<u64> {
    match target {
        procfs::process::FDTarget::Socket(inode) => Some(*inode),
        _ => None,
    }
}
