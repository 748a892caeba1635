//! Bad input and bad luck: each has a clear outcome, and nothing is lost by it.

mod disk;
mod files;
mod stores;

use std::ffi::OsStr;
use std::fs::{self};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{PATIENCE, Server, Start};

/// A data folder, and a folder of clients with one client, `acme`.
pub(super) struct Place {
    pub(super) home: TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join("clients/acme")).unwrap();
        Self { home }
    }

    pub(super) fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    pub(super) fn clients(&self) -> PathBuf {
        self.home.path().join("clients")
    }

    pub(super) fn file(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.clients().join("acme").join(name.as_ref())
    }

    pub(super) fn write(&self, name: impl AsRef<OsStr>, text: &str) {
        fs::write(self.file(name), text).unwrap();
    }

    pub(super) fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    pub(super) fn serve_with(&self, environment: &[(&'static str, &str)]) -> Server {
        let environment = environment.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Server::start(&self.data(), Start { folders: vec![&self.clients()], environment, ..Start::default() })
    }

    /// The folders of all collections.
    pub(super) fn collections(&self) -> Vec<PathBuf> {
        fs::read_dir(self.data().join("collections")).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

/// Waits until `check` gives something.
pub(super) fn wait<T>(server: &Server, what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(begun.elapsed() < PATIENCE, "waited for {what}\n{}\n{}", server.get("/api/v1/status").text(), server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// State and reason of a document, once it is there and not pending.
pub(super) fn outcome(server: &Server, path: &str) -> (String, Value) {
    wait(server, path, || {
        let reply = server.get(&format!("/api/v1/collections/acme/documents/{path}"));
        let record = (reply.status == 200).then(|| reply.json())?;
        let state = record["state"].as_str()?.to_owned();
        (state != "pending").then(|| (state, record["reason"].clone()))
    })
}

/// Waits until a lexical search answers with these paths. A rebuild under way is waited for.
pub(super) fn wait_found(server: &Server, collection: &str, query: &str, paths: &[&str]) {
    let body = json!({ "query": query, "collections": [collection], "mode": "lexical", "limit": 100 });
    wait(server, &format!("{query} in {paths:?}"), || {
        let reply = server.request("POST", "/api/v1/search", Some(&body));
        let hits = (reply.status == 200).then(|| reply.json()["hits"].clone())?;
        let found: Vec<String> =
            hits.as_array()?.iter().map(|hit| hit["document"]["path"].as_str().unwrap().to_owned()).collect();
        (found == paths).then_some(())
    });
}

/// Waits until so many chunks went through the model: the metric follows a little behind.
pub(super) fn wait_embedded(server: &Server, number: f64) {
    wait(server, "the metric of embedded chunks", || {
        (server.metric("strongroom_chunks_embedded_total") == number).then_some(())
    });
}

pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
