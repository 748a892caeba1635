//! What a local model must be before it is shown documents: near, the pinned weights, and able to keep collections apart.

use serde_json::{Value, json};

use crate::support::generator::{Generator, Play};
use crate::support::{Server, Start};

const LEASE: &str = "The notice period for termination of this lease is ninety days.";
const QUESTION: &str = "What is the notice period for termination of the lease?";
const DIGEST: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

fn model() -> Generator {
    Generator::start(Play::Words(vec!["Ninety days [1]."]))
}

/// An Ollama with one model.
fn ollama(more: &Value) -> Generator {
    let model = model();
    let mut tag = json!({ "name": "tiny:latest", "digest": &DIGEST[7..] });
    tag.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    model.says("/api/version", json!({ "version": "0.12.3" }));
    model.says("/api/tags", json!({ "models": [tag] }));
    model
}

fn llama_cpp(file: &str) -> Generator {
    let model = model();
    model.says("/v1/models", json!({ "data": [{ "id": "tiny", "owned_by": "llamacpp" }] }));
    let settings = json!({ "n_ctx": 2048 });
    model.says("/props", json!({ "build_info": "b6123-abc", "model_path": file, "default_generation_settings": settings }));
    model
}

fn vllm() -> Generator {
    let model = model();
    model.says("/v1/models", json!({ "data": [{ "id": "tiny", "owned_by": "vllm", "max_model_len": 4096 }] }));
    model.says("/version", json!({ "version": "0.11.0" }));
    model
}

fn started(home: &tempfile::TempDir, config: &str) -> Server {
    let server = Server::start(&home.path().join("data"), Start { config, ..Start::default() });
    for name in ["acme", "bolt"] {
        server.create(name);
        assert_eq!(server.put(name, "lease.txt", LEASE).status, 201);
    }
    server
}

