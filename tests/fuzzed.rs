//! Every operation of `/openapi.json`, asked with everything that Schemathesis can think of: nothing fails on our side, and no
//! status or type comes that the file does not tell of.

use std::process::Stdio;

use crate::support::speech::Scripted;
use crate::support::{Server, Start, command, peers};

/// Asks every operation, each with up to so many invented requests.
fn asked_everything(examples: u32, seed: u32) {
    let home = tempfile::tempdir().unwrap();
    // A refusal for too many requests would hide what was asked for.
    let limits = "[limits]\nrequests_per_minute = 1000000\n";
    // Without a speech server recordings would be told by a 501, whatever is asked.
    let speech = Scripted::start(200, &serde_json::json!({ "text": "The tenant may terminate." }));
    let config = &[limits, &speech.config("fast", "")].concat();
    let server = Server::start(&home.path().join("data"), Start { config, ..Start::default() });
    // Some of what is invented has to hit something.
    server.create("acme");
    assert_eq!(server.put("acme", "a.txt", "The tenant may terminate the lease with three months' notice.").status, 201);
    let scopes = "search,read,ingest,admin";
    let made = command(&server.data, &["keys", "create", "--name", "fuzz", "--collections", "*", "--scopes", scopes]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let key = String::from_utf8(made.stdout).unwrap();
    let output = peers::python("schemathesis")
        .args(["run", &format!("http://{}/docs/openapi.json", server.address)])
        .args(["--url", &format!("http://{}", server.address)])
        .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance"])
        .args(["--phases", "examples,coverage,fuzzing", "--continue-on-failure", "--no-color"])
        .args(["--max-examples", &examples.to_string(), "--seed", &seed.to_string()])
        .args(["--header", &format!("Authorization: Bearer {}", key.trim())])
        .current_dir(home.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}\n{}", String::from_utf8_lossy(&output.stderr), server.log());
    let operations = strongroom::http::openapi::document().paths.paths.len();
    let tested = said.lines().find_map(|line| line.trim().strip_prefix("Tested: ")?.trim().parse::<usize>().ok());
    assert!(tested >= Some(operations), "it did not ask all {operations} paths:\n{said}");
}

#[test]
fn fuzzed_operations_answer_as_they_are_described() {
    asked_everything(10, 1);
}

#[test]
#[ignore = "takes minutes; STRONGROOM_SEED chooses another run"]
fn fuzzed_operations_answer_as_they_are_described_in_a_long_campaign() {
    let seed = std::env::var("STRONGROOM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    asked_everything(500, seed);
}
