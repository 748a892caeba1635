//! Machines that sleep: woken by a magic packet, waited for while the asker is told, counted, and told to sleep again; and the line
//! in front of a model that does only so much at once.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::generator::{Generator, Play};
use crate::support::http::Open;
use crate::support::{PATIENCE, Server, Start, command};

const LEASE: &str = "The notice period for termination of this lease is ninety days.";
const QUESTION: &str = "What is the notice period for termination of the lease?";
const MAC: [u8; 6] = [0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0x0f];

/// A machine whose model begins to listen when the magic packet comes.
struct Sleeper {
    /// Where its model will be.
    address: SocketAddr,
    /// Where it listens for packets while it sleeps.
    card: UdpSocket,
}

impl Sleeper {
    fn new() -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let card = UdpSocket::bind("127.0.0.1:0").unwrap();
        card.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { address, card }
    }

    fn config(&self, name: &str, wake: &str, more: &str) -> String {
        let card = self.card.local_addr().unwrap();
        let wake = format!("wake = {{ mac = \"aa:bb:cc:dd:ee:0f\", address = \"{card}\", {wake} }}\n{more}");
        Generator::config_at(self.address, name, &wake)
    }

    /// Waits for the next packet, which must be the magic one.
    fn packet(&self) {
        let mut bytes = [0; 200];
        let length = self.card.recv(&mut bytes).unwrap();
        let expected: Vec<u8> = [[0xff; 6]].into_iter().chain([MAC; 16]).flatten().collect();
        assert_eq!(bytes[..length], expected);
    }

    /// Drops those that came already.
    fn forget_packets(&self) {
        self.card.set_nonblocking(true).unwrap();
        while self.card.recv(&mut [0; 200]).is_ok() {}
        self.card.set_nonblocking(false).unwrap();
    }

    /// Wakes up at the next packet.
    fn wakes(&self, play: Play) -> Receiver<Generator> {
        let (up, awake) = channel();
        let (address, card) = (self.address, self.card.try_clone().unwrap());
        let sleeper = Self { address, card };
        std::thread::spawn(move || {
            sleeper.packet();
            let _ = up.send(Generator::start_on(TcpListener::bind(address).unwrap(), play));
        });
        awake
    }
}

fn words() -> Play {
    Play::Words(vec!["Ninety days [1]."])
}

fn started(home: &Path, config: &str) -> Server {
    let server = Server::start(&home.join("data"), Start { config, ..Start::default() });
    server.create("acme");
    assert_eq!(server.put("acme", "lease.txt", LEASE).status, 201);
    server
}

fn question(stream: bool) -> Value {
    json!({ "question": QUESTION, "collections": ["acme"], "stream": stream })
}

