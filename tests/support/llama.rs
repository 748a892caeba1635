//! llama.cpp's own server over a tiny model whose replies are known, as tests/peers/tiny_model.py says; and a relay before it that
//! remembers what passes.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{PATIENCE, http, peers};

/// A running llama.cpp. Killed when dropped.
pub struct Llama {
    child: Child,
    pub address: SocketAddr,
}

/// The tiny model's file, made once for all tests.
pub fn tiny_model() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        // Another run of the tests may read the file just now, so it is put in place whole.
        let (made, file) = (folder.join(format!("tiny-{}.gguf", std::process::id())), folder.join("tiny.gguf"));
        let done = peers::python("python").arg(peers::script("tiny_model.py")).arg(&made).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        std::fs::rename(made, &file).unwrap();
        file
    })
}

impl Llama {
    /// Starts one with the tiny model. `settings` are parameters by their names in `xllamacpp.CommonParams`.
    pub fn start(settings: Value) -> Self {
        Self::with_model(tiny_model(), settings)
    }

    /// The same with another model.
    pub fn with_model(model: &Path, settings: Value) -> Self {
        let mut child = peers::python("python")
            .arg(peers::script("llama_server.py"))
            .arg(model)
            .arg(settings.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().trim_start_matches("http://").parse();
        let address = address.unwrap_or_else(|error| panic!("{error}: llama.cpp did not start with {settings}: {line:?}"));
        Self { child, address }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// A `[[generator]]` of the configuration.
    pub fn config(&self, name: &str, more: &str) -> String {
        config(self.address, name, more)
    }

    /// What it says of the places where it works.
    pub fn slots(&self) -> Vec<Value> {
        let reply = http::request(self.address, "GET", "/slots", &[], b"");
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json().as_array().unwrap().clone()
    }

    /// Waits until so many of them are at work.
    pub fn wait_working(&self, number: usize) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let slots = self.slots();
            if slots.iter().filter(|slot| slot["is_processing"] == true).count() == number {
                return slots;
            }
            assert!(begun.elapsed() < PATIENCE, "waited for {number} slots at work: {slots:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks it directly, as a program beside Strongroom would.
    pub fn ask(&self, messages: &Value, more: &Value) -> Value {
        let mut body = json!({ "model": "tiny", "messages": messages, "temperature": 0, "max_tokens": 16 });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let headers = [("Content-Type", "application/json")];
        let reply = http::request(self.address, "POST", "/v1/chat/completions", &headers, body.to_string().as_bytes());
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    }
}

impl Drop for Llama {
    fn drop(&mut self) {
        // A test may have killed it already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A `[[generator]]` at that address.
pub fn config(address: SocketAddr, name: &str, more: &str) -> String {
    format!("[[generator]]\nname = \"{name}\"\nkind = \"openai\"\nurl = \"http://{address}/v1\"\nmodel = \"tiny\"\n{more}\n")
}

/// Stands before a server, passes all on as it comes, and remembers it. It ends with the test's process.
pub struct Relay {
    pub address: SocketAddr,
    passed: Arc<Mutex<Vec<Passed>>>,
}

/// What passed over one connection.
#[derive(Clone, Default)]
struct Passed {
    asked: Vec<u8>,
    answered: Vec<u8>,
}

impl Relay {
    pub fn before(server: SocketAddr) -> Self {
        Self::altering(server, "", "")
    }

    /// One that puts other words in requests, as many as they were.
    pub fn altering(server: SocketAddr, from: &'static str, to: &'static str) -> Self {
        assert_eq!(from.len(), to.len());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let passed: Arc<Mutex<Vec<Passed>>> = Arc::default();
        let keeping = Arc::clone(&passed);
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let near = near.unwrap();
                // A server that is gone refuses; so do we.
                let Ok(far) = TcpStream::connect(server) else { continue };
                near.set_nodelay(true).unwrap();
                far.set_nodelay(true).unwrap();
                let number = {
                    let mut passed = keeping.lock().unwrap();
                    passed.push(Passed::default());
                    passed.len() - 1
                };
                let (near_again, far_again) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                let (asking, answering) = (Arc::clone(&keeping), Arc::clone(&keeping));
                std::thread::spawn(move || {
                    pass(near, far, |bytes| {
                        alter(bytes, from.as_bytes(), to.as_bytes());
                        asking.lock().unwrap()[number].asked.extend_from_slice(bytes);
                    });
                });
                std::thread::spawn(move || {
                    pass(far_again, near_again, |bytes| answering.lock().unwrap()[number].answered.extend_from_slice(bytes));
                });
            }
        });
        Self { address, passed }
    }

    /// Remembers nothing of what passed so far.
    pub fn forget(&self) {
        self.passed.lock().unwrap().iter_mut().for_each(|one| *one = Passed::default());
    }

    /// All requests so far, as they were sent.
    pub fn asked(&self) -> String {
        self.passed.lock().unwrap().iter().map(|one| String::from_utf8_lossy(&one.asked).into_owned()).collect()
    }

    /// All answers so far, as they came.
    pub fn answered(&self) -> String {
        self.passed.lock().unwrap().iter().map(|one| String::from_utf8_lossy(&one.answered).into_owned()).collect()
    }
}

fn alter(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let places = if from.is_empty() { 0 } else { (bytes.len() + 1).saturating_sub(from.len()) };
    for at in 0..places {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, mut see: impl FnMut(&mut [u8])) {
    let mut buffer = [0; 65536];
    while let Ok(read) = from.read(&mut buffer) {
        see(&mut buffer[..read]);
        if read == 0 || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // Either side may be gone already.
    let _ = to.shutdown(std::net::Shutdown::Write);
    let _ = from.shutdown(std::net::Shutdown::Read);
}
