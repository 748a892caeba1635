//! The command line: what people type with and without a running server, what it prints, and how it ends.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{PATIENCE, Server, Start, binary, command};

/// stdout of a command that must end well.
#[track_caller]
fn good(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// stderr of a command that must end with this code, and print nothing else.
#[track_caller]
fn bad(output: &Output, code: i32) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(code), 0), "{said}");
    assert!(!said.contains("panicked") && !said.trim().is_empty(), "{said}");
    said
}

fn as_json(output: &Output) -> Value {
    let text = good(output);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Runs a command with variables of its own in a folder of its own.
fn with(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).env("HOME", folder).env("XDG_CONFIG_HOME", folder);
    command.envs(variables.iter().copied()).output().unwrap()
}

#[test]
fn serve_says_where_to_go_and_one_thing_to_type() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("clients/acme");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("a.txt"), "This agreement is governed by the laws of Finland.").unwrap();
    let server =
        Server::start(&home.path().join("data"), Start { folders: vec![folder.parent().unwrap()], ..Start::default() });
    server.wait_indexed("acme", 1);
    let begun = Instant::now();
    let greeting = loop {
        let log = server.log();
        if let Some(at) = log.find("Searchable:") {
            break log[at..].to_owned();
        }
        assert!(begun.elapsed() < PATIENCE, "{log}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    assert!(greeting.contains(&format!("http://{}/docs", server.address)), "{greeting}");
    let next = greeting.lines().find(|line| line.contains(" search ")).unwrap_or_else(|| panic!("{greeting}")).trim();
    // What it says to type is typed.
    let arguments = next.split_once(" search ").unwrap().1;
    let shell = format!("{} search {arguments}", binary());
    let output = Command::new("sh").args(["-c", &shell]).stdin(Stdio::null()).output().unwrap();
    assert!(good(&output).contains("governed by the laws of Finland"));
}

#[test]
fn commands_do_the_same_with_and_without_a_running_server() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let server = Server::start(&data, Start::default());
    for name in ["acme", "brown"] {
        server.create(name);
    }
    assert_eq!(server.put("acme", "lease.txt", "The notice period for termination is nine weeks.").status, 201);
    assert_eq!(server.put("acme", "empty.txt", "").status, 422);
    let check = |running: bool| {
        for mode in ["hybrid", "dense", "lexical"] {
            let found =
                as_json(&command(&data, &["search", "notice period", "-c", "acme", "--mode", mode, "--json", "--explain"]));
            assert_eq!(found["hits"][0]["document"]["path"], "lease.txt", "{mode}");
            assert!(found["hits"][0]["explain"].is_object());
            assert_eq!(found["unreadable"], 1);
        }
        let shown = command(&data, &["search", "notice period"]);
        let text = good(&shown);
        assert!(text.contains("acme · lease.txt") && text.contains("nine weeks"), "{text}");
        assert!(String::from_utf8_lossy(&shown.stderr).contains("cannot be read"));
        let nothing = command(&data, &["search", "zanzibar", "--mode", "lexical"]);
        assert_eq!(good(&nothing), "");
        assert!(String::from_utf8_lossy(&nothing.stderr).contains("Nothing found"));

        let question = "What is the notice period for termination?";
        let answer = as_json(&command(&data, &["ask", question, "-c", "acme", "--json"]));
        assert_eq!((&answer["grounded"], &answer["citations"][0]["verified"]), (&json!(true), &json!(true)), "{answer}");
        assert!(good(&command(&data, &["ask", question, "-c", "acme"])).contains("[1] acme · lease.txt"));
        assert!(bad(&command(&data, &["ask", question]), 1).contains("one collection only"));
        assert!(bad(&command(&data, &["search", "x", "-c", "nobody"]), 1).contains("strongroom collections"));

        let status = as_json(&command(&data, &["status", "--json"]));
        assert_eq!(status["process"].is_object(), running, "{status}");
        assert_eq!(status["collections"][0]["documents"]["unreadable"], 1);
        assert_eq!(status["troubles"][0]["reason"], "empty");
        let text = good(&command(&data, &["status"]));
        assert!(
            text.contains("acme · empty.txt: is empty")
                && text.contains(if running { "running, process" } else { "not running" }),
            "{text}"
        );
        assert!(good(&command(&data, &["status", "acme"])).contains("acme"));
        let list = as_json(&command(&data, &["collections", "--json"]));
        let names: Vec<&Value> = list["collections"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
        assert_eq!(names, ["acme", "brown"]);
        assert!(good(&command(&data, &["collections"])).contains("brown"));
        assert_eq!(as_json(&command(&data, &["rebuild", "acme", "--json"]))["rebuilt"][0]["name"], "acme");
        assert!(good(&command(&data, &["rebuild", "--all"])).contains("Rebuilt 2 collections"));
        assert!(as_json(&command(&data, &["models", "list", "--json"]))["models"].is_array());
        assert!(good(&command(&data, &["models", "list"])).contains("all-MiniLM-L6-v2"));
        // Whether this machine has all that is needed is not for this test to say.
        let doctor = command(&data, &["doctor", "--json"]);
        let checks: Value = serde_json::from_slice(&doctor.stdout).unwrap();
        let missing = checks["checks"].as_array().unwrap().iter().any(|check| check["state"] == "missing");
        assert_eq!(doctor.status.code(), Some(i32::from(missing)), "{checks}");
        for check in checks["checks"].as_array().unwrap() {
            assert_eq!(check["state"] == "ok", check["remedy"].is_null(), "{check}");
        }
    };
    check(true);
    let paused = as_json(&command(&data, &["pause", "--json"]));
    assert!(paused["paused"].is_string(), "{paused}");
    good(&command(&data, &["resume"]));
    let second = Command::new(binary()).args(["serve", "--bind", "127.0.0.1:0", "--data"]).arg(&data).output().unwrap();
    assert!(bad_log(&second, 1).contains(&format!("process {}", server.pid())));
    let without_consent = command(&data, &["destroy", "brown"]);
    assert!(bad(&without_consent, 2).contains("--yes"));
    assert_eq!(server.stop(), Some(0));

    check(false);
    assert!(bad(&command(&data, &["pause"]), 1).contains("no server runs"));
    let certificate = as_json(&command(&data, &["destroy", "brown", "--yes", "--json"]))["certificate"].clone();
    assert_eq!((&certificate["collection"]["name"], &certificate["clean"]), (&json!("brown"), &json!(true)));
    assert_eq!(as_json(&command(&data, &["collections", "--json"]))["collections"].as_array().unwrap().len(), 1);
}

/// As `bad`, of a command that logs too.
fn bad_log(output: &Output, code: i32) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

#[test]
fn wrong_usage_is_told_with_the_remedy() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("nothing");
    for arguments in [
        &["search"][..],
        &["serch", "x"],
        &["search", "x", "--limit", "101"],
        &["search", "x", "--mode", "fuzzy"],
        &["rebuild"],
        &["serve", "--watch", "x"],
    ] {
        bad(&command(&data, arguments), 2);
    }
    assert!(bad(&command(&data, &["search", "x"]), 1).contains("there is no data folder"));
    assert!(!data.exists());
    let here = home.path();
    assert!(good(&with(here, &[], &["--help"])).contains("Examples:"));
    assert!(good(&with(here, &[], &["--version"])).contains(env!("CARGO_PKG_VERSION")));
    assert_eq!(with(here, &[], &[]).status.code(), Some(2));

    fs::write(here.join("strongroom.toml"), "bnd = \"127.0.0.1:1\"\n\n[embeding]\nmodel = \"x\"\n").unwrap();
    let said = bad(&with(here, &[], &["config"]), 2);
    for expected in ["strongroom.toml", "line 1", "`bind`", "line 3", "`embedding`"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    fs::write(here.join("strongroom.toml"), "[embedding]\nmodel = \"all-MiniLM-L6-v3\"\noffline = true\n").unwrap();
    let said = bad_log(&with(here, &[("STRONGROOM_DATA", data.to_str().unwrap())], &["doctor"]), 1);
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let home = tempfile::tempdir().unwrap();
    let here = home.path();
    fs::write(here.join("strongroom.toml"), "data = \"from-file\"\nbind = \"127.0.0.1:1001\"\n\n[indexing]\nthreads = 1\n")
        .unwrap();
    let config =
        |variables: &[(&str, &str)], more: &[&str]| as_json(&with(here, variables, &[&["config", "--json"], more].concat()));
    let file = config(&[], &[]);
    assert!(file["settings"]["data"].as_str().unwrap().ends_with("from-file"), "{file}");
    assert!(file["origins"]["bind"][0].as_str().unwrap().contains("strongroom.toml"), "{file}");
    let variables = [("STRONGROOM_DATA", "from-variable"), ("STRONGROOM_BIND", "127.0.0.1:1002")];
    let variable = config(&variables, &[]);
    assert!(variable["settings"]["data"].as_str().unwrap().ends_with("from-variable"), "{variable}");
    assert_eq!(
        (&variable["settings"]["bind"], &variable["settings"]["indexing"]["threads"]),
        (&json!("127.0.0.1:1002"), &json!(1))
    );
    assert!(variable["origins"]["bind"][0].as_str().unwrap().contains("STRONGROOM_BIND"), "{variable}");
    let flag = config(&variables, &["--data", "from-flag"]);
    assert!(flag["settings"]["data"].as_str().unwrap().ends_with("from-flag"), "{flag}");
    assert!(flag["origins"]["data"][0].as_str().unwrap().contains("--data"), "{flag}");
    // What is printed is a file that says the same.
    let printed = good(&with(here, &variables, &["config"]));
    let other = here.join("other.toml");
    fs::write(&other, printed).unwrap();
    let again = config(&[], &["--config", other.to_str().unwrap()]);
    assert_eq!(again["settings"], variable["settings"]);
}

#[test]
fn without_a_model_words_are_searched_and_with_it_the_vectors_are_made() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let cache = home.path().join("no models");
    fs::create_dir(&cache).unwrap();
    let missing =
        || vec![("STRONGROOM_CACHE", cache.to_str().unwrap().to_owned()), ("STRONGROOM_EMBEDDING_OFFLINE", "true".to_owned())];
    let server = Server::start(&data, Start { environment: missing(), ..Start::default() });
    let ready = server.get("/readyz").json();
    let why = ready["dense"].as_str().unwrap();
    for expected in ["model missing: ", "strongroom models fetch", "model.safetensors"] {
        assert!(why.contains(expected), "{expected}: {why}");
    }
    assert!(server.log().contains("strongroom models import"));
    server.create("acme");
    assert_eq!(server.put("acme", "lease.txt", "The notice period for termination is nine weeks.").status, 201);
    assert_eq!(server.found("acme", "termination"), ["lease.txt"]);
    for mode in ["dense", "hybrid"] {
        let reply = server.request("POST", "/api/v1/search", Some(&json!({ "query": "termination", "mode": mode })));
        let problem = reply.problem(501, "mode_unavailable");
        assert!(problem["detail"].as_str().unwrap().contains("strongroom models fetch"), "{problem}");
    }
    let question = json!({ "question": "What is the notice period for termination?" });
    let answer = server.request("POST", "/api/v1/answers", Some(&question));
    assert_eq!((answer.status, &answer.json()["grounded"]), (200, &json!(true)), "{}", answer.text());
    let doctor = Command::new(binary()).args(["doctor", "--data"]).arg(&data).envs(missing()).output().unwrap();
    assert_eq!(doctor.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("strongroom models import"));
    assert_eq!(server.stop(), Some(0));
    let search = Command::new(binary()).args(["search", "x", "--data"]).arg(&data).envs(missing()).output().unwrap();
    assert!(bad_log(&search, 1).contains("--mode lexical"));

    let server = Server::start(&data, Start::default());
    server.wait_for("acme", "the missing vectors", |record| {
        let reply = server.request("POST", "/api/v1/search", Some(&json!({ "query": "how to end it", "mode": "dense" })));
        reply.status == 200 && reply.json()["hits"].as_array().unwrap().len() == 1 && record["model"].is_string()
    });
    assert_eq!(server.metric("strongroom_chunks_embedded_total"), 1.0);
    assert_eq!(server.search("acme", "hybrid", "termination")[0]["document"]["path"], "lease.txt");
}

