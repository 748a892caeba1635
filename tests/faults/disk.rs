//! A disk that runs full.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Server, Start, http};

use super::*;

/// A small file system of its own, if this process may mount one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, mib: u32) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let options = format!("size={mib}m,mode=0700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whatever still looks at it must not keep it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn a_disk_that_runs_full_pauses_indexing_and_space_lets_it_go_on() {
    let place = Place::new();
    let disk = place.home.path().join("disk");
    let Some(_disk) = SmallDisk::mount(&disk, 160) else {
        println!("skipped: a full disk, because this process may not mount a small file system");
        return;
    };
    let data = disk.join("data");
    let environment = || vec![("STRONGROOM_INDEXING_RESERVE", "64MiB".to_owned())];
    let start = || Start { folders: vec![], environment: environment(), ..Start::default() };
    let clients = place.clients();
    place.write("a.txt", "The first clause is about papayas.");
    let server = Server::start(&data, Start { folders: vec![&clients], ..start() });
    server.wait_indexed("acme", 1);
    server.create("vault");

    let ballast = disk.join("ballast");
    fs::write(&ballast, vec![1; 110 << 20]).unwrap();
    let paused = wait(&server, "the pause", || server.get("/api/v1/indexing").json()["paused"].as_str().map(str::to_owned));
    assert!(paused.contains("reserve"), "{paused}");
    place.write("b.txt", "The second clause is about guavas.");
    server.wait_for("acme", "the file that waits", |record| record["documents"]["pending"] == 1);
    assert_eq!(server.found("acme", "papayas"), ["a.txt"], "searches go on");
    let refused =
        http::request(server.address, "PUT", "/api/v1/collections/vault/documents/c.txt", &[], b"No room for lemons.");
    assert!((500..600).contains(&refused.status), "{}", refused.text());
    assert!(server.get("/api/v1/collections/vault/documents/c.txt").status == 404, "nothing of it was stored");

    fs::remove_file(&ballast).unwrap();
    wait_found(&server, "acme", "guavas", &["b.txt"]);
    assert_eq!(server.put("vault", "c.txt", "Room for lemons.").status, 201);
    assert_eq!(server.get("/api/v1/indexing").json()["paused"], Value::Null);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn forced_past_a_full_disk_it_may_die_but_converges_once_there_is_space() {
    let place = Place::new();
    let disk = place.home.path().join("disk");
    let Some(_disk) = SmallDisk::mount(&disk, 120) else {
        println!("skipped: a disk full to the last byte, because this process may not mount a small file system");
        return;
    };
    let data = disk.join("data");
    let clients = place.clients();
    let start = || Start {
        folders: vec![&clients],
        environment: vec![("STRONGROOM_INDEXING_RESERVE", "0B".to_owned())],
        ..Start::default()
    };
    place.write("a.txt", "The first clause is about papayas.");
    let mut server = Server::start(&data, start());
    server.wait_indexed("acme", 1);
    server.create("vault");
    assert_eq!(server.put("vault", "kept.txt", "Acknowledged: breadfruit.").status, 201);
    // Fill it to the last byte, then go on.
    let ballast = disk.join("ballast");
    let mut file = File::create(&ballast).unwrap();
    while std::io::Write::write_all(&mut file, &[1; 1 << 16]).is_ok() {}
    drop(file);
    for number in 0..60 {
        place.write(format!("{number}.txt"), &format!("Clause {number} is about filler{number}. ").repeat(50));
    }
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(6) && !server.ended() {
        // What it answers, if it does, is its own affair; it must not lose what it acknowledges.
        let _ =
            http::try_request(server.address, "PUT", "/api/v1/collections/vault/documents/full.txt", &[], b"Refused or kept.");
        std::thread::sleep(Duration::from_millis(200));
    }
    println!("on a full disk the server {}", if server.ended() { "died" } else { "lived on" });
    fs::remove_file(&ballast).unwrap();
    if !server.ended() {
        // Without a restart, too: nothing that failed for want of space may be forgotten.
        server.wait_indexed("acme", 61);
        wait_found(&server, "acme", "filler42", &["42.txt"]);
    }
    drop(server);
    let server = Server::start(&data, start());
    server.wait_indexed("acme", 61);
    wait_found(&server, "acme", "filler42", &["42.txt"]);
    wait_found(&server, "acme", "papayas", &["a.txt"]);
    wait_found(&server, "vault", "breadfruit", &["kept.txt"]);
    assert_eq!(server.stop(), Some(0));
}
