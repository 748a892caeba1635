//! A language model that does what a test wants: an OpenAI-compatible server of a few lines.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::PATIENCE;

/// How it answers a request.
#[derive(Clone)]
pub enum Play {
    /// Streams these pieces.
    Words(Vec<&'static str>),
    /// Streams the first piece, and the others once the test says so.
    Stepwise(Vec<&'static str>),
    /// Streams these pieces, then closes the connection.
    Dies(Vec<&'static str>),
    /// Says nothing.
    Hangs,
    /// Answers this status and body.
    Answers(u16, &'static str),
    /// Answers the first request with the first pieces, the second with the second, and so on; the last ones stay.
    InTurn(Vec<Vec<&'static str>>),
    /// Names the first sum (`number7`) of the passages with its source, or all statements of the parts that it is to put together.
    Summarises,
    /// Refuses prompts of more bytes as too long, and answers shorter ones with these pieces.
    Most(usize, Vec<&'static str>),
}

/// A running one. It ends with the test's process.
pub struct Generator {
    pub address: SocketAddr,
    /// Requests that came, as they came.
    pub asked: Receiver<Asked>,
    /// One message for each connection that the other side closed while it was still being answered.
    pub hung_up: Receiver<()>,
    go_on: Sender<()>,
    play: Arc<Mutex<Play>>,
    pages: Arc<Mutex<Pages>>,
    counts: Arc<AtomicBool>,
    loads: Arc<AtomicBool>,
    ends: Arc<AtomicBool>,
}

/// What it says of itself, by path.
type Pages = HashMap<&'static str, Value>;

/// One request.
pub struct Asked {
    pub path: String,
    pub body: Value,
    pub authorization: Option<String>,
}

impl Generator {
    pub fn start(play: Play) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").unwrap(), play)
    }

    /// One that answers behind this listener.
    pub fn start_on(listener: TcpListener, play: Play) -> Self {
        let address = listener.local_addr().unwrap();
        let (tell, asked) = channel();
        let (gone, hung_up) = channel();
        let (go_on, steps) = channel();
        let (play, steps) = (Arc::new(Mutex::new(play)), Arc::new(Mutex::new(steps)));
        let pages = Arc::new(Mutex::new(Pages::new()));
        let (playing, telling) = (Arc::clone(&play), Arc::clone(&pages));
        let counts = Arc::new(AtomicBool::new(false));
        let counting = Arc::clone(&counts);
        let (loads, ends) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (loading, ending) = (Arc::clone(&loads), Arc::clone(&ends));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ending.load(Ordering::Relaxed) {
                    return;
                }
                if loading.load(Ordering::Relaxed) {
                    let stream = stream.unwrap();
                    let _ = read(&stream).and_then(|_| refuse(&stream, 503, "{\"error\":{\"message\":\"Loading model\"}}"));
                    continue;
                }
                let (tell, gone, steps) = (tell.clone(), gone.clone(), Arc::clone(&steps));
                let counts = counting.load(Ordering::Relaxed);
                let (play, pages) = (Arc::clone(&playing), telling.lock().unwrap().clone());
                std::thread::spawn(move || {
                    // A connection that breaks is what some tests want.
                    if serve(&stream.unwrap(), &play, &pages, counts, &tell, &steps).is_err() {
                        let _ = gone.send(());
                    }
                });
            }
        });
        Self { address, asked, hung_up, go_on, play, pages, counts, loads, ends }
    }

    /// Whether it says from now on that it loads its model.
    pub fn loads(&self, loads: bool) {
        self.loads.store(loads, Ordering::Relaxed);
    }

    /// Closes its port.
    pub fn stop(&self) {
        self.ends.store(true, Ordering::Relaxed);
        // Wakes whoever waits for a connection; then nobody listens any more.
        while TcpStream::connect(self.address).is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Counts each character as a token from now on.
    pub fn counts_characters(&self) {
        self.counts.store(true, Ordering::Relaxed);
    }

    /// What it says at a path from now on.
    pub fn says(&self, path: &'static str, what: Value) {
        self.pages.lock().unwrap().insert(path, what);
    }

    /// How later requests are answered.
    pub fn then(&self, play: Play) {
        *self.play.lock().unwrap() = play;
    }

    /// Lets the next piece of [`Play::Stepwise`] come.
    pub fn step(&self) {
        self.go_on.send(()).unwrap();
    }

    /// The next request.
    pub fn request(&self) -> Asked {
        self.asked.recv_timeout(PATIENCE).expect("the generator was not asked")
    }

    /// A `[[generator]]` of the configuration.
    pub fn config(&self, name: &str, more: &str) -> String {
        Self::config_at(self.address, name, more)
    }

    /// The same of one that may not run yet.
    pub fn config_at(address: SocketAddr, name: &str, more: &str) -> String {
        let url = format!("http://{address}/v1");
        format!("[[generator]]\nname = \"{name}\"\nkind = \"openai\"\nurl = \"{url}\"\nmodel = \"tiny\"\n{more}\n")
    }
}

fn serve(
    stream: &TcpStream,
    play: &Mutex<Play>,
    pages: &Pages,
    counts: bool,
    tell: &Sender<Asked>,
    steps: &Mutex<Receiver<()>>,
) -> std::io::Result<()> {
    let asked = read(stream)?;
    if let Some(page) = pages.get(asked.path.as_str()) {
        return refuse(stream, 200, &page.to_string());
    }
    if counts && asked.path == "/tokenize" {
        let characters = asked.body["content"].as_str().unwrap_or_default().chars().count();
        return refuse(stream, 200, &json!({ "tokens": vec![0; characters] }).to_string());
    }
    if !asked.path.contains("chat") {
        return refuse(stream, 404, "{}");
    }
    let play = &next(play);
    if let (true, Play::Words(words)) = (asked.path == "/api/chat", play) {
        let _ = tell.send(asked);
        return lines(stream, words);
    }
    let length = asked.body["messages"].to_string().len();
    let prompt = asked.body["messages"].as_array().and_then(|turns| turns.last()).map(|turn| turn["content"].clone());
    let prompt = prompt.and_then(|content| content.as_str().map(str::to_owned)).unwrap_or_default();
    let _ = tell.send(asked);
    match play {
        Play::Words(words) => said(stream, words),
        Play::InTurn(turns) => said(stream, turns.first().map_or(&[], Vec::as_slice)),
        Play::Summarises => said(stream, &[&summary(&prompt)]),
        Play::Most(most, words) if length <= *most => said(stream, words),
        Play::Most(..) => refuse(stream, 400, "{\"error\":{\"message\":\"the request exceeds the available context size\"}}"),
        Play::Answers(status, body) => refuse(stream, *status, body),
        Play::Dies(words) => {
            begin(stream)?;
            words.iter().try_for_each(|word| piece(stream, word))
        }
        Play::Hangs => closed(stream),
        Play::Stepwise(words) => {
            begin(stream)?;
            let mut words = words.iter();
            if let Some(first) = words.next() {
                piece(stream, first)?;
            }
            for word in words {
                // While it waits it looks whether the other side is still there.
                while steps.lock().unwrap().recv_timeout(Duration::from_millis(20)).is_err() {
                    alive(stream)?;
                }
                piece(stream, word)?;
            }
            end(stream)
        }
    }
}

fn read(stream: &TcpStream) -> std::io::Result<Asked> {
    let mut reader = BufReader::new(stream);
    let (mut length, mut authorization) = (0, None);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap(),
            "authorization" => authorization = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body: Value =
        if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).map_err(std::io::Error::other)? };
    Ok(Asked { path, body, authorization })
}

/// How this request is answered.
fn next(play: &Mutex<Play>) -> Play {
    let mut play = play.lock().unwrap();
    let now = play.clone();
    if let Play::InTurn(turns) = &mut *play
        && turns.len() > 1
    {
        turns.remove(0);
    }
    now
}

/// What [`Play::Summarises`] says.
fn summary(prompt: &str) -> String {
    let passages = prompt.split("<passage ").skip(1).filter_map(|passage| passage.split_once(">\n"));
    if prompt.contains("<passage part=") {
        return passages.map(|(_, rest)| rest.split("\n</passage>").next().unwrap_or_default()).collect::<Vec<_>>().join(" ");
    }
    for (head, text) in passages {
        let number = head.split('"').nth(1).unwrap_or_default();
        if let Some(sum) = text.split_once(" number").and_then(|(_, rest)| rest.split(' ').next()) {
            return format!("The sum number{sum} is due [{number}].");
        }
    }
    "NOT FOUND".into()
}

/// An answer as Ollama's own API streams it.
fn lines(mut stream: &TcpStream, words: &[&str]) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n")?;
    for word in words {
        let line = json!({ "message": { "role": "assistant", "content": word }, "done": false });
        stream.write_all(format!("{line}\n").as_bytes())?;
    }
    let end =
        json!({ "message": { "role": "assistant", "content": "" }, "done": true, "prompt_eval_count": 11, "eval_count": 7 });
    stream.write_all(format!("{end}\n").as_bytes())
}