#[test]
fn invariant_8_another_model_is_used_only_after_a_rebuild() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let start = |precision: &str| {
        let environment = vec![("STRONGROOM_EMBEDDING_PRECISION", precision.to_owned())];
        Server::start(&data, Start { environment, ..Start::default() })
    };
    let server = start("int8");
    server.create("acme");
    assert_eq!(server.put("acme", "lease.txt", "The notice period for termination is nine weeks.").status, 201);
    let model = |server: &Server| server.collection("acme")["model"].as_str().unwrap().to_owned();
    let first = model(&server);
    // With seven bits where a processor's integer products saturate.
    assert!(first.contains("precision=int8") || first.contains("precision=int7"), "{first}");
    let score = |server: &Server| server.search("acme", "dense", "how does it end")[0]["score"].clone();
    let before = score(&server);
    assert_eq!(server.stop(), Some(0));

    let server = start("fp32");
    // It is searched with its own model, and the log says how to move.
    assert_eq!((model(&server), score(&server)), (first, before.clone()));
    assert!(server.log().contains("strongroom rebuild --all"), "{}", server.log());
    let rebuilt = command(&data, &["rebuild", "acme"]);
    good(&rebuilt);
    let second = model(&server);
    assert!(second.contains("precision=fp32"), "{second}");
    let after = score(&server);
    assert_ne!(after, before);
    assert_eq!(server.metric("strongroom_chunks_embedded_total"), 1.0);
    // Moving on takes new documents along.
    assert_eq!(server.put("acme", "b.txt", "The deposit is four kumquats.").status, 201);
    assert_eq!(server.search("acme", "dense", "deposit").len(), 2);
    assert_eq!(server.stop(), Some(0));

    // The vectors of both are kept in the catalog: going back embeds nothing that is there.
    let server = start("fp32");
    assert_eq!((model(&server), score(&server)), (second, after));
    assert_eq!(server.metric("strongroom_chunks_embedded_total"), 0.0);
}
