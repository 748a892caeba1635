//! Speech servers for tests: one that says what a test wants, the real recogniser, and a voice that speaks to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::{PATIENCE, peers};

/// Samples a second of what espeak-ng writes.
pub const HERTZ: usize = 22_050;

/// A speech server that answers what a test wants. It ends with the test's process.
pub struct Scripted {
    pub address: SocketAddr,
    /// Recordings that came, as they came.
    pub heard: Receiver<Form>,
    answer: Arc<Mutex<(u16, String)>>,
}

/// A form as it came.
pub struct Form {
    pub authorization: Option<String>,
    pub body: Vec<u8>,
}

impl Form {
    pub fn holds(&self, text: &str) -> bool {
        self.body.windows(text.len()).any(|window| window == text.as_bytes())
    }
}

impl Scripted {
    pub fn start(status: u16, answer: &Value) -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").unwrap(), status, answer)
    }

    /// The same where a test has a port for it.
    pub fn listen(listener: TcpListener, status: u16, answer: &Value) -> Self {
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(Mutex::new((status, answer.to_string())));
        let (tell, heard) = channel();
        let answering = Arc::clone(&answer);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (tell, answer) = (tell.clone(), Arc::clone(&answering));
                std::thread::spawn(move || {
                    // Some tests end in the middle of a request.
                    let _ = serve(&stream.unwrap(), &answer, &tell);
                });
            }
        });
        Self { address, heard, answer }
    }

    /// How later recordings are answered.
    pub fn then(&self, status: u16, answer: &Value) {
        *self.answer.lock().unwrap() = (status, answer.to_string());
    }

    /// The next recording.
    pub fn form(&self) -> Form {
        self.heard.recv_timeout(PATIENCE).expect("no recording came")
    }

    /// A `[[speech]]` of the configuration.
    pub fn config(&self, lane: &str, more: &str) -> String {
        config(self.address.port(), lane, lane, more)
    }
}

fn config(port: u16, lane: &str, model: &str, more: &str) -> String {
    let url = format!("http://127.0.0.1:{port}/v1");
    format!("[[speech]]\nname = \"{lane}-one\"\nlane = \"{lane}\"\nurl = \"{url}\"\nmodel = \"{model}\"\n{more}\n")
}

fn serve(stream: &TcpStream, answer: &Mutex<(u16, String)>, tell: &Sender<Form>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut line) = (String::new(), String::new());
    while reader.read_line(&mut line)? > 2 {
        head.push_str(&line);
        line.clear();
    }
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}:")));
        line.map(|line| line[name.len() + 1..].trim().to_owned())
    };
    let mut body = vec![0; header("content-length").map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body)?;
    let (status, said) = if head.starts_with("POST /v1/audio/transcriptions ") {
        let _ = tell.send(Form { authorization: header("authorization"), body });
        answer.lock().unwrap().clone()
    } else {
        (404, "{}".into())
    };
    let mut stream = stream;
    let length = said.len();
    write!(
        stream,
        "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{said}"
    )
}

/// The real recogniser, a process of its own; ended when dropped.
pub struct Recogniser {
    child: Child,
    pub port: u16,
    lane: &'static str,
}

impl Recogniser {
    #[track_caller]
    pub fn start(lane: &'static str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/speech_server.py");
        let mut command = peers::python("python");
        let mut child = command.arg(script).arg(lane).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { port: line.trim().parse().expect("the recogniser did not start"), child, lane }
    }

    /// A `[[speech]]` of the configuration.
    pub fn config(&self) -> String {
        config(self.port, self.lane, self.lane, "")
    }
}

impl Drop for Recogniser {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The samples of a sentence as espeak-ng speaks it.
#[track_caller]
pub fn speak(sentence: &str) -> Vec<u8> {
    let remedy = "install espeak-ng (Debian: espeak-ng), which speaks the recordings of this test; `.ci/run tools` does";
    // Its output is a WAV file whose header says nothing of the length.
    let spoken =
        Command::new("espeak-ng").args(["-v", "en-us+klatt", "-s", "150", "--stdout", sentence]).output().expect(remedy);
    assert!(spoken.status.success() && spoken.stdout.starts_with(b"RIFF"), "espeak-ng does not speak: {remedy}");
    let data = spoken.stdout.windows(4).position(|window| window == b"data").unwrap();
    let hertz = u32::from_le_bytes(spoken.stdout[24..28].try_into().unwrap());
    assert_eq!(hertz as usize, HERTZ, "espeak-ng speaks in another rate than it used to");
    spoken.stdout[data + 8..].to_vec()
}

/// A WAV file of 16-bit mono.
pub fn wav(samples: &[u8], hertz: usize) -> Vec<u8> {
    let mut bytes = b"RIFF".to_vec();
    let number = |number: usize| (number as u32).to_le_bytes();
    bytes.extend(number(36 + samples.len()));
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    bytes.extend([number(hertz), number(hertz * 2)].concat());
    bytes.extend(b"\x02\0\x10\0data");
    bytes.extend(number(samples.len()));
    bytes.extend(samples);
    bytes
}
