//! Answers by a real llama.cpp: attested, streamed, cut to its context, given up when nobody waits, replaced when it dies, and
//! never from one collection's prompt to another's.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sha2::Digest as _;

use crate::support::http::Open;
use crate::support::llama::{Llama, Relay, config, tiny_model};
use crate::support::{Server, Start, command};

const LEASE: &str = "Lease between Acme Holdings and the tenant. The notice period for termination of this lease is ninety days. \
                     The monthly rent is four thousand euros, payable in advance.";
const SENTENCE: &str = "The notice period for termination of this lease is ninety days.";
/// The tiny model answers by how a question ends: a sentence, or one that does not end.
const QUESTION: &str = "Say what the notice period for termination of the lease is.";
const ENDLESS: &str = "Say what the notice period for termination of the lease is!";
/// What it says to the first.
const REPLY: &str = "The notice period is ninety days [1].";
/// Long enough that only hanging up ends an endless answer in a test's time.
const ROOMY: usize = 1 << 19;

fn started(home: &tempfile::TempDir, config: &str) -> Server {
    let environment = vec![("LLAMA_KEY", "s3cret".to_owned()), ("WRONG_KEY", "other".to_owned())];
    let server = Server::start(&home.path().join("data"), Start { config, environment, ..Start::default() });
    server.create("acme");
    assert_eq!(server.put("acme", "lease.txt", LEASE).status, 201);
    server
}

fn question(text: &str, collection: &str, stream: bool) -> Value {
    json!({ "question": text, "collections": [collection], "stream": stream })
}

