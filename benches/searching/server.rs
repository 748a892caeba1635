//! The real server over a filled store: start to first answer, memory over many searches, searches beside indexing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{Outcome, Times, fill};

struct Server {
    child: Child,
    address: SocketAddr,
    started: Instant,
}

impl Server {
    fn start(data: &Path) -> Outcome<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let started = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_strongroom"))
            .args(["serve", "--bind", &address.to_string(), "--data"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { child, address, started })
    }

    fn request(&self, method: &str, path: &str, kind: &str, body: &str) -> Outcome<(u16, String)> {
        let mut stream = BufReader::new(TcpStream::connect(self.address)?);
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.get_mut().write_all((head + body).as_bytes())?;
        let mut status = String::new();
        stream.read_line(&mut status)?;
        let mut rest = String::new();
        stream.read_to_string(&mut rest)?;
        Ok((status.split(' ').nth(1).ok_or("no status")?.parse()?, rest))
    }

    fn search(&self, collection: &str, question: &str) -> Outcome<Duration> {
        let began = Instant::now();
        let body = format!(r#"{{"query":"{question}","collections":["{collection}"],"mode":"hybrid"}}"#);
        match self.request("POST", "/api/v1/search", "application/json", &body)? {
            (200, _) => Ok(began.elapsed()),
            (status, text) => Err(format!("a search was answered {status}: {text}").into()),
        }
    }

    /// Time from the process' start to the first hybrid answer.
    fn first_answer(&self, collection: &str) -> Outcome<Duration> {
        let mut last: Box<dyn std::error::Error> = "never asked".into();
        while self.started.elapsed() < Duration::from_secs(60) {
            match self.search(collection, "first question") {
                Ok(_) => return Ok(self.started.elapsed()),
                Err(error) => last = error,
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(last)
    }

    fn searches(&self, number: usize) -> Outcome<Times> {
        let times: Outcome<Vec<Duration>> = fill::questions(number).iter().map(|text| self.search(fill::NAME, text)).collect();
        Ok(Times(times?))
    }

    /// Resident memory of the server's process by the kernel's account, and what of it is its own and not mapped from files.
    fn resident(&self) -> Outcome<String> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let megabytes = |field: &str| -> Outcome<u64> {
            let line = status.lines().find(|line| line.starts_with(field)).ok_or("no such field")?;
            Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse::<u64>()? / 1024)
        };
        Ok(format!("{} MB (its own {} MB)", megabytes("VmRSS:")?, megabytes("RssAnon:")?))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn measure(data: &Path) -> Outcome {
    let server = Server::start(data)?;
    println!("process start to first hybrid answer: {:.2} s", server.first_answer(fill::NAME)?.as_secs_f64());
    let quiet = server.searches(1_000)?;
    println!("hybrid over HTTP, quiet: {quiet}");
    let before = server.resident()?;
    server.searches(10_000)?;
    let after = server.resident()?;
    println!("resident after 1,000 searches {before}, after 10,000 more {after}");
    let busy = beside_indexing(&server)?;
    println!("hybrid over HTTP while indexing: {busy}; p99 is {:.1} × quiet", busy.percentile(99) / quiet.percentile(99));
    Ok(())
}

fn beside_indexing(server: &Server) -> Outcome<Times> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let feeding = scope.spawn(|| {
            let mut put = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                let text = fill::text(90_000_000 + put, 40);
                let path = format!("/api/v1/collections/{}/documents/new-{put}.txt?wait=true", fill::NAME);
                if !matches!(server.request("PUT", &path, "text/plain", &text), Ok((201, _))) {
                    return None;
                }
                put += 1;
            }
            Some(put)
        });
        std::thread::sleep(Duration::from_secs(3));
        let times = server.searches(1_000);
        stop.store(true, Ordering::Relaxed);
        match feeding.join() {
            Ok(Some(put)) => println!("indexed meanwhile: {put} documents of about 40 chunks"),
            _ => return Err("indexing beside the searches failed".into()),
        }
        times
    })
}

pub fn measure_many(data: &Path, collections: usize) -> Outcome {
    let server = Server::start(data)?;
    server.first_answer("client-0")?;
    let mut cold = Vec::new();
    for number in 1..collections {
        cold.push(server.search(&format!("client-{number}"), &fill::questions(1)[0])?);
    }
    println!("{collections} collections, first search in a cold one: {}", Times(cold));
    println!("resident after asking all of them: {}", server.resident()?);
    Ok(())
}