fn said(stream: &TcpStream, words: &[&str]) -> std::io::Result<()> {
    begin(stream)?;
    words.iter().try_for_each(|word| piece(stream, word))?;
    end(stream)
}

fn begin(mut stream: &TcpStream) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
}

fn piece(mut stream: &TcpStream, word: &str) -> std::io::Result<()> {
    let chunk = json!({ "choices": [{ "index": 0, "delta": { "content": word }, "finish_reason": null }] });
    stream.write_all(format!("data: {chunk}\n\n").as_bytes())
}

fn end(mut stream: &TcpStream) -> std::io::Result<()> {
    let stop = json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] });
    let usage = json!({ "choices": [], "usage": { "prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18 } });
    stream.write_all(format!("data: {stop}\n\ndata: {usage}\n\ndata: [DONE]\n\n").as_bytes())
}

fn refuse(mut stream: &TcpStream, status: u16, body: &str) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nLocation: http://203.0.113.1/\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes())
}

/// An error once the other side has closed.
fn alive(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_millis(1)))?;
    match (&mut &*stream).read(&mut [0]) {
        Ok(0) => Err(std::io::Error::other("closed")),
        Err(error) if !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => Err(error),
        _ => Ok(()),
    }
}

fn closed(mut stream: &TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    match stream.read(&mut [0]) {
        Ok(0) | Err(_) => Err(std::io::Error::other("closed")),
        Ok(_) => Ok(()),
    }
}
