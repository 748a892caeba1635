//! Models kept for next year: archived by one command, checked by another, and taken again where there is no network.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::generator::{Generator, Play};
use crate::support::{Server, Start, binary, files};

fn models(arguments: &[&str], cache: Option<&Path>) -> Output {
    let mut command = Command::new(binary());
    command.arg("models").args(arguments).stdin(Stdio::null());
    if let Some(cache) = cache {
        command.env("STRONGROOM_CACHE", cache).env_remove("STRONGROOM_ONNXRUNTIME").env_remove("STRONGROOM_MODELS");
    }
    command.output().unwrap()
}

fn json_of(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

/// What a server with this cache makes of a text.
fn embedded(home: &Path, name: &str, cache: Option<&Path>) -> Value {
    let environment = cache.map(|cache| ("STRONGROOM_CACHE", cache.to_str().unwrap().to_owned())).into_iter().collect();
    let start = Start { arguments: vec!["--offline".to_owned()], environment, ..Start::default() };
    let server = Server::start(&home.join(name), start);
    let body = json!({ "model": "strongroom-embed", "input": "The lease ends in May." });
    let reply = server.request("POST", "/v1/embeddings", Some(&body));
    assert_eq!(reply.status, 200, "{}", reply.text());
    server.create("acme");
    assert_eq!(server.put("acme", "lease.txt", "The lease ends in May.").status, 201);
    json!([reply.json()["data"][0]["embedding"], server.collection("acme")["model"]])
}

#[test]
fn an_archive_gives_the_same_model_to_a_machine_without_a_network() {
    let home = tempfile::tempdir().unwrap();
    let (archive, cache) = (home.path().join("archive"), home.path().join("cache"));
    let (weights, config) = (home.path().join("tiny.gguf"), home.path().join("strongroom.toml"));
    std::fs::write(&weights, "weights").unwrap();
    let model = Generator::start(Play::Hangs);
    model.says("/v1/models", json!({ "data": [{ "id": "tiny", "owned_by": "llamacpp" }] }));
    model.says("/props", json!({ "build_info": "b6123", "chat_template": "{{ messages }}" }));
    std::fs::write(&config, model.config("small", "file = \"tiny.gguf\"")).unwrap();
    let (out, config) = (archive.to_str().unwrap(), config.to_str().unwrap());

    let made = models(&["archive", "--out", out, "--json", "--config", config], None);
    let told = json_of(&made);
    let kinds: Vec<&str> =
        told["archive"]["models"].as_array().unwrap().iter().map(|model| model["kind"].as_str().unwrap()).collect();
    for kind in ["runtime", "embedding", "generator"] {
        assert!(kinds.contains(&kind), "{told}");
    }
    assert_eq!(std::fs::read_to_string(archive.join("generators/1-small/template.jinja")).unwrap(), "{{ messages }}");
    assert_eq!(std::fs::read_to_string(archive.join("generators/1-small/tiny.gguf")).unwrap(), "weights");
    let verified = models(&["archive", "--verify", out], None);
    assert_eq!(verified.status.code(), Some(0), "{}", String::from_utf8_lossy(&verified.stderr));

    let imported = models(&["import", out], Some(&cache));
    assert_eq!(imported.status.code(), Some(0), "{}", String::from_utf8_lossy(&imported.stderr));
    let own = embedded(home.path(), "own", None);
    assert!(own[1].is_string(), "{own}");
    assert_eq!(own, embedded(home.path(), "other", Some(&cache)));

    // One flipped bit, in the largest file.
    let file = files(&archive).into_iter().max_by_key(|file| std::fs::metadata(file).unwrap().len()).unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let verified = models(&["archive", "--verify", out, "--json"], None);
    let faults = json_of(&verified)["faults"].clone();
    assert_eq!(verified.status.code(), Some(1));
    assert_eq!(faults.as_array().unwrap().len(), 1, "{faults}");
    assert!(faults[0].as_str().unwrap().contains("has the SHA-256"), "{faults}");
    let imported = models(&["import", out], Some(&home.path().join("third")));
    assert_eq!(imported.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&imported.stderr).contains("is damaged, and nothing of it is used"));
    let nothing = models(&["archive", "--verify", home.path().to_str().unwrap()], None);
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("is no whole archive"));
}
