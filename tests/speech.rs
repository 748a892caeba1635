//! Recordings: written down by a real recogniser of either lane, found by search with their time, and sent nowhere else.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::http::Reply;
use crate::support::lookout::Lookout;
use crate::support::speech::{HERTZ, Recogniser, Scripted, speak, wav};
use crate::support::{Server, Start, command};

/// What is said, and a word of it that is said nowhere else and that the recogniser does not mishear.
const SENTENCES: [(&str, &str); 20] = [
    ("My brother has a bicycle.", "bicycle"),
    ("The university has a large library.", "library"),
    ("The temperature is seventy degrees.", "degrees"),
    ("They live in Mississippi.", "mississippi"),
    ("The hospital is next to the church.", "hospital"),
    ("There are a thousand people in the stadium.", "stadium"),
    ("Christmas is in December.", "christmas"),
    ("My birthday is in October.", "birthday"),
    ("The museum is closed today.", "museum"),
    ("The lawyer read the contract.", "lawyer"),
    ("The history of the Roman empire.", "empire"),
    ("Our teacher is from Germany.", "germany"),
    ("Our teacher is from Australia.", "australia"),
    ("The scientists discovered a new planet.", "scientists"),
    ("The astronauts went to the moon.", "astronauts"),
    ("The magazine is on the table.", "magazine"),
    ("Hydrogen is an element.", "hydrogen"),
    ("The submarine is under the water.", "submarine"),
    ("She is a professional musician.", "musician"),
    ("The population of the city is growing.", "population"),
];
/// So far may a time lie from where the sentence begins in the recording, in seconds.
const NEAR: f64 = 0.5;
const KINDS: [(&str, &str); 5] = [
    ("call.mp3", "audio/mpeg"),
    ("call.flac", "audio/flac"),
    ("call.m4a", "audio/mp4"),
    ("opus.ogg", "audio/ogg"),
    ("vorbis.ogg", "audio/ogg"),
];

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("ingest/fixtures/recordings").join(name)).unwrap()
}

fn answer() -> Value {
    json!({
        "language": "english", "duration": 70.5, "text": "Good morning. The canary sings.",
        "segments": [
            { "id": 0, "start": 0.5, "end": 2.0, "text": " Good morning." },
            { "id": 1, "start": 62.25, "end": 64.0, "text": " The canary sings at noon." },
        ],
    })
}

/// A form with a file and other fields, as clients of OpenAI send it.
fn transcribe(server: &Server, file: &[u8], fields: &[(&str, &str)]) -> Reply {
    let mut body = Vec::new();
    for (name, value) in fields {
        let part = format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend(part.as_bytes());
    }
    body.extend(b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"secret name.wav\"\r\n\r\n");
    body.extend(file);
    body.extend(b"\r\n--x--\r\n");
    server.send("POST", "/v1/audio/transcriptions", &[("Content-Type", "multipart/form-data; boundary=x")], &body)
}

/// Asserts a refusal in OpenAI's shape; what it says.
#[track_caller]
fn refused(reply: &Reply, status: u16, code: &str) -> String {
    assert_eq!((reply.status, reply.json()["error"]["code"].as_str()), (status, Some(code)), "{}", reply.text());
    reply.json()["error"]["message"].as_str().unwrap().to_owned()
}

fn put(server: &Server, path: &str, bytes: &[u8]) -> Reply {
    server.send("PUT", &format!("/api/v1/collections/acme/documents/{path}?wait=true"), &[], bytes)
}

