//! Answers over REST: every citation verified, nothing made up, and no two clients in one answer unless both allow it.

use serde_json::{Value, json};

use crate::support::{Server, Start};

const MIXING: &str = "[collections.acme]\nmix = true\n[collections.brown]\nmix = true\n[collections.clark]\nmix = false\n";

fn ask(server: &Server, body: &Value) -> crate::support::Reply {
    server.request("POST", "/api/v1/answers", Some(body))
}

fn check(server: &Server, answer: &Value) {
    for (at, citation) in answer["citations"].as_array().unwrap().iter().enumerate() {
        assert_eq!((&citation["n"], &citation["verified"]), (&json!(at + 1), &json!(true)));
        assert!(answer["answer"].as_str().unwrap().contains(&format!("[{}]", at + 1)));
        let (collection, path) = (citation["collection"].as_str().unwrap(), citation["document"]["path"].as_str().unwrap());
        let text = server.get(&format!("/api/v1/collections/{collection}/documents/{path}/text")).text();
        let (start, end) = (citation["start"].as_u64().unwrap() as usize, citation["end"].as_u64().unwrap() as usize);
        let slice: String = text.chars().skip(start).take(end - start).collect();
        assert_eq!(citation["quote"], slice);
    }
}

#[test]
fn an_answer_quotes_its_documents_or_says_that_there_is_none() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(&home.path().join("data"), Start { config: MIXING, ..Start::default() });
    let lease = "𝔸 lease between Acme Holdings and the lessee. The notice period for termination of this lease is nine weeks. \
                 The lessee shall keep the premises in good repair.";
    for name in ["acme", "brown", "clark"] {
        server.create(name);
        assert_eq!(server.put(name, "lease.txt", &lease.replace("nine", &format!("{} times nine", name.len()))).status, 201);
    }
    let question = "What is the notice period for termination of the lease?";
    let reply = ask(&server, &json!({ "question": question, "collections": ["acme"] }));
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answer = reply.json();
    assert_eq!((&answer["grounded"], &answer["unreadable"]), (&json!(true), &json!(0)), "{answer}");
    assert!(answer["answer"].as_str().unwrap().contains("4 times nine weeks. [1]"), "{answer}");
    assert_eq!(answer["generator"]["local"], true);
    check(&server, &answer);

    let nothing =
        ask(&server, &json!({ "question": "Who won the chess tournament in Reykjavik in 1972?", "collections": ["acme"] }));
    let nothing = nothing.json();
    assert_eq!((&nothing["grounded"], &nothing["citations"]), (&json!(false), &json!([])), "{nothing}");
    assert!(!nothing["answer"].as_str().unwrap().is_empty());

    let streamed = ask(&server, &json!({ "question": question, "collections": ["acme"], "stream": true }));
    assert_eq!(streamed.header("content-type"), Some("text/event-stream"));
    let text = streamed.text();
    let done = text.split("event: done\ndata: ").nth(1).unwrap().trim();
    let mut done: Value = serde_json::from_str(done).unwrap();
    // Each way it came to be is its own.
    assert_ne!(done["audit"]["id"], answer["audit"]["id"]);
    done["audit"] = answer["audit"].clone();
    assert_eq!(done, answer);

    ask(&server, &json!({ "question": question, "collections": ["acme", "clark"] })).problem(409, "would_mix");
    ask(&server, &json!({ "question": question })).problem(409, "would_mix");
    let mixed = ask(&server, &json!({ "question": question, "collections": ["acme", "brown"] }));
    assert_eq!(mixed.status, 200, "{}", mixed.text());
    let mixed = mixed.json();
    let mut from: Vec<&str> =
        mixed["citations"].as_array().unwrap().iter().map(|one| one["collection"].as_str().unwrap()).collect();
    from.sort_unstable();
    from.dedup();
    assert!(!from.is_empty() && from.iter().all(|name| ["acme", "brown"].contains(name)), "{from:?}");
    check(&server, &mixed);

    let empty = ask(&server, &json!({ "question": question, "collections": [] }));
    assert_eq!((empty.status, &empty.json()["grounded"]), (200, &json!(false)));
    ask(&server, &json!({ "question": question, "collections": ["nobody"] })).problem(404, "no_collection");
    ask(&server, &json!({ "question": "  " })).problem(400, "bad_field");
    let unknown = ask(&server, &json!({ "question": question, "query": "x" }));
    assert_eq!(unknown.problem(400, "unknown_field")["fields"], json!(["query"]));
}

#[test]
fn one_that_allows_mixing_does_not_speak_for_another() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(&home.path().join("data"), Start { config: MIXING, ..Start::default() });
    server.create("acme");
    server.create("clark");
    for pair in [["acme", "clark"], ["clark", "acme"]] {
        ask(&server, &json!({ "question": "Which law governs?", "collections": pair })).problem(409, "would_mix");
    }
    // The same one twice is one.
    assert_eq!(ask(&server, &json!({ "question": "Which law governs?", "collections": ["clark", "clark"] })).status, 200);
}