fn answer(server: &Server, collection: &str) -> Value {
    let body = json!({ "question": QUESTION, "collections": [collection] });
    let reply = server.request("POST", "/api/v1/answers", Some(&body));
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

/// Asserts that the model was not used, and why.
fn refused(answer: &Value, why: &str) {
    assert_eq!(answer["generator"]["name"], "extracts", "{answer}");
    assert!(answer["generator"]["attested"].is_null(), "{answer}");
    let told = answer["tried"][0]["why"].as_str().unwrap();
    assert!(told.contains(why), "{told}");
}

#[test]
fn a_cloud_model_under_a_local_name_is_refused_however_it_is_configured() {
    for kind in ["ollama", "openai"] {
        let home = tempfile::tempdir().unwrap();
        let model = ollama(&json!({ "remote_host": "https://ollama.com:443", "remote_model": "huge" }));
        let config = model.config("small", "").replace("\"openai\"", &format!("\"{kind}\""));
        refused(&answer(&started(&home, &config), "acme"), "a model of a cloud under a local name");
        assert!(model.asked.try_recv().is_err(), "it was shown a prompt");
    }
}

#[test]
fn an_ollama_is_asked_by_its_own_api_and_told_how_much_to_take_in() {
    let home = tempfile::tempdir().unwrap();
    let model = ollama(&json!({}));
    let config = model.config("small", "context = 8192").replace("\"openai\"", "\"ollama\"");
    let server = started(&home, &config);
    let told = answer(&server, "acme");
    let generator = &told["generator"];
    assert_eq!((generator["name"].as_str(), generator["local"].as_bool()), (Some("small"), Some(true)), "{told}");
    let attested = &generator["attested"];
    assert_eq!(attested["endpoint"], model.address.to_string());
    assert_eq!((&attested["server"], &attested["digest"]), (&json!("Ollama 0.12.3"), &json!(DIGEST)));
    assert_eq!(attested["isolation"], "none");
    assert!(attested["checked"].as_str().unwrap().contains("cannot be seen from here"), "{attested}");
    if cfg!(target_os = "linux") {
        let own = format!("(pid {})", std::process::id());
        assert!(attested["process"].as_str().unwrap().ends_with(&own), "{attested}");
    }
    let asked = model.request();
    assert_eq!((asked.path.as_str(), &asked.body["options"]["num_ctx"]), ("/api/chat", &json!(8192)), "{}", asked.body);
}

#[test]
fn other_weights_than_the_pinned_ones_do_not_answer() {
    let home = tempfile::tempdir().unwrap();
    let model = ollama(&json!({}));
    let server = started(&home, &model.config("small", &format!("digest = \"{DIGEST}\"")));
    assert_eq!(answer(&server, "acme")["generator"]["name"], "small");
    let other = json!({ "models": [{ "name": "tiny:latest", "digest": "3".repeat(64) }] });
    model.says("/api/tags", other);
    refused(&answer(&server, "acme"), "the configuration pins");
}

#[test]
fn a_server_that_reports_no_digest_is_pinned_by_its_file() {
    let home = tempfile::tempdir().unwrap();
    let (file, other) = (home.path().join("tiny.gguf"), home.path().join("other.gguf"));
    std::fs::write(&file, "one").unwrap();
    std::fs::write(&other, "two").unwrap();
    // The digest of `one`, from the outside.
    let digest = "sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";
    let pinned = format!("digest = \"{digest}\"\n");
    let named = format!("{pinned}file = \"{}\"\n", file.display());
    for (loaded, more, why) in
        [(&file, &pinned, Some("the server reports none")), (&file, &named, None), (&other, &named, Some("another file"))]
    {
        let home = tempfile::tempdir().unwrap();
        let model = llama_cpp(loaded.to_str().unwrap());
        let server = started(&home, &model.config("small", more));
        let told = answer(&server, "acme");
        match why {
            Some(why) => refused(&told, why),
            None => assert_eq!(told["generator"]["attested"]["digest"], digest, "{told}"),
        }
    }
    let home = tempfile::tempdir().unwrap();
    let model = llama_cpp(file.to_str().unwrap());
    let server = started(&home, &model.config("small", &named));
    assert_eq!(answer(&server, "acme")["generator"]["name"], "small");
    std::fs::write(&file, "changed since").unwrap();
    refused(&answer(&server, "acme"), "the configuration pins");
}

#[test]
fn no_collections_prompt_is_kept_where_another_could_meet_it() {
    let home = tempfile::tempdir().unwrap();
    let model = llama_cpp("");
    let server = started(&home, &model.config("small", ""));
    assert_eq!(answer(&server, "acme")["generator"]["attested"]["isolation"], "cache_off");
    assert_eq!(model.request().body["cache_prompt"], json!(false));

    let home = tempfile::tempdir().unwrap();
    let model = vllm();
    let server = started(&home, &model.config("small", ""));
    let salt = |collection: &str| {
        assert_eq!(answer(&server, collection)["generator"]["attested"]["isolation"], "salted");
        model.request().body["cache_salt"].as_str().unwrap().to_owned()
    };
    let (acme, bolt) = (salt("acme"), salt("bolt"));
    assert!(acme != bolt && acme == salt("acme") && acme.len() == 64);
}

#[test]
fn a_model_that_cannot_keep_collections_apart_serves_one_unless_it_is_allowed_more() {
    for (more, apart) in [("", true), ("shared_cache = true", false)] {
        let home = tempfile::tempdir().unwrap();
        let model = model();
        let server = started(&home, &model.config("small", more));
        assert_eq!(answer(&server, "acme")["generator"]["attested"]["isolation"], "none");
        let other = answer(&server, "bolt");
        if apart {
            refused(&other, "has served another collection");
        } else {
            assert_eq!(other["generator"]["name"], "small");
        }
        assert_eq!(answer(&server, "acme")["generator"]["name"], "small");
    }
}

#[test]
fn a_name_leads_to_this_machine_or_is_not_asked() {
    let home = tempfile::tempdir().unwrap();
    let model = model();
    let config = model.config("small", "").replace("127.0.0.1", "localhost");
    assert_eq!(answer(&started(&home, &config), "acme")["generator"]["attested"]["endpoint"], model.address.to_string());
    let home = tempfile::tempdir().unwrap();
    let config = model.config("small", "").replace("127.0.0.1", "no-such-host.invalid");
    refused(&answer(&started(&home, &config), "acme"), "its name leads nowhere");
}

#[test]
fn passages_are_cut_to_what_the_model_itself_counts() {
    let home = tempfile::tempdir().unwrap();
    let model = llama_cpp("");
    // Each character of a prompt is a token to this one, so that hardly anything fits.
    model.counts_characters();
    let server = started(&home, &model.config("small", "answer_tokens = 64"));
    let told = answer(&server, "acme");
    let prompt: usize = model.request().body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["content"].as_str().unwrap().chars().count())
        .sum();
    assert!(prompt <= 2048 - 64, "{prompt} in {told}");
}