fn document(server: &Server, path: &str) -> Value {
    let reply = server.get(&format!("/api/v1/collections/acme/documents/{path}"));
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

fn started(home: &tempfile::TempDir, config: &str) -> Server {
    let server = Server::start(&home.path().join("data"), Start { config, ..Start::default() });
    server.create("acme");
    server
}

/// What the server counted of what it asked others, by client.
fn outbound(server: &Server) -> Vec<(String, u64)> {
    let text = server.get("/metrics").text();
    let line = |line: &str| {
        let (client, count) = line.strip_prefix("strongroom_outbound_requests_total{client=\"")?.split_once("\"} ")?;
        Some((client.to_owned(), count.parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

/// The recording of all sentences, and when each begins in it.
fn talk() -> (Vec<u8>, Vec<f64>) {
    let (mut samples, mut begins) = (Vec::new(), Vec::new());
    for (sentence, _) in SENTENCES {
        begins.push(samples.len() as f64 / 2.0 / HERTZ as f64);
        samples.extend(speak(sentence));
        // A second of silence.
        samples.resize(samples.len() + 2 * HERTZ, 0);
    }
    (wav(&samples, HERTZ), begins)
}

#[test]
fn twenty_spoken_sentences_are_found_with_their_time_in_both_lanes() {
    let home = tempfile::tempdir().unwrap();
    let (recording, begins) = talk();
    let lanes = ["fast", "accurate"];
    let recognisers = lanes.map(Recogniser::start);
    let folder = home.path().join("clients");
    for lane in lanes {
        std::fs::create_dir_all(folder.join("Acme").join(lane)).unwrap();
        std::fs::write(folder.join("Acme").join(lane).join("talk.wav"), &recording).unwrap();
    }
    let rule = "[transcription]\nfast_folders = [\"acme/fast\"]\naccurate_folders = [\"*/accurate\"]\n";
    let config = recognisers.each_ref().map(Recogniser::config).concat() + rule;
    let server = Server::start(
        &home.path().join("data"),
        Start { folders: vec![&folder as &Path], config: &config, ..Start::default() },
    );
    let lookout = Lookout::on(&server);
    server.wait_indexed("acme", 2);
    for (lane, recogniser) in lanes.into_iter().zip(&recognisers) {
        let path = format!("{lane}/talk.wav");
        let record = document(&server, &path);
        let by = &record["transcription"];
        assert_eq!((&by["lane"], &by["chosen_by"], &by["model"]), (&json!(lane), &json!("folder"), &json!(lane)), "{record}");
        assert_eq!(by["endpoint"], format!("127.0.0.1:{}", recogniser.port), "{record}");
        assert!(by["process"].as_str().is_some_and(|process| process.starts_with("python")), "{record}");
        assert_eq!((&record["media_type"], &record["pages"]), (&json!("audio/wav"), &json!(2)), "{record}");
        for ((sentence, word), begin) in SENTENCES.into_iter().zip(&begins) {
            let body = json!({ "query": word, "collections": ["acme"], "mode": "lexical", "filter": { "paths": [path] } });
            let found = server.search_with(&body);
            let hit = &found["hits"][0];
            let text = hit["text"].as_str().unwrap_or_else(|| panic!("{lane} misheard {sentence:?}: {found}"));
            let moments = hit["time"]["moments"].as_array().unwrap();
            // The piece that holds the word says when.
            let said = |moment: &&Value| {
                let at = |end: &str| (moment[end].as_u64().unwrap() - hit["start"].as_u64().unwrap()) as usize;
                text.chars().skip(at("start")).take(at("end") - at("start")).collect::<String>().contains(word)
            };
            let from = moments.iter().find(said).and_then(|moment| moment["from"].as_f64()).unwrap();
            assert!((from - begin).abs() < NEAR, "{sentence:?} begins at {begin}, and was found at {from}: {hit}");
            assert_eq!(hit["page"], (from / 60.0) as u64 + 1, "a page is a minute: {hit}");
            let (start, end) = (hit["time"]["start"].as_f64().unwrap(), hit["time"]["end"].as_f64().unwrap());
            assert!(start <= from && from < end, "{hit}");
        }
        let fields = [("model", if lane == "fast" { "strongroom-fast" } else { "strongroom-accurate" })];
        let reply = transcribe(&server, &recording, &[fields[0], ("response_format", "verbose_json")]);
        assert_eq!(reply.status, 200, "{}", reply.text());
        let reply = reply.json();
        assert_eq!((&reply["strongroom"]["lane"], &reply["strongroom"]["chosen_by"]), (&json!(lane), &json!("request")));
        let segments = reply["segments"].as_array().unwrap();
        for ((sentence, word), begin) in SENTENCES.into_iter().zip(&begins) {
            let holds = |segment: &&Value| segment["text"].as_str().unwrap().contains(word);
            let start = segments.iter().find(holds).and_then(|segment| segment["start"].as_f64());
            assert!(start.is_some_and(|start| (start - begin).abs() < NEAR), "{lane}: {sentence:?} at {begin}: {reply}");
        }
    }
    let allowed: BTreeSet<SocketAddr> = recognisers.iter().map(|one| ([127, 0, 0, 1], one.port).into()).collect();
    let seen = lookout.seen();
    assert!(seen.is_subset(&allowed), "the server spoke to somebody else: {seen:?}");
    assert!(seen == allowed || cfg!(not(target_os = "linux")), "so long a connection was not seen: {seen:?}");
    let counted = outbound(&server);
    assert!(counted.len() == 1 && counted[0].0 == "speech", "{counted:?}");
}

#[test]
fn without_a_speech_server_recordings_are_unsupported_until_there_is_one() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("acme");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("note.wav"), wav(&[0; 16_000], 8000)).unwrap();
    let watch = format!("[[watch]]\nname = \"acme\"\npath = {:?}\n", folder);
    let data = home.path().join("data");
    let server = Server::start(&data, Start { config: &watch, ..Start::default() });
    server.wait_for("acme", "an unreadable recording", |record| record["documents"]["unreadable"] == 1);
    let record = document(&server, "note.wav");
    assert_eq!((&record["state"], &record["reason"]), (&json!("unreadable"), &json!("unsupported")));
    assert_eq!(record["detail"], "it is a sound recording, and no speech server is configured");
    refused(&transcribe(&server, b"x", &[("model", "whisper-1")]), 501, "no_speech");
    assert_eq!(outbound(&server), []);
    server.stop();

    let speech = Scripted::start(200, &answer());
    let config = format!("{watch}{}", speech.config("fast", ""));
    let server = Server::start(&data, Start { config: &config, ..Start::default() });
    server.wait_indexed("acme", 1);
    let record = document(&server, "note.wav");
    assert_eq!((&record["transcription"]["lane"], &record["transcription"]["chosen_by"]), (&json!("fast"), &json!("only")));
    assert_eq!(server.found("acme", "canary"), ["note.wav"]);
}

#[test]
fn every_kind_of_recording_is_sent_under_no_name_and_cited_with_its_time() {
    let home = tempfile::tempdir().unwrap();
    let speech = Scripted::start(200, &answer());
    let server = started(&home, &speech.config("accurate", "timeout = \"1m\""));
    let lookout = Lookout::on(&server);
    for (name, media_type) in KINDS {
        let reply = put(&server, &format!("private/{name}"), &fixture(name));
        assert_eq!(reply.status, 201, "{name}: {}", reply.text());
        let record = reply.json();
        assert_eq!(
            (&record["media_type"], &record["pages"], &record["title"]),
            (&json!(media_type), &json!(2), &json!("A call"))
        );
        assert_eq!((&record["author"], &record["engines"]), (&json!("Ada"), &json!("accurate-one (accurate)")));
        let form = speech.form();
        let ending = name.rsplit('.').next().unwrap();
        assert!(form.holds(&format!("filename=\"recording.{ending}\"\r\nContent-Type: {media_type}\r\n")), "{name}");
        assert!(form.holds("name=\"model\"\r\n\r\naccurate\r\n") && form.holds("verbose_json") && !form.holds("private"));
        assert!(form.body.windows(fixture(name).len()).any(|window| window == fixture(name)), "{name} came changed");
    }
    // The same bytes elsewhere are not heard twice.
    assert_eq!(put(&server, "again.mp3", &fixture("call.mp3")).status, 201);
    assert!(speech.heard.try_recv().is_err());

    let text = server.get("/api/v1/collections/acme/documents/again.mp3/text").text();
    assert_eq!(text, "Good morning.\n\nThe canary sings at noon.");
    let ask = json!({ "question": "When does the canary sing?", "collections": ["acme"] });
    let told = server.request("POST", "/api/v1/answers", Some(&ask)).json();
    let citation = &told["citations"][0];
    assert_eq!((&citation["page"], &citation["time"]["clock"]), (&json!(2), &json!("00:01:02-00:01:04")), "{told}");
    assert_eq!((&citation["time"]["start"], &citation["verified"]), (&json!(62.25), &json!(true)));
    let hit = &server.search("acme", "lexical", "canary")[0];
    assert_eq!((&hit["heading_path"], &hit["time"]["end"]), (&json!("00:01:02"), &json!(64.0)), "{hit}");
    let seen = lookout.seen();
    assert!(seen.is_subset(&BTreeSet::from([speech.address])), "the server spoke to somebody else: {seen:?}");
    let log = server.log();
    assert!(!log.contains("canary") && !log.contains("private/"), "{log}");
}

#[test]
fn a_recording_waits_for_a_server_that_is_down_and_is_lost_to_one_that_refuses_it() {
    let home = tempfile::tempdir().unwrap();
    let place = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = format!("[[speech]]\nname = \"late\"\nlane = \"fast\"\nurl = \"http://{place}/v1\"\nmodel = \"tiny\"\n");
    let server = started(&home, &config);
    let reply = put(&server, "a.mp3", &fixture("call.mp3"));
    assert!(reply.status >= 200, "{}", reply.text());
    server.wait_for("acme", "a failed document", |record| record["documents"]["failed"] == 1);
    let detail = document(&server, "a.mp3")["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("late: it cannot be reached"), "{detail}");
    let said = refused(&transcribe(&server, &fixture("call.mp3"), &[("model", "whisper-1")]), 503, "speech_unavailable");
    assert!(said.contains("late: it cannot be reached"), "{said}");

    let speech = Scripted::listen(TcpListener::bind(place).unwrap(), 200, &answer());
    server.wait_indexed("acme", 1);
    assert!(speech.form().holds("recording.mp3"));
    speech.then(422, &json!({}));
    let reply = put(&server, "b.flac", &fixture("call.flac"));
    assert_eq!(reply.problem(422, "unreadable")["reason"], "unsupported");
    let said = refused(&transcribe(&server, &fixture("call.flac"), &[]), 422, "unreadable");
    assert!(said.contains("cannot make anything of it (422"), "{said}");
}

#[test]
fn a_server_that_is_not_what_it_should_be_hears_nothing() {
    let home = tempfile::tempdir().unwrap();
    let speech = Scripted::start(200, &answer());
    let weights = home.path().join("weights.bin");
    std::fs::write(&weights, "others").unwrap();
    let pinned = format!("digest = \"sha256:{}\"\nfile = {weights:?}", "2".repeat(64));
    let server = started(&home, &speech.config("fast", &pinned));
    put(&server, "a.mp3", &fixture("call.mp3"));
    server.wait_for("acme", "a failed document", |record| record["documents"]["failed"] == 1);
    let detail = document(&server, "a.mp3")["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("the configuration pins"), "{detail}");
    assert!(speech.heard.try_recv().is_err(), "it was shown a recording");
    let doctor = command(&server.data, &["doctor", "--config", server.data.with_extension("toml").to_str().unwrap()]);
    let told = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(told.contains("speech server: fast-one (fast): it is not used: its digest is"), "{told}");
    drop(server);

    // Where nothing contradicts it, what was found out is kept with the text.
    let config = speech.config("fast", &format!("file = {weights:?}\napi_key_env = \"SPEECH_KEY\""));
    let environment = vec![("SPEECH_KEY", "k-1".to_owned())];
    let server = Server::start(&home.path().join("data"), Start { config: &config, environment, ..Start::default() });
    server.wait_indexed("acme", 1);
    let by = document(&server, "a.mp3")["transcription"].clone();
    assert!(by["digest"].as_str().is_some_and(|digest| digest.starts_with("sha256:")), "{by}");
    assert_eq!((&by["language"], &by["name"]), (&json!("english"), &json!("fast-one")));
    assert_eq!(speech.form().authorization.as_deref(), Some("Bearer k-1"));
}

#[test]
fn a_recording_inside_a_mail_is_found_under_the_mail() {
    let home = tempfile::tempdir().unwrap();
    let speech = Scripted::start(200, &answer());
    let server = started(&home, &speech.config("fast", ""));
    let mail = "From: a@b.example\r\nSubject: Your voice mail\r\nDate: Thu, 1 Jan 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n\
                Content-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\nContent-Type: text/plain\r\n\r\nPlease listen to it.\r\n--y\r\n\
                Content-Type: audio/wav; name=\"voice.wav\"\r\nContent-Disposition: attachment; filename=\"voice.wav\"\r\n\
                Content-Transfer-Encoding: base64\r\n\r\n";
    use base64::Engine as _;
    let attached = base64::engine::general_purpose::STANDARD.encode(wav(&[0; 1600], 8000));
    let reply = put(&server, "mail.eml", format!("{mail}{attached}\r\n--y--\r\n").as_bytes());
    assert_eq!(reply.status, 201, "{}", reply.text());
    let member = &reply.json()["members"][0];
    assert_eq!(
        (&member["path"], &member["transcription"]["lane"]),
        (&json!("mail.eml!/voice.wav"), &json!("fast")),
        "{member}"
    );
    assert_eq!(server.found("acme", "canary"), ["mail.eml!/voice.wav"]);
    assert_eq!(server.found("acme", "listen"), ["mail.eml"]);
}

#[test]
fn recordings_of_openai_clients_come_back_in_their_formats_and_are_not_kept() {
    let home = tempfile::tempdir().unwrap();
    let speech = Scripted::start(200, &answer());
    let server = started(&home, &speech.config("fast", ""));
    let recording = wav(&[0; 1600], 8000);
    let ids = |reply: &Reply| -> Vec<String> {
        reply.json()["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&server.get("/v1/models")), ["strongroom", "strongroom/acme", "strongroom-embed", "strongroom-fast"]);
    let reply = transcribe(&server, &recording, &[("model", "whisper-1"), ("language", "en"), ("temperature", "0")]);
    assert_eq!(reply.json()["text"], "Good morning. The canary sings at noon.", "{}", reply.text());
    assert_eq!(reply.json()["strongroom"]["chosen_by"], "only");
    let form = speech.form();
    assert!(form.holds("name=\"language\"\r\n\r\nen\r\n") && !form.holds("secret name"));
    let text = transcribe(&server, &recording, &[("model", "strongroom-fast"), ("response_format", "vtt")]);
    assert_eq!(text.header("content-type"), Some("text/vtt; charset=utf-8"));
    assert!(text.text().contains("00:01:02.250 --> 00:01:04.000\nThe canary sings at noon."), "{}", text.text());
    refused(&transcribe(&server, &recording, &[("model", "strongroom-accurate")]), 404, "model_not_found");
    refused(&transcribe(&server, &recording, &[("response_format", "diarized_json")]), 400, "bad_field");
    refused(&transcribe(&server, b"Only words.", &[("model", "whisper-1")]), 422, "unreadable");
    let form = [("Content-Type", "multipart/form-data; boundary=x")];
    refused(&server.send("POST", "/v1/audio/transcriptions", &form, b"--x--\r\n"), 400, "bad_field");
    let files: Vec<PathBuf> = crate::support::files(&server.data);
    assert!(!files.is_empty() && !crate::support::any_file_holds(&server.data, "canary sings"));
    let made = command(&server.data, &["keys", "create", "--name", "x", "--collections", "acme", "--scopes", "read"]);
    let key = format!("Bearer {}", String::from_utf8(made.stdout).unwrap().trim());
    let headers = [("Content-Type", "multipart/form-data; boundary=x"), ("Authorization", key.as_str())];
    refused(&server.send("POST", "/v1/audio/transcriptions", &headers, b"--x--\r\n"), 403, "scope_missing");
}
