//! What the end-to-end tests share: the real binary as a server on a port and data folder of its own, and a plain HTTP client.

pub mod generator;
pub mod http;
pub mod llama;
pub mod lookout;
pub mod peers;
pub mod speech;

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub use http::Reply;

/// How long anything may take before a test gives up: long, because test machines are slow and shared.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A running `strongroom serve`. Killed when dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    pub data: PathBuf,
    log: PathBuf,
}

/// How a server is started.
#[derive(Default)]
pub struct Start<'a> {
    pub folders: Vec<&'a Path>,
    pub arguments: Vec<String>,
    pub environment: Vec<(&'a str, String)>,
    /// What `strongroom.toml` holds beside the test's own settings.
    pub config: &'a str,
    /// The user that the server runs as; only root can choose one.
    pub user: Option<u32>,
}

/// The binary under test.
pub fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_strongroom")
}

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Server {
    /// Starts a server and waits until it is ready.
    pub fn start(data: &Path, start: Start<'_>) -> Self {
        let server = Self::launch(data, start);
        server.wait_ready();
        server
    }

    /// Starts a server and waits for nothing.
    pub fn launch(data: &Path, start: Start<'_>) -> Self {
        let address = free_port();
        std::fs::create_dir_all(data.parent().unwrap()).unwrap();
        let log = data.with_extension("log");
        let config = data.with_extension("toml");
        // Small threads and short waits: tests run beside each other.
        let settings = format!(
            "{}\n[indexing]\nthreads = 1\nsettle = \"100ms\"\nsweep_every = \"2s\"\nreserve = \"1MiB\"\n",
            start.config
        );
        std::fs::write(&config, settings).unwrap();
        let mut command = match start.user {
            // Another user may not look into the folder where the binary was built.
            Some(user) => {
                let copied = data.with_extension("binary");
                std::fs::copy(binary(), &copied).unwrap();
                let mut command = Command::new(copied);
                command.uid(user).gid(user).env("HOME", data.parent().unwrap());
                command
            }
            None => Command::new(binary()),
        };
        command
            .arg("serve")
            .args(&start.folders)
            .arg("--data")
            .arg(data)
            .args(["--bind", &address.to_string()])
            .arg("--config")
            .arg(&config)
            .args(&start.arguments)
            .envs(start.environment.iter().map(|(name, value)| (*name, value.as_str())))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::options().create(true).append(true).open(&log).unwrap());
        Self { child: command.spawn().unwrap(), address, data: data.to_owned(), log }
    }

    /// Waits until `/readyz` is 200.
    pub fn wait_ready(&self) {
        let begun = Instant::now();
        loop {
            if http::try_request(self.address, "GET", "/readyz", &[], b"").is_ok_and(|reply| reply.status == 200) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "the server did not get ready:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// The server's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Kills it as `kill -9` does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, and gives its exit code.
    pub fn stop(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < PATIENCE, "the server did not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether it has ended by itself.
    pub fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// One request with an optional JSON body.
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let bytes = body.map(Value::to_string).unwrap_or_default();
        let headers: &[(&str, &str)] = if body.is_some() { &[("Content-Type", "application/json")] } else { &[] };
        http::request(self.address, method, path, headers, bytes.as_bytes())
    }

    /// One request with headers and bytes of the test's own choice.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        http::request(self.address, method, path, headers, body)
    }

    /// A search as it is written, which must be answered well.
    pub fn search_with(&self, body: &Value) -> Value {
        let reply = self.request("POST", "/api/v1/search", Some(body));
        assert_eq!(reply.status, 200, "{body}: {}", reply.text());
        reply.json()
    }

    pub fn get(&self, path: &str) -> Reply {
        self.request("GET", path, None)
    }

    /// Makes a collection.
    pub fn create(&self, name: &str) {
        let reply = self.request("POST", "/api/v1/collections", Some(&json!({ "name": name })));
        assert_eq!(reply.status, 201, "{}", reply.text());
    }

    /// Puts a text and waits until it is searchable.
    pub fn put(&self, collection: &str, path: &str, text: &str) -> Reply {
        let target = format!("/api/v1/collections/{collection}/documents/{path}?wait=true");
        http::request(self.address, "PUT", &target, &[("Content-Type", "text/plain; charset=utf-8")], text.as_bytes())
    }

    /// A search's hits.
    pub fn search(&self, collection: &str, mode: &str, query: &str) -> Vec<Value> {
        let body = json!({ "query": query, "collections": [collection], "mode": mode, "limit": 10 });
        let reply = self.request("POST", "/api/v1/search", Some(&body));
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["hits"].as_array().cloned().unwrap()
    }

    /// Paths of a lexical search's hits.
    pub fn found(&self, collection: &str, query: &str) -> Vec<String> {
        let hits = self.search(collection, "lexical", query);
        hits.iter().map(|hit| hit["document"]["path"].as_str().unwrap().to_owned()).collect()
    }

    /// A collection's record.
    pub fn collection(&self, name: &str) -> Value {
        let reply = self.get(&format!("/api/v1/collections/{name}"));
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }

    /// Waits until `check` holds for a collection's record, and gives that record. A collection not there yet is waited for.
    pub fn wait_for(&self, name: &str, what: &str, check: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let reply = self.get(&format!("/api/v1/collections/{name}"));
            let record = if reply.status == 200 { reply.json() } else { Value::Null };
            if reply.status == 200 && check(&record) {
                return record;
            }
            assert!(begun.elapsed() < PATIENCE, "waited for {what}; the record is {record}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until so many documents are indexed and none is pending.
    pub fn wait_indexed(&self, name: &str, number: u64) -> Value {
        self.wait_for(name, &format!("{number} indexed documents"), |record| {
            record["documents"]["indexed"] == number && record["documents"]["pending"] == 0
        })
    }

    /// A number of `/metrics`.
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").text();
        let line = text.lines().find(|line| line.split([' ', '{']).next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("no metric {name} in\n{text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the command line on a data folder.
pub fn command(data: &Path, arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).arg("--data").arg(data).stdin(Stdio::null()).output().unwrap()
}

/// Every file below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found
}

/// Whether any file below a folder holds these bytes. Sockets are passed over.
pub fn any_file_holds(folder: &Path, needle: &str) -> bool {
    files(folder).iter().any(|file| {
        let mut bytes = Vec::new();
        let read = std::fs::File::open(file).and_then(|mut file| file.read_to_end(&mut bytes));
        read.is_ok() && bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
    })
}

/// A sample contract of the repository.
pub fn sample() -> PathBuf {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/clients");
    let mut pdfs: Vec<PathBuf> = files(&clients)
        .into_iter()
        .filter(|file| file.extension().is_some_and(|end| end.eq_ignore_ascii_case("pdf")))
        .collect();
    pdfs.sort_by_key(|file| std::fs::metadata(file).unwrap().len());
    pdfs[0].clone()
}
