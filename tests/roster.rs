//! The list of local models: which is ready, why one is not, what was found out about them over time, and endpoints that are no
//! language models.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::generator::{Generator, Play};
use crate::support::{Server, Start, command};

const LEASE: &str = "The notice period for termination of this lease is ninety days.";
const QUESTION: &str = "What is the notice period for termination of the lease?";

fn ollama(digest: &str) -> Generator {
    let model = Generator::start(Play::Words(vec!["Ninety days [1]."]));
    model.says("/api/version", json!({ "version": "0.12.3" }));
    says_digest(&model, digest);
    model
}

fn says_digest(model: &Generator, digest: &str) {
    model.says("/api/tags", json!({ "models": [{ "name": "tiny:latest", "digest": digest.repeat(64) }] }));
}

fn images(more: &str) -> (Generator, String) {
    let comfy = Generator::start(Play::Words(vec!["never"]));
    comfy.says("/system_stats", json!({ "system": { "comfyui_version": "0.3.9" } }));
    let url = format!("http://{}", comfy.address);
    let config = format!("[[generator]]\nname = \"images\"\nkind = \"other\"\nurl = \"{url}\"\n{more}\n");
    (comfy, config)
}

fn started(home: &Path, config: &str) -> Server {
    let server = Server::start(&home.join("data"), Start { config, ..Start::default() });
    server.create("acme");
    assert_eq!(server.put("acme", "lease.txt", LEASE).status, 201);
    server
}

