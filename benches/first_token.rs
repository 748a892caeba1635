//! How much later the first word of an answer comes than from the language model alone.
//!
//! `cargo bench --profile dev --bench first_token` fills a store with 40,000 seeded chunks (`STRONGROOM_BENCH_CHUNKS` says another
//! number), starts llama.cpp with a tiny model (`.ci/peers` installs it) and the real server, and asks questions in turn: through
//! Strongroom, which searches, attests, counts and asks; and the very request that it sent, sent straight to llama.cpp. What is left
//! between the two is ours. The machine decides absolute times, so both are printed.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints what it measured")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    dead_code,
    reason = "the tests' support is used"
)]

mod searching;
#[path = "../tests/support/mod.rs"]
mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use searching::{Outcome, Times, fill};
use serde_json::json;
use support::llama::{Llama, Relay, config};
use support::{Server, Start};

/// Pairs measured, after some to warm up.
const PAIRS: usize = 100;
const WARM_UP: usize = 10;

fn main() {
    if let Err(error) = run() {
        eprintln!("the bench could not be run: {error}");
        std::process::exit(1);
    }
}

fn run() -> Outcome {
    let chunks = std::env::var("STRONGROOM_BENCH_CHUNKS").ok().and_then(|text| text.parse().ok()).unwrap_or(40_000);
    let cores = std::thread::available_parallelism()?;
    println!("first token bench: {chunks} seeded chunks, all-MiniLM-L6-v2 int8, {cores} cores, own code as in profile dev");
    let home = tempfile::tempdir()?;
    let data = home.path().join("data");
    searching::fill_with(&data, chunks)?;
    for context in [2_048, 16_384] {
        measure(&data, context)?;
    }
    Ok(())
}

fn measure(data: &std::path::Path, context: usize) -> Outcome {
    // With its caches off, as the README has it: else it would keep the first of two equal prompts, which costs, and not the second.
    let llama = Llama::start(json!({ "n_ctx": context, "cache_prompt": false, "cache_ram_mib": 0, "cache_idle_slots": false }));
    // Both ways lead through it, so that what it costs is in both.
    let relay = Relay::before(llama.address);
    let config = config(relay.address, "small", "answer_tokens = 32");
    let server = Server::start(data, Start { config: &config, ..Start::default() });
    let (mut ours, mut theirs, mut between) = (Vec::new(), Vec::new(), Vec::new());
    let (mut searching, mut tokens) = (Vec::new(), 0);
    for (number, text) in fill::questions(WARM_UP + PAIRS).into_iter().enumerate() {
        let question = json!({ "question": format!("{text}."), "collections": [fill::NAME], "stream": true }).to_string();
        relay.forget();
        let (through, told) = first(server.address, "/api/v1/answers", &question, "event: answer")?;
        if !told.contains("\"name\":\"small\"") {
            return Err(format!("the model did not answer: {told}").into());
        }
        let sent = relay.asked();
        let (_, request) = sent.split_once("POST /v1/chat/completions").ok_or("the model was not asked")?;
        let (head, body) = request.split_once("\r\n\r\n").ok_or("the request has no body")?;
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let body = body.get(..length.unwrap_or(body.len())).ok_or("the request was cut")?;
        let (straight, told) = first(relay.address, "/v1/chat/completions", body, "\"delta\":{\"content\":\"")?;
        // A part of ours, for whoever wants to know where it goes.
        let search = json!({ "query": text, "collections": [fill::NAME], "mode": "hybrid", "limit": 10 }).to_string();
        let (searched, _) = first(server.address, "/api/v1/search", &search, "\"hits\"")?;
        if number >= WARM_UP {
            searching.push(searched);
            ours.push(through);
            theirs.push(straight);
            between.push(through.saturating_sub(straight));
            let counted = told.split("\"prompt_tokens\":").nth(1).unwrap_or_default();
            tokens += counted.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<usize>()?;
        }
    }
    println!("context {context}, prompts of {} tokens on average:", tokens / PAIRS);
    println!("  through Strongroom       {}", Times(ours));
    println!("  straight at llama.cpp    {}", Times(theirs));
    println!("  between, pair by pair    {}", Times(between));
    println!("  a search alone           {}", Times(searching));
    Ok(())
}

/// The time from sending a request to where `part` stands in the answer, and the answer when it has ended.
fn first(address: SocketAddr, path: &str, body: &str, part: &str) -> Outcome<(Duration, String)> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let began = Instant::now();
    let mut stream = TcpStream::connect(address)?;
    stream.write_all((head + body).as_bytes())?;
    let (mut read, mut took) = (Vec::new(), None);
    let mut buffer = [0; 65536];
    loop {
        let filled = stream.read(&mut buffer)?;
        if filled == 0 {
            break;
        }
        read.extend_from_slice(&buffer[..filled]);
        if took.is_none() && read.windows(part.len()).any(|window| window == part.as_bytes()) {
            took = Some(began.elapsed());
        }
    }
    let told = String::from_utf8_lossy(&read).into_owned();
    Ok((took.ok_or_else(|| format!("no first word in {told}"))?, told))
}