fn answer(server: &Server) -> Value {
    let reply = server.request("POST", "/api/v1/answers", Some(&question(false)));
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

/// A number of `/metrics` with one label.
fn counted(server: &Server, name: &str, label: &str) -> f64 {
    let text = server.get("/metrics").text();
    let line = text.lines().find(|line| line.starts_with(&format!("{name}{{{label}}} ")));
    line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

fn wait_until(what: &str, server: &Server, check: impl Fn() -> bool) {
    let begun = Instant::now();
    while !check() {
        assert!(begun.elapsed() < PATIENCE, "waited for {what}:\n{}", server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

const GPU: &str = "generator=\"gpu\"";

#[test]
fn a_sleeping_machine_is_woken_and_the_question_is_held_meanwhile() {
    let home = tempfile::tempdir().unwrap();
    let sleeper = Sleeper::new();
    let server = started(home.path(), &sleeper.config("gpu", "within = \"10m\"", ""));
    // Looking wakes nothing.
    let looked = server.get("/api/v1/generators").json();
    assert_eq!((&looked["generators"][0]["state"], &looked["generators"][0]["awake"]["wakes"]), (&json!("asleep"), &json!(0)));
    let mut open = Open::post(server.address, "/api/v1/answers", &question(true));
    open.wait_for("event: status\ndata: {\"status\":\"waking\",\"generator\":\"gpu\",\"seconds\":");
    assert!(!open.read.contains("event: answer"), "{}", open.read);
    let awake = sleeper.wakes(words());
    open.wait_for("event: done");
    let done = open.read.split("event: done").nth(1).unwrap().trim().trim_start_matches("data: ").to_owned();
    open.wait_for("\n\n");
    assert!(done.contains("\"name\":\"gpu\"") && done.contains("Ninety days [1]."), "{}", open.read);
    let model = awake.recv_timeout(PATIENCE).unwrap();
    assert_eq!(counted(&server, "strongroom_generator_wakes_total", GPU), 1.0);
    assert!(counted(&server, "strongroom_generator_waited_seconds_total", GPU) > 0.0);
    assert!(counted(&server, "strongroom_outbound_requests_total", "client=\"wake\"") >= 1.0);
    assert!(counted(&server, "strongroom_outbound_sent_bytes_total", "client=\"wake\"") >= 102.0);

    // Awake, it is asked at once.
    assert_eq!(answer(&server)["generator"]["name"], "gpu");
    assert_eq!(counted(&server, "strongroom_generator_wakes_total", GPU), 1.0);
    let looked = server.get("/api/v1/generators").json();
    let look = &looked["generators"][0];
    assert_eq!((&look["state"], &look["attested"]["endpoint"]), (&json!("ready"), &json!(sleeper.address.to_string())));
    let up = look["awake"]["awake_seconds"].as_f64().unwrap();
    assert!(up > 0.0, "{look}");

    // It fell asleep by itself, and an Open WebUI asks: told there as well, until the words come.
    model.stop();
    sleeper.forget_packets();
    let _awake = sleeper.wakes(words());
    let messages = json!([{ "role": "user", "content": QUESTION }]);
    let body = json!({ "model": "strongroom/acme", "stream": true, "messages": messages });
    let streamed = server.request("POST", "/v1/chat/completions", Some(&body)).text();
    let at = |part: &str| streamed.find(part).unwrap_or_else(|| panic!("no {part} in {streamed}"));
    let waking = at("\"description\":\"Waking gpu (");
    assert!(waking < at("Writing the answer") && at("Writing the answer") < at("Ninety days [1]."), "{streamed}");
    assert_eq!(counted(&server, "strongroom_generator_wakes_total", GPU), 2.0);
    assert!(counted(&server, "strongroom_generator_awake_seconds_total", GPU) >= up);
    assert!(!server.log().contains("ninety") && !server.log().contains("notice"), "{}", server.log());
}

#[test]
fn one_that_does_not_wake_in_time_is_passed_over_and_the_answer_says_so() {
    let home = tempfile::tempdir().unwrap();
    let (sleeper, second) = (Sleeper::new(), Generator::start(words()));
    let gpu = sleeper.config("gpu", "within = \"1s\"", "");
    let server = started(home.path(), &(gpu.clone() + &second.config("second", "")));
    let told = answer(&server);
    assert_eq!((&told["generator"]["name"], &told["tried"][0]["name"]), (&json!("second"), &json!("gpu")), "{told}");
    assert!(told["tried"][0]["why"].as_str().unwrap().contains("was woken, and it was not ready within 1 s"), "{told}");
    sleeper.packet();

    let home = tempfile::tempdir().unwrap();
    let server = started(home.path(), &gpu);
    let mut open = Open::post(server.address, "/api/v1/answers", &question(true));
    open.wait_for("event: done");
    open.wait_for("\"tried\"");
    assert!(open.read.contains("event: status") && open.read.contains("\"name\":\"extracts\""), "{}", open.read);
    assert!(open.read.contains(LEASE), "{}", open.read);
    assert_eq!(counted(&server, "strongroom_generator_wakes_total", GPU), 0.0);
    assert!(counted(&server, "strongroom_generator_waited_seconds_total", GPU) >= 1.0);
    // Whoever asks later finds it awake, if it is by then.
    let _model = Generator::start_on(TcpListener::bind(sleeper.address).unwrap(), words());
    assert_eq!(answer(&server)["generator"]["name"], "gpu");
}

#[test]
fn questions_that_come_together_wake_it_once() {
    let home = tempfile::tempdir().unwrap();
    let sleeper = Sleeper::new();
    let server = started(home.path(), &sleeper.config("gpu", "within = \"10m\"", ""));
    let mut open: Vec<Open> = (0..5).map(|_| Open::post(server.address, "/api/v1/answers", &question(true))).collect();
    open.iter_mut().for_each(|open| open.wait_for("event: status"));
    let awake = sleeper.wakes(words());
    for open in &mut open {
        open.wait_for("event: done");
        open.wait_for("Ninety days [1].");
    }
    assert_eq!(counted(&server, "strongroom_generator_wakes_total", GPU), 1.0);
    drop(awake);
}

#[test]
fn a_model_that_still_loads_is_waited_for() {
    let home = tempfile::tempdir().unwrap();
    let sleeper = Sleeper::new();
    let model = Generator::start_on(TcpListener::bind(sleeper.address).unwrap(), words());
    model.loads(true);
    let server = started(home.path(), &sleeper.config("gpu", "within = \"10m\"", ""));
    let mut open = Open::post(server.address, "/api/v1/answers", &question(true));
    open.wait_for("\"status\":\"waking\"");
    model.loads(false);
    open.wait_for("Ninety days [1].");
    // It was never asleep, so nothing was sent.
    assert_eq!(counted(&server, "strongroom_outbound_requests_total", "client=\"wake\""), 0.0);
    assert_eq!(counted(&server, "strongroom_generator_wakes_total", GPU), 0.0);
}

#[test]
fn nobody_is_waited_for_whose_asker_has_gone() {
    let home = tempfile::tempdir().unwrap();
    let sleeper = Sleeper::new();
    let server = started(home.path(), &sleeper.config("gpu", "within = \"15m\"", ""));
    let mut open = Open::post(server.address, "/api/v1/answers", &question(true));
    open.wait_for("\"status\":\"waking\"");
    sleeper.packet();
    assert_eq!(counted(&server, "strongroom_generator_waited_seconds_total", GPU), 0.0);
    drop(open);
    // Waiting is counted when it ends.
    wait_until("the end of waiting", &server, || counted(&server, "strongroom_generator_waited_seconds_total", GPU) > 0.0);
}

#[test]
fn a_machine_that_was_woken_is_told_to_sleep_when_nobody_asks() {
    let home = tempfile::tempdir().unwrap();
    let (sleeper, marker) = (Sleeper::new(), home.path().join("told to sleep; once"));
    let sleep = format!("sleep = {{ command = [\"touch\", \"{}\"], after = \"1s\" }}", marker.display());
    let server = started(home.path(), &sleeper.config("gpu", "within = \"10m\"", &sleep));
    let awake = sleeper.wakes(words());
    assert_eq!(answer(&server)["generator"]["name"], "gpu");
    let model = awake.recv_timeout(PATIENCE).unwrap();
    wait_until("the sleep command", &server, || marker.exists());
    model.stop();
    wait_until("it to sleep", &server, || server.log().contains("put to sleep"));
    assert!(counted(&server, "strongroom_generator_awake_seconds_total", GPU) > 0.0);
    assert!(!server.log().contains("told to sleep; once"), "the command is nobody's business: {}", server.log());

    // Woken again, it is told to sleep again.
    std::fs::remove_file(&marker).unwrap();
    sleeper.forget_packets();
    let awake = sleeper.wakes(words());
    assert_eq!(answer(&server)["generator"]["name"], "gpu");
    assert_eq!(counted(&server, "strongroom_generator_wakes_total", GPU), 2.0);
    let model = awake.recv_timeout(PATIENCE).unwrap();
    wait_until("the sleep command", &server, || marker.exists());
    model.stop();
}

#[test]
fn a_machine_that_somebody_else_woke_is_left_awake() {
    let home = tempfile::tempdir().unwrap();
    let (sleeper, marker) = (Sleeper::new(), home.path().join("marker"));
    let _model = Generator::start_on(TcpListener::bind(sleeper.address).unwrap(), words());
    let sleep = format!("sleep = {{ command = [\"touch\", \"{}\"], after = \"1s\" }}", marker.display());
    let server = started(home.path(), &sleeper.config("gpu", "within = \"10m\"", &sleep));
    assert_eq!(answer(&server)["generator"]["name"], "gpu");
    std::thread::sleep(Duration::from_secs(3));
    assert!(!marker.exists());
}

#[test]
fn the_doctor_says_that_it_sleeps_and_wakes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let sleeper = Sleeper::new();
    let data = home.path().join("data");
    std::fs::write(home.path().join("data.toml"), sleeper.config("gpu", "within = \"10m\"", "")).unwrap();
    let config = home.path().join("data.toml");
    let output = command(&data, &["doctor", "--config", config.to_str().unwrap()]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("gpu: asleep; the next question wakes it"), "{told}");
    sleeper.card.set_nonblocking(true).unwrap();
    assert!(sleeper.card.recv(&mut [0; 200]).is_err(), "a packet was sent");
}

#[test]
fn more_than_it_does_at_once_waits_in_line() {
    let home = tempfile::tempdir().unwrap();
    let model = Generator::start(Play::Stepwise(vec!["Ninety ", "days [1]."]));
    let server = started(home.path(), &model.config("gpu", "at_once = 1"));
    let mut first = Open::post(server.address, "/api/v1/answers", &question(true));
    first.wait_for("{\"delta\":\"Ninety \"}");
    let mut second = Open::post(server.address, "/api/v1/answers", &question(true));
    second.wait_for("event: status\ndata: {\"status\":\"queued\",\"generator\":\"gpu\",\"seconds\":");
    model.request();
    assert!(model.asked.try_recv().is_err(), "it was asked while it was busy");
    model.step();
    first.wait_for("event: done");
    second.wait_for("{\"delta\":\"Ninety \"}");
    model.step();
    second.wait_for("event: done");
}
