//! The door for OpenAI clients: asked by the SDK that people use, and as Open WebUI asks.

use serde_json::{Value, json};

use crate::support::generator::{Generator, Play};
use crate::support::{Reply, Server, Start, command, peers};

const LEASE: &str = "Lease between Acme Holdings and the tenant. The notice period for termination of this lease is ninety days. \
                     The monthly rent is four thousand euros, payable in advance.";
const QUESTION: &str = "What is the notice period for termination of the lease?";
const SENTENCE: &str = "The notice period for termination of this lease is ninety days.";

fn filled(home: &tempfile::TempDir, config: &str) -> Server {
    let server = Server::start(&home.path().join("data"), Start { config, ..Start::default() });
    server.create("acme");
    server.create("brown");
    assert_eq!(server.put("acme", "lease.txt", LEASE).status, 201);
    assert_eq!(server.put("brown", "lease.txt", &LEASE.replace("ninety", "fifty")).status, 201);
    server
}

fn ids(models: &Value) -> Vec<&str> {
    models["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect()
}

fn post(server: &Server, path: &str, body: &Value) -> Reply {
    server.request("POST", path, Some(body))
}

/// A refusal in OpenAI's shape.
#[track_caller]
fn refused(reply: &Reply, status: u16, code: &str, param: Value) {
    assert_eq!((reply.status, reply.header("content-type")), (status, Some("application/json")), "{}", reply.text());
    let error = &reply.json()["error"];
    assert_eq!((&error["code"], &error["param"]), (&json!(code), &param), "{error}");
    assert!(error["message"].as_str().is_some_and(|said| !said.is_empty()) && error["type"].is_string(), "{error}");
}

#[test]
fn the_openai_sdk_chats_streams_embeds_and_reads_errors() {
    let home = tempfile::tempdir().unwrap();
    let model = Generator::start(Play::Words(vec!["It is ", "ninety days", " [1]."]));
    let server = filled(&home, &model.config("small", ""));
    let key = command(&server.data, &["keys", "create", "--name", "sdk", "--collections", "acme", "--scopes", "search,read"]);
    assert!(key.status.success(), "{}", String::from_utf8_lossy(&key.stderr));
    let key = String::from_utf8(key.stdout).unwrap();
    let url = format!("http://{}/v1", server.address);
    let got = peers::run_python("openai_client.py", &[&url, key.trim(), "acme", "brown", QUESTION]);

    assert_eq!(got["models"], json!(["strongroom", "strongroom/acme", "strongroom-embed"]));
    assert_eq!(got["model"], "strongroom/acme");
    assert_eq!(got["chat"]["content"], "It is ninety days [1].");
    assert_eq!(got["chat"]["finish"], "stop");
    assert_eq!(got["chat"]["usage"], json!([11, 7, 18]));
    assert_eq!(got["chat"]["annotations"][0]["title"], "lease.txt");
    assert_eq!(got["chat"]["quote"], SENTENCE);
    assert_eq!(got["stream"]["content"], got["chat"]["content"]);
    assert_eq!((&got["stream"]["finish"], &got["stream"]["usage"]), (&json!("stop"), &json!([11, 7, 18])));
    assert_eq!(got["stream"]["sources"][0]["document"], json!([SENTENCE]));
    let embeddings = &got["embeddings"];
    assert_eq!((&embeddings["count"], &embeddings["dimension"]), (&json!(2), &json!(384)));
    assert_eq!(embeddings["base64_is_the_same"], true);
    assert!((embeddings["length"].as_f64().unwrap() - 1.0).abs() < 1e-4, "{embeddings}");
    let errors = &got["errors"];
    let missing = json!({ "class": "NotFoundError", "status": 404, "code": "model_not_found", "param": "model" });
    assert_eq!(errors["of_nobody"], missing);
    assert_eq!(errors["of_another"], missing);
    assert_eq!(errors["bad_key"]["class"], "AuthenticationError");
    assert_eq!((&errors["tokens"]["class"], &errors["tokens"]["param"]), (&json!("BadRequestError"), &json!("input")));
    assert_eq!(errors["dimensions"]["param"], "dimensions");
}

#[test]
fn models_are_what_may_be_asked_and_nothing_mixes() {
    let home = tempfile::tempdir().unwrap();
    let server = filled(&home, "[collections.acme]\nmix = true\n");
    let models = server.get("/v1/models").json();
    assert_eq!(
        ids(&models),
        ["strongroom/acme", "strongroom/brown", "strongroom-embed"],
        "two that may not mix are no one model"
    );
    let chat = |model: &str| {
        let messages = json!([{ "role": "user", "content": QUESTION }]);
        post(
            &server,
            "/v1/chat/completions",
            &json!({ "model": model, "messages": messages, "tools": [{ "x": 1 }], "seed": 3 }),
        )
    };
    refused(&chat("strongroom"), 409, "would_mix", json!("model"));
    refused(&chat("strongroom/acme,brown"), 409, "would_mix", json!("model"));
    for nobody in ["gpt-4", "strongroom/nobody", "strongroom/", "strongroomx", "strongroom-embed", ""] {
        refused(&chat(nobody), 404, "model_not_found", json!("model"));
    }
    for (model, days) in [("strongroom/acme", "ninety"), ("strongroom/brown", "fifty")] {
        let reply = chat(model).json();
        let said = reply["choices"][0]["message"]["content"].as_str().unwrap();
        assert!(said.contains(days), "{reply}");
        assert_eq!(reply["strongroom"]["generator"]["name"], "extracts");
    }
    assert_eq!(server.get("/v1/models/strongroom/acme").json()["object"], "model");
    assert_eq!(server.get("/v1/models/strongroom%2Facme").json()["id"], "strongroom/acme");
    refused(&server.get("/v1/models/strongroom"), 404, "model_not_found", json!("model"));

    let alone = tempfile::tempdir().unwrap();
    let server = Server::start(&alone.path().join("data"), Start::default());
    assert_eq!(ids(&server.get("/v1/models").json()), ["strongroom-embed"]);
    server.create("acme");
    assert_eq!(ids(&server.get("/v1/models").json()), ["strongroom", "strongroom/acme", "strongroom-embed"]);
}

#[test]
fn every_refusal_has_openais_shape() {
    let home = tempfile::tempdir().unwrap();
    let server = filled(&home, "");
    refused(&server.get("/v1/nothing"), 404, "not_found", Value::Null);
    refused(&server.get("/v1/embeddings"), 405, "method_not_allowed", Value::Null);
    refused(&server.send("GET", "/v1/models", &[("Origin", "http://evil.example")], b""), 403, "open_mode", Value::Null);
    let chat = |body: Value| post(&server, "/v1/chat/completions", &body);
    refused(&chat(json!({ "messages": [] })), 400, "bad_field", json!("model"));
    refused(&chat(json!({ "model": "strongroom/acme", "messages": [] })), 400, "bad_field", json!("messages"));
    let only =
        |role: &str, content: Value| json!({ "model": "strongroom/acme", "messages": [{ "role": role, "content": content }] });
    refused(&chat(only("assistant", json!("x"))), 400, "bad_field", json!("messages"));
    refused(&chat(only("user", json!([{ "type": "image_url" }]))), 400, "bad_field", json!("messages"));
    refused(&chat(only("user", json!("x".repeat(20_001)))), 400, "bad_field", json!("messages"));
    refused(&chat(only("pirate", json!("x"))), 400, "bad_field", json!("messages[0].role"));
    let plain = server.send("POST", "/v1/embeddings", &[("Content-Type", "text/plain")], b"x");
    refused(&plain, 415, "unsupported_media_type", Value::Null);
    let broken = server.send("POST", "/v1/embeddings", &[("Content-Type", "application/json")], b"{\"model\":");
    refused(&broken, 400, "bad_field", json!("body"));
    let form = [("Content-Type", "multipart/form-data; boundary=x")];
    refused(&server.send("POST", "/v1/audio/transcriptions", &form, b"--x--\r\n"), 501, "no_speech", Value::Null);
    let made = command(&server.data, &["keys", "create", "--name", "x", "--collections", "acme", "--scopes", "read"]);
    let key = format!("Bearer {}", String::from_utf8(made.stdout).unwrap().trim());
    let unknown = server.get("/v1/models");
    refused(&unknown, 401, "unauthorized", Value::Null);
    assert_eq!(unknown.json()["error"]["type"], "authentication_error");
    refused(&server.send("GET", "/v1/models", &[("Authorization", &key)], b""), 403, "scope_missing", Value::Null);
}

#[test]
fn open_webui_gets_sources_it_can_show_and_plain_answers_to_its_tasks() {
    let home = tempfile::tempdir().unwrap();
    let server = filled(&home, "public_url = \"https://kb.example\"\n");
    let asked = |header: &str, body: &Value| {
        let headers = [("Content-Type", "application/json"), ("X-KB-Task", header), ("X-KB-Groups", "")];
        server.send("POST", "/v1/chat/completions", &headers, body.to_string().as_bytes())
    };
    let messages = json!([
        { "role": "system", "content": "You are helpful." },
        { "role": "user", "content": "What is the notice period for termination of the Acme lease?" },
        { "role": "assistant", "content": "Ninety days [1]." },
        { "role": "user", "content": [{ "type": "text", "text": "And what is its monthly rent?" }] },
    ]);
    let tools: Vec<Value> = (0..28).map(|n| json!({ "type": "function", "function": { "name": format!("t{n}") } })).collect();
    let reply = asked(
        "{{TASK}}",
        &json!({
            "model": "strongroom/acme", "stream": true, "messages": messages, "tools": tools, "tool_choice": "auto",
            "stream_options": { "include_usage": true }, "metadata": { "chat_id": "x" },
        }),
    );
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/event-stream")), "{}", reply.text());
    let text = reply.text();
    let events: Vec<Value> =
        text.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok()).collect();
    let source = events.iter().find(|event| event["event"]["type"] == "source").unwrap_or_else(|| panic!("{text}"));
    let data = &source["event"]["data"];
    assert_eq!(data["document"][0], "The monthly rent is four thousand euros, payable in advance.", "{data}");
    assert_eq!(data["metadata"][0]["name"], "lease.txt");
    let place = "https://kb.example/api/v1/collections/acme/documents/lease.txt?part=original";
    assert_eq!((&data["metadata"][0]["source"], &data["source"]["url"]), (&json!(place), &json!(place)));
    assert!(data["distances"][0].as_f64().is_some() && data["metadata"][0]["external"] == true, "{data}");
    assert!(events.iter().any(|event| event["event"]["type"] == "status" && event["event"]["data"]["done"] == true));
    assert!(text.trim_end().ends_with("data: [DONE]"), "{text}");

    let history = "<chat_history>\nUSER: When does the lease end?\n</chat_history>";
    let done = |header: &str, prompt: String| {
        let body = json!({ "model": "strongroom/acme", "stream": false, "messages": [{ "role": "user", "content": prompt }] });
        let reply = asked(header, &body).json();
        let said = reply["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
        serde_json::from_str::<Value>(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    };
    let queries = done("", format!("### Task:\nGenerate search queries.\n### Output:\n{{\"queries\": [\"q\"]}}\n{history}"));
    assert_eq!(queries, json!({ "queries": ["When does the lease end?"] }));
    assert_eq!(done("title_generation", history.into())["title"], "When does the lease end");
    assert_eq!(done("tags_generation", history.into()), json!({ "tags": [] }));
}

#[test]
fn a_vector_that_was_handed_out_is_searched_as_its_text() {
    let home = tempfile::tempdir().unwrap();
    let server = filled(&home, "");
    let body = json!({ "model": "strongroom-embed", "input": [QUESTION] });
    let vector = post(&server, "/v1/embeddings", &body).json()["data"][0]["embedding"].clone();
    let nearest = |vector: &Value| {
        let body = json!({ "query": { "nearest": vector }, "limit": 3, "with_vector": false, "with_payload": true });
        post(&server, "/qdrant/collections/acme/points/query", &body).json()["result"]["points"].clone()
    };
    let hits = server.search("acme", "hybrid", QUESTION);
    let points = nearest(&vector);
    assert_eq!(points[0]["payload"]["text"], hits[0]["text"], "{points}");
    assert_eq!(points[0]["score"].as_f64().map(|score| score as f32), hits[0]["score"].as_f64().map(|score| score as f32));
}

#[test]
fn texts_are_ranked_by_nearness() {
    let home = tempfile::tempdir().unwrap();
    let server = filled(&home, "");
    let documents = ["The cat sat on the mat.", SENTENCE, "Rent is payable monthly."];
    let body = json!({ "model": "strongroom-embed", "query": QUESTION, "documents": documents, "top_n": 2 });
    let results = post(&server, "/v1/rerank", &body).json()["results"].clone();
    assert_eq!((results.as_array().unwrap().len(), &results[0]["index"]), (2, &json!(1)), "{results}");
    assert!(results[0]["relevance_score"].as_f64() > results[1]["relevance_score"].as_f64());
    let empty = post(&server, "/v1/rerank", &json!({ "query": "x", "documents": [] }));
    assert_eq!(empty.json()["results"], json!([]));
    refused(&post(&server, "/v1/rerank", &json!({ "query": " ", "documents": ["x"] })), 400, "bad_field", json!("query"));
}

#[test]
fn files_are_read_for_others_and_not_kept() {
    let home = tempfile::tempdir().unwrap();
    let server = filled(&home, "");
    let headers = [("X-Filename", "a%20b%C3%BC.md"), ("Content-Type", "application/octet-stream")];
    for path in ["/process", "/v1/process"] {
        let loaded = server.send("PUT", path, &headers, "# Title\n\nA canary sings.".as_bytes());
        assert_eq!(loaded.status, 200, "{}", loaded.text());
        assert!(loaded.json()["page_content"].as_str().unwrap().contains("A canary sings."));
        assert_eq!(loaded.json()["metadata"]["source"], "a bü.md");
    }
    let empty = server.send("PUT", "/v1/process", &headers, b"");
    refused(&empty, 422, "unreadable", Value::Null);
    assert_eq!(server.collection("acme")["documents"]["indexed"], 1);
    assert!(!crate::support::any_file_holds(&server.data, "canary sings"));
}

#[test]
fn the_pipeline_filter_is_there_only_where_it_is_configured() {
    let home = tempfile::tempdir().unwrap();
    let server = filled(&home, "[openai]\nfilter = [\"acme\"]\n");
    let models = server.get("/v1/models").json();
    let filter = models["data"].as_array().unwrap().iter().find(|model| model["id"] == "strongroom-filter").unwrap();
    assert_eq!(filter["pipeline"], json!({ "type": "filter", "pipelines": ["*"], "priority": 0, "valves": false }));
    let user = json!({ "id": "1", "email": "a@b.example", "name": "A", "role": "user" });
    let chat = json!({ "model": "any", "messages": [{ "role": "user", "content": QUESTION }], "files": [{ "type": "x" }] });
    let body = |chat: &Value| json!({ "user": user, "body": chat });
    let inlet = post(&server, "/v1/strongroom-filter/filter/inlet", &body(&chat)).json();
    assert_eq!(
        (&inlet["model"], &inlet["files"][0]["type"], &inlet["files"][1]["type"]),
        (&json!("any"), &json!("x"), &json!("doc"))
    );
    assert!(inlet["files"][1]["docs"][0]["content"].as_str().unwrap().contains("ninety"), "{inlet}");
    assert_eq!(inlet["files"][1]["docs"][0]["metadata"]["name"], "lease.txt");
    let mut task = chat.clone();
    task["metadata"] = json!({ "task": "title_generation" });
    assert_eq!(post(&server, "/v1/strongroom-filter/filter/inlet", &body(&task)).json(), task);
    assert_eq!(post(&server, "/v1/strongroom-filter/filter/outlet", &body(&chat)).json(), chat);
    refused(&post(&server, "/v1/other/filter/inlet", &body(&chat)), 404, "model_not_found", json!("model"));
    let made = command(&server.data, &["keys", "create", "--name", "x", "--collections", "brown", "--scopes", "search"]);
    let key = format!("Bearer {}", String::from_utf8(made.stdout).unwrap().trim());
    let headers = [("Authorization", key.as_str()), ("Content-Type", "application/json")];
    let other = server.send("POST", "/v1/strongroom-filter/filter/inlet", &headers, body(&chat).to_string().as_bytes());
    assert_eq!(other.json(), chat, "a key adds nothing that it may not read");

    let plain = tempfile::tempdir().unwrap();
    let server = Server::start(&plain.path().join("data"), Start::default());
    refused(&post(&server, "/v1/strongroom-filter/filter/inlet", &body(&chat)), 404, "model_not_found", json!("model"));
}