fn answer(server: &Server, text: &str, collection: &str) -> Value {
    let reply = server.request("POST", "/api/v1/answers", Some(&question(text, collection, false)));
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

fn chat(text: &str, stream: bool) -> Value {
    json!({ "model": "strongroom/acme", "stream": stream, "messages": [{ "role": "user", "content": text }] })
}

/// Asserts that the model was not used, and why.
#[track_caller]
fn passed_over(answer: &Value, why: &str) {
    assert_eq!(answer["generator"]["name"], "extracts", "{answer}");
    assert!(answer["answer"].as_str().unwrap().contains(SENTENCE), "{answer}");
    assert!(answer["tried"][0]["why"].as_str().unwrap().contains(why), "{answer}");
}

/// The data of a stream's events of that name.
fn events(text: &str, name: &str) -> Vec<Value> {
    let parts = text.split("\n\n").filter_map(|event| event.strip_prefix(&format!("event: {name}\ndata: ")));
    parts.map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[test]
fn a_llama_cpp_is_attested_and_its_answer_is_streamed_through_both_doors() {
    let home = tempfile::tempdir().unwrap();
    let llama = Llama::start(json!({ "n_ctx": 4096, "api_keys": ["s3cret"] }));
    let digest: String =
        sha2::Sha256::digest(std::fs::read(tiny_model()).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect();
    let more = format!(
        "api_key_env = \"LLAMA_KEY\"\ndigest = \"sha256:{digest}\"\nfile = \"{}\"\nanswer_tokens = 64",
        tiny_model().display()
    );
    let server = started(&home, &llama.config("small", &more));
    let mut told = answer(&server, QUESTION, "acme");
    assert_eq!((&told["answer"], &told["grounded"]), (&json!(REPLY), &json!(true)), "{told}");
    assert_eq!((&told["citations"][0]["quote"], &told["left_out"]), (&json!(SENTENCE), &json!(0)), "{told}");
    let (generator, attested) = (&told["generator"], &told["generator"]["attested"]);
    assert_eq!((&generator["name"], &generator["local"]), (&json!("small"), &json!(true)));
    assert_eq!(attested["endpoint"], llama.address.to_string());
    assert!(attested["server"].as_str().unwrap().starts_with("llama.cpp "), "{attested}");
    if cfg!(target_os = "linux") {
        assert!(attested["process"].as_str().unwrap().ends_with(&format!("(pid {})", llama.pid())), "{attested}");
    }
    assert_eq!((&attested["isolation"], &attested["context"]), (&json!("cache_off"), &json!(4096)), "{attested}");
    assert_eq!(attested["digest"], format!("sha256:{digest}"));
    for checked in ["the file that the server says it has loaded was hashed", "it is the pinned one"] {
        assert!(attested["checked"].as_str().unwrap().contains(checked), "{attested}");
    }

    let streamed = server.request("POST", "/api/v1/answers", Some(&question(QUESTION, "acme", true))).text();
    let words: Vec<Value> = events(&streamed, "answer");
    assert!(words.len() >= 3, "{streamed}");
    assert_eq!(words.iter().filter_map(|event| event["delta"].as_str()).collect::<String>(), REPLY);
    let mut done = events(&streamed, "done");
    let prompt = told["audit"]["reported_tokens"]["prompt"].as_u64();
    assert!(prompt.is_some_and(|tokens| tokens > 200), "llama.cpp's own count of the prompt is told: {told}");
    // Each has a trail of its own.
    for told in [&mut told, &mut done[0]] {
        told.as_object_mut().unwrap().remove("audit");
    }
    assert_eq!(done, [told]);
    let streamed = server.request("POST", "/v1/chat/completions", Some(&chat(QUESTION, true))).text();
    let chunks: Vec<Value> = streamed
        .lines()
        .filter_map(|line| line.strip_prefix("data: ").filter(|data| *data != "[DONE]"))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let words: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(words, REPLY, "{streamed}");
    let whole = server.request("POST", "/v1/chat/completions", Some(&chat(QUESTION, false))).json();
    assert_eq!(whole["choices"][0]["message"]["content"], REPLY, "{whole}");
    assert!(whole["usage"]["prompt_tokens"].as_u64().unwrap() > 200, "{whole}");
    assert!(!server.log().contains("s3cret") && !server.log().contains("ninety"), "{}", server.log());
}

#[test]
fn a_llama_cpp_that_is_not_the_one_meant_is_shown_no_prompt() {
    let llama = Llama::start(json!({ "n_ctx": 4096, "api_keys": ["s3cret"] }));
    let home = tempfile::tempdir().unwrap();
    let other = home.path().join("other.gguf");
    std::fs::write(&other, "other weights").unwrap();
    let (key, file) = ("api_key_env = \"LLAMA_KEY\"\n", tiny_model().display());
    for (more, why) in [
        (format!("{key}digest = \"sha256:{}\"\nfile = \"{file}\"", "2".repeat(64)), "the configuration pins"),
        (format!("{key}file = \"{}\"", other.display()), "another file"),
        (format!("{key}digest = \"sha256:{}\"", "2".repeat(64)), "the server reports none"),
        ("api_key_env = \"WRONG_KEY\"".to_owned(), "refuses its key"),
        (String::new(), "refuses its key"),
    ] {
        let home = tempfile::tempdir().unwrap();
        passed_over(&answer(&started(&home, &llama.config("small", &more)), QUESTION, "acme"), why);
    }
    let keyed = [("Authorization", "Bearer s3cret")];
    let slots = crate::support::http::request(llama.address, "GET", "/slots", &keyed, b"").json();
    assert!(slots.as_array().unwrap().iter().all(|slot| slot["id_task"].is_null()), "it was shown a prompt: {slots}");
}

#[test]
fn passages_that_a_small_context_cannot_take_are_left_out_whole_and_nothing_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let llama = Llama::start(json!({ "n_ctx": 2048 }));
    let relay = Relay::before(llama.address);
    let server = started(&home, &config(relay.address, "small", "answer_tokens = 64"));
    for number in 0..9 {
        // Letters that this model cuts finely, so that a guess by length would be wrong.
        let text =
            format!("The notice period for termination of lease {number} is ninety days. {}", "ŁÓDŹ ŻÓŁĆ 12345. ".repeat(20));
        assert_eq!(server.put("acme", &format!("more-{number}.txt"), &text).status, 201);
    }
    let told = answer(&server, QUESTION, "acme");
    assert_eq!((&told["generator"]["name"], &told["answer"]), (&json!("small"), &json!(REPLY)), "{told}");
    assert!(told["tried"].is_null(), "{told}");
    let left_out = told["left_out"].as_u64().unwrap();
    let asked = relay.asked();
    let bodies: Vec<&str> = asked.split("POST /v1/chat/completions").skip(1).collect();
    assert_eq!(bodies.len(), 1, "it was asked more than once");
    let given = bodies[0].matches("<passage number=").count() as u64;
    assert!(given >= 1 && left_out >= 1, "{given} given, {left_out} left out");
    assert_eq!(
        bodies[0].matches("</passage>").count() as u64,
        given + 1,
        "a passage was cut, or the rules do not name the fence"
    );
    assert!(!relay.answered().contains("HTTP/1.1 4"), "{}", relay.answered());
    // What was given is what was found first.
    let found = server.search_with(&json!({ "query": QUESTION, "collections": ["acme"], "mode": "hybrid", "limit": 10 }));
    let best = found["hits"][0]["document"]["path"].as_str().unwrap();
    assert!(bodies[0].contains(&format!("number=\\\"1\\\" document=\\\"{best}\\\"")), "{best} is not first in {}", bodies[0]);
}

#[test]
fn a_conversation_longer_than_the_context_is_answered() {
    let home = tempfile::tempdir().unwrap();
    let llama = Llama::start(json!({ "n_ctx": 2048 }));
    let relay = Relay::before(llama.address);
    let server = started(&home, &config(relay.address, "small", "answer_tokens = 64"));
    let mut body = chat(QUESTION, false);
    let turns = (0..60).map(|turn| {
        let role = if turn % 2 == 0 { "user" } else { "assistant" };
        json!({ "role": role, "content": format!("Turn {turn} says quite a lot about nothing in particular. ").repeat(4) })
    });
    let last = body["messages"][0].clone();
    body["messages"] = turns.chain([last]).collect();
    let reply = server.request("POST", "/v1/chat/completions", Some(&body));
    assert_eq!(reply.json()["choices"][0]["message"]["content"], REPLY, "{}", reply.text());
    assert!(!relay.answered().contains("HTTP/1.1 4"), "{}", relay.answered());
}

#[test]
fn a_client_that_hangs_up_frees_the_llama_cpp() {
    let home = tempfile::tempdir().unwrap();
    let llama = Llama::start(json!({ "n_ctx": ROOMY }));
    let server = started(&home, &llama.config("small", &format!("answer_tokens = {}", ROOMY / 4)));
    for (path, body) in [
        ("/api/v1/answers", question(ENDLESS, "acme", true)),
        ("/api/v1/answers", question(ENDLESS, "acme", false)),
        ("/v1/chat/completions", chat(ENDLESS, true)),
        ("/v1/chat/completions", chat(ENDLESS, false)),
    ] {
        let mut open = Open::post(server.address, path, &body);
        if body["stream"] == true {
            open.wait_for("Again [1]");
        }
        llama.wait_working(1);
        drop(open);
        let slots = llama.wait_working(0);
        let next = &slots[0]["next_token"][0];
        assert!(
            next["n_decoded"].as_u64().unwrap() < ROOMY as u64 / 4 && next["n_remain"] != 0,
            "{path}: it ended by itself: {next}"
        );
    }
    assert_eq!(answer(&server, QUESTION, "acme")["answer"], REPLY);

    // One that waits for its turn is given up as well: nobody's question is answered later.
    let first = Open::post(server.address, "/api/v1/answers", &question(ENDLESS, "acme", true));
    let busy = llama.wait_working(1)[0]["id_task"].clone();
    let second = Open::post(server.address, "/api/v1/answers", &question(ENDLESS, "acme", true));
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(llama.wait_working(1)[0]["id_task"], busy, "there is one place to work at");
    drop(second);
    drop(first);
    llama.wait_working(0);
    assert_eq!(answer(&server, QUESTION, "acme")["answer"], REPLY);
}

#[test]
fn a_llama_cpp_that_dies_while_it_streams_is_replaced_and_attested_anew_when_it_is_back() {
    let home = tempfile::tempdir().unwrap();
    let mut llama = Llama::start(json!({ "n_ctx": ROOMY }));
    let first = llama.config("first", &format!("answer_tokens = {}", ROOMY / 4));
    let server = started(&home, &first);
    let mut open = Open::post(server.address, "/api/v1/answers", &question(ENDLESS, "acme", true));
    open.wait_for("Again [1]");
    llama.kill();
    open.wait_for("event: done");
    open.wait_for("broke off");
    let (void, after) = open.read.split_once("event: anew").unwrap_or_else(|| panic!("{}", open.read));
    assert!(void.contains("Again [1]") && after.contains(SENTENCE), "{after}");
    passed_over(&answer(&server, QUESTION, "acme"), "cannot be reached");

    // Another process at the same place is another process.
    let again = Llama::start(json!({ "n_ctx": ROOMY, "port": llama.address.port() }));
    let told = answer(&server, QUESTION, "acme");
    assert_eq!((&told["answer"], &told["tried"]), (&json!(REPLY), &Value::Null), "{told}");
    if cfg!(target_os = "linux") {
        let process = told["generator"]["attested"]["process"].as_str().unwrap();
        assert!(process.ends_with(&format!("(pid {})", again.pid())), "{process} is not {}", again.pid());
    }
    llama = again;

    // Chat completions cannot take words back; where none went out, the next generator answers.
    let mut open = Open::post(server.address, "/v1/chat/completions", &chat(ENDLESS, true));
    open.wait_for("Again [1]");
    llama.kill();
    open.wait_for("broke_off");
    let second = Llama::start(json!({ "n_ctx": 4096 }));
    let other = tempfile::tempdir().unwrap();
    let server = started(&other, &format!("{first}{}", second.config("second", "answer_tokens = 64")));
    let told = answer(&server, QUESTION, "acme");
    assert_eq!(
        (&told["generator"]["name"], &told["answer"], &told["tried"][0]["name"]),
        (&json!("second"), &json!(REPLY), &json!("first"))
    );
    assert_eq!(
        server.request("POST", "/v1/chat/completions", Some(&chat(QUESTION, false))).json()["choices"][0]["message"]["content"],
        REPLY
    );
}

/// What `key` has in any JSON of a text, as numbers.
fn numbers(text: &str, key: &str) -> BTreeSet<u64> {
    let key = format!("\"{key}\":");
    let parts = text.split(&key).skip(1);
    parts.map(|part| part.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()).collect()
}

/// Every way in which a llama.cpp may keep prompts, and none.
fn caches() -> Vec<(&'static str, Value)> {
    vec![
        ("as it comes", json!({})),
        ("one place", json!({ "n_parallel": 1 })),
        ("one store for all places", json!({ "kv_unified": true })),
        ("pieces moved", json!({ "n_cache_reuse": 8 })),
        ("any similar place", json!({ "slot_prompt_similarity": 0.01 })),
        ("off", json!({ "cache_prompt": false, "cache_ram_mib": 0, "cache_idle_slots": false })),
    ]
}

/// A key that reaches that collection only.
fn key(server: &Server, name: &str) -> String {
    let made = command(&server.data, &["keys", "create", "--name", name, "--collections", name, "--scopes", "search,read"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    format!("Bearer {}", String::from_utf8(made.stdout).unwrap().trim())
}

#[test]
fn no_canary_crosses_from_one_collection_to_another_whatever_the_llama_cpp_keeps() {
    // The tiny model names the sign that it sees most, so that whatever it sees of another's prompt shows.
    let (ours, theirs) = ("☂", "☘");
    let about = "Say which sign stands on the lid of the strongbox in the cellar?";
    for (how, more) in caches() {
        let mut settings = json!({ "n_ctx": 16384, "n_parallel": 2 });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let llama = Llama::start(settings);
        let relay = Relay::before(llama.address);
        let home = tempfile::tempdir().unwrap();
        let config = config(relay.address, "small", "answer_tokens = 32");
        let server = Server::start(&home.path().join("data"), Start { config: &config, ..Start::default() });
        // The two prompts begin with the same words, and the canary's collection has the sign many times over.
        let lid = |sign: &str| format!("The sign on the lid of the strongbox in the cellar is {sign}.");
        for (name, sign, times) in [("acme", ours, 40), ("bolt", theirs, 1)] {
            server.create(name);
            assert_eq!(server.put(name, "lid.txt", &format!("{} {}", lid(sign), sign.repeat(times))).status, 201);
        }
        assert!(answer(&server, about, "acme")["answer"].as_str().unwrap().contains(ours), "{how}: the canary would not show");
        relay.forget();
        let keys = ["acme", "bolt"].map(|name| (name, key(&server, name)));
        std::thread::scope(|scope| {
            for number in 0..4 {
                let (server, (name, key)) = (&server, &keys[number.min(1)]);
                scope.spawn(move || {
                    for _ in 0..8 {
                        let headers = [("Content-Type", "application/json"), ("Authorization", key)];
                        let body = question(about, name, false).to_string();
                        let told = server.send("POST", "/api/v1/answers", &headers, body.as_bytes()).json();
                        let text = told["answer"].as_str().unwrap();
                        let (own, other) = if *name == "acme" { (ours, theirs) } else { (theirs, ours) };
                        assert!(text.contains(own) && !told.to_string().contains(other), "{how}, {name}: {told}");
                        assert_eq!(told["generator"]["attested"]["isolation"], "cache_off", "{how}, {name}: {told}");
                        assert!(told["tried"].is_null(), "{told}");
                    }
                });
            }
        });
        // 32 answers, and each one's prompt was read from its first token on.
        let (asked, answered) = (relay.asked(), relay.answered());
        assert_eq!(asked.matches("POST /v1/chat/completions").count(), 32);
        assert_eq!(asked.matches("\"cache_prompt\":false").count(), 32);
        for key in ["cache_n", "cached_tokens", "cache"] {
            assert_eq!(numbers(&answered, key), BTreeSet::from([0]), "{how}: {key}");
        }
        assert_eq!(answered.matches("\"cached_tokens\":0").count(), 32);

        // What this guards against is there: asked directly and not told otherwise, it does take up what it kept.
        let kept = |text: &str| {
            let messages = json!([{ "role": "user", "content": text }]);
            llama.ask(&messages, &json!({}));
            llama.ask(&messages, &json!({}))["timings"]["cache_n"].as_u64().unwrap()
        };
        assert_eq!(kept(&format!("{} Say it.", lid(ours))) > 0, how != "off", "{how}");
    }
}

#[test]
fn an_answer_whose_prompt_was_not_read_anew_is_thrown_away_before_its_first_word() {
    let home = tempfile::tempdir().unwrap();
    let llama = Llama::start(json!({ "n_ctx": 4096 }));
    // A llama.cpp, or something before it, that does not do as it is told.
    let relay = Relay::altering(llama.address, "\"cache_prompt\":false", "\"cache_prompt\": true");
    let server = started(&home, &config(relay.address, "small", "answer_tokens = 32"));
    // There is nothing yet that it could take up.
    assert_eq!(answer(&server, QUESTION, "acme")["answer"], REPLY);
    passed_over(&answer(&server, QUESTION, "acme"), "took up what it remembered of another prompt");
    let streamed = server.request("POST", "/api/v1/answers", Some(&question(QUESTION, "acme", true))).text();
    let words: Vec<Value> = events(&streamed, "answer");
    assert!(words.len() == 1 && words[0]["delta"].as_str().unwrap().contains(SENTENCE), "{streamed}");
}

#[test]
fn a_llama_cpp_is_held_to_a_schema() {
    let home = tempfile::tempdir().unwrap();
    let llama = Llama::start(json!({ "n_ctx": 4096 }));
    let server = started(&home, &llama.config("small", "answer_tokens = 128"));
    // The tiny model knows no JSON: what comes is what the schema leaves it no choice about.
    let schema = json!({
        "type": "object", "required": ["party", "rent", "signed"], "additionalProperties": false,
        "properties": { "party": { "const": "Acme Holdings" }, "rent": { "enum": ["four thousand euros"] }, "signed": { "type": "null" } },
    });
    let order = json!({
        "task": "extract", "collections": ["acme"], "documents": ["lease.txt"], "instruction": "Take out what is in it.", "schema": schema,
    });
    let reply = server.request("POST", "/api/v1/tasks", Some(&order));
    assert_eq!(reply.status, 200, "{}", reply.text());
    let done = reply.json();
    assert_eq!(done["result"], json!({ "party": "Acme Holdings", "rent": "four thousand euros", "signed": null }));
    assert_eq!((&done["audit"]["calls"], &done["audit"]["repaired"]), (&json!(1), &json!(false)), "{done}");
    let quotes: BTreeSet<&str> =
        done["citations"].as_array().unwrap().iter().filter_map(|one| one["pointer"].as_str()).collect();
    assert_eq!(quotes, BTreeSet::from(["/party", "/rent"]), "{done}");
}