fn answer(server: &Server) -> Value {
    let body = json!({ "question": QUESTION, "collections": ["acme"] });
    let reply = server.request("POST", "/api/v1/answers", Some(&body));
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

fn told(data: &Path, arguments: &[&str]) -> String {
    let output = command(data, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn each_generator_is_listed_with_what_it_is_or_why_it_is_not_ready() {
    let home = tempfile::tempdir().unwrap();
    let (good, other) = (ollama("2"), ollama("3"));
    let gone = Generator::start(Play::Hangs);
    gone.stop();
    let (comfy, comfy_config) = images("");
    let pinned = format!("digest = \"sha256:{}\"", "2".repeat(64));
    let config = [gone.config("gone", ""), other.config("other-weights", &pinned), good.config("good", &pinned), comfy_config];
    let server = started(home.path(), &config.concat());
    let list = server.get("/api/v1/generators").json();
    let shown: Vec<(&str, &str, &str)> = list["generators"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["name"].as_str().unwrap(), one["kind"].as_str().unwrap(), one["state"].as_str().unwrap()))
        .collect();
    let expected = [
        ("gone", "openai", "unreachable"),
        ("other-weights", "openai", "refused"),
        ("good", "openai", "ready"),
        ("images", "other", "ready"),
    ];
    assert_eq!(shown, expected, "{list}");
    let one = |at: usize| &list["generators"][at];
    assert!(one(0)["why"].as_str().unwrap().contains("cannot be reached") && one(0)["attested"].is_null(), "{list}");
    assert!(one(1)["why"].as_str().unwrap().contains("the configuration pins"), "{list}");
    assert!(one(2)["why"].is_null() && one(2)["awake"].is_null(), "{list}");
    assert_eq!(one(2)["attested"]["digest"], format!("sha256:{}", "2".repeat(64)));
    let attested = &one(3)["attested"];
    assert_eq!((&attested["server"], &one(3)["model"]), (&json!("ComfyUI 0.3.9"), &Value::Null));
    assert_eq!(attested["endpoint"], comfy.address.to_string());
    if cfg!(target_os = "linux") {
        assert!(attested["process"].as_str().unwrap().ends_with(&format!("(pid {})", std::process::id())), "{attested}");
    }
    assert_eq!(one(3)["requests"], 1);
    let metrics = server.get("/metrics").text();
    assert!(metrics.contains("strongroom_outbound_requests_total{client=\"generator:images\"} 1\n"), "{metrics}");

    // Answers come from the one that is ready, never from one that is no language model.
    assert_eq!(answer(&server)["generator"]["name"], "good");
    assert!(comfy.asked.try_recv().is_err());
    let text = told(&server.data, &["generators"]);
    assert!(text.contains("gone: unreachable (openai, tiny)\n  it cannot be reached"), "{text}");
    assert!(text.contains("images: ready (other)\n  ComfyUI 0.3.9 at 127.0.0.1"), "{text}");
    let json: Value = serde_json::from_str(&told(&server.data, &["generators", "--json"])).unwrap();
    assert_eq!(json["generators"].as_array().unwrap().len(), 4);
}

#[test]
fn an_endpoint_that_is_no_language_model_is_held_to_the_same_places() {
    let home = tempfile::tempdir().unwrap();
    let (comfy, config) = images("");
    let server = started(home.path(), &config);
    let whole = answer(&server);
    assert_eq!(whole["generator"]["name"], "extracts");
    assert!(whole.get("tried").is_none() && comfy.asked.try_recv().is_err(), "{whole}");
    let data = home.path().join("elsewhere");
    let file = home.path().join("elsewhere.toml");
    let public = "[[generator]]\nname = \"images\"\nkind = \"other\"\nurl = \"http://203.0.113.9:8188\"\nprivate = true\n";
    std::fs::write(&file, public).unwrap();
    let output = command(&data, &["doctor", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is on the public internet"), "{output:?}");
    std::fs::write(&file, &config).unwrap();
    let output = command(&data, &["doctor", "--config", file.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("local endpoint: images: ComfyUI 0.3.9 at 127.0.0.1"), "{text}");
}

#[test]
fn each_change_of_what_was_found_out_is_recorded() {
    let home = tempfile::tempdir().unwrap();
    let model = ollama("2");
    let pinned = format!("digest = \"sha256:{}\"", "2".repeat(64));
    let config = model.config("small", &pinned);
    let server = started(home.path(), &config);
    let history = |server: &Server| {
        let list = server.get("/api/v1/generators/history").json();
        list["attestations"].as_array().unwrap().clone()
    };
    assert!(history(&server).is_empty());
    for _ in 0..3 {
        assert_eq!(answer(&server)["generator"]["name"], "small");
    }
    assert_eq!(history(&server).len(), 1);
    says_digest(&model, "3");
    for _ in 0..2 {
        assert_eq!(answer(&server)["generator"]["name"], "extracts");
    }
    says_digest(&model, "2");
    assert_eq!(answer(&server)["generator"]["name"], "small");
    let all = history(&server);
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(all[1]["refused"].as_str().unwrap().contains(&"3".repeat(64)) && all[1]["endpoint"].is_null(), "{all:?}");
    let newest = &all[0];
    assert_eq!((&newest["generator"], &newest["model"], &newest["refused"]), (&json!("small"), &json!("tiny"), &Value::Null));
    assert_eq!((&newest["server"], &newest["isolation"]), (&json!("Ollama 0.12.3"), &json!("none")));
    assert_eq!(newest["endpoint"], model.address.to_string());

    // Page by page, and over a restart: what is as before is no change.
    let first = server.get("/api/v1/generators/history?limit=2").json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = server.get(&format!("/api/v1/generators/history?limit=2&cursor={cursor}")).json();
    assert_eq!((rest["attestations"].as_array().unwrap(), &rest["next_cursor"]), (&vec![all[2].clone()], &Value::Null));
    assert_eq!(server.get("/api/v1/generators/history?cursor=zzz").status, 400);
    let text = told(&server.data, &["generators", "--history"]);
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.contains("small (tiny): refused: ") && text.contains("small (tiny): Ollama 0.12.3 at 127.0.0.1"), "{text}");
    server.stop();
    let server = Server::start(&home.path().join("data"), Start { config: &config, ..Start::default() });
    assert_eq!(answer(&server)["generator"]["name"], "small");
    assert_eq!(history(&server).len(), 3);
}
