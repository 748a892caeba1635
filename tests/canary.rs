//! Invariant 9: what clients write, ask and name is in no log, no metric, no error and no progress report.

use std::fs;

use serde_json::json;

use crate::support::{Server, Start, command};

/// One word for each kind of secret; each is a word of its own, so that a hit says which wall has a hole.
const TEXT: &str = "quokkatext";
const QUERY: &str = "quokkaquery";
const FILE: &str = "quokkafile";
const FOLDER: &str = "quokkafolder";
const FIELD: &str = "quokkafield";
const ALL: [&str; 5] = [TEXT, QUERY, FILE, FOLDER, FIELD];

fn assert_clean(what: &str, said: &str, secrets: &[&str]) {
    let lower = said.to_lowercase();
    for secret in secrets {
        if let Some(at) = lower.find(secret) {
            let line = lower[..at].rfind('\n').map_or(0, |start| start + 1);
            panic!("{secret} is in {what}: {}", &lower[line..lower.len().min(at + 200)]);
        }
    }
}

/// Does everything that handles a secret, well and badly, and gives what the errors said.
fn provoke(server: &Server) -> String {
    let mut said = String::new();
    server.create("acme");
    let documents = "/api/v1/collections/acme/documents";
    let good = format!("The {TEXT} clause shall survive. Its notice period is nine {TEXT} weeks.");
    assert_eq!(server.put("acme", &format!("{FOLDER}/{FILE}.txt"), &good).status, 201);
    assert_eq!(server.put("acme", &format!("{FOLDER}/{FILE}.txt"), &format!("{good} Changed.")).status, 200);
    for (path, bytes) in [
        ("broken.pdf", format!("%PDF-1.7\n1 0 obj << /Title ({TEXT}) /Length {TEXT} >> stream {TEXT}")),
        ("odd.html", format!("<{TEXT}><script>{TEXT}</script>")),
        ("empty.txt", String::new()),
        ("zip.docx", format!("PK\u{3}\u{4}{TEXT}")),
    ] {
        let target = format!("{documents}/{FILE}-{path}?wait=true");
        said += &server.send("PUT", &target, &[("Content-Type", &format!("text/{TEXT}"))], bytes.as_bytes()).text();
    }
    // Refusals of every kind, each holding a secret where a mistake could repeat it.
    let secret =
        |template: &str| template.replace("FILE", FILE).replace("QUERY", QUERY).replace("TEXT", TEXT).replace("FIELD", FIELD);
    for (method, route, body) in [
        ("POST", "/api/v1/search", "{\"query\": \"QUERY\", \"mode\": \"TEXT\"}"),
        ("POST", "/api/v1/search", "{\"query\": [\"QUERY\"]}"),
        ("POST", "/api/v1/search", "{\"query\": \"QUERY\", \"limit\": \"TEXT\"}"),
        ("POST", "/api/v1/search", "{\"query\": \"QUERY\", \"filter\": {\"modified_from\": \"TEXT\"}}"),
        ("POST", "/api/v1/search", "{\"query\": \"QUERY\", \"filter\": \"TEXT\"}"),
        ("POST", "/api/v1/search", "{\"query\": \"QUERY\", \"collections\": [\"TEXT\"]}"),
        ("POST", "/api/v1/search", "{\"query\": \"QUERY"),
        ("POST", "/api/v1/search", "QUERY"),
        ("POST", "/api/v1/search", "\"QUERY\""),
        ("POST", "/api/v1/answers", "{\"question\": {\"QUERY\": 1}}"),
        ("POST", "/api/v1/answers", "{\"question\": \"QUERY\", \"collections\": [\"TEXT\", \"FILE\"]}"),
        ("POST", "/api/v1/collections", "{\"name\": \"TEXT FILE\"}"),
        ("GET", "/api/v1/collections/FILE", ""),
        ("GET", "/api/v1/collections/acme/documents?cursor=QUERY", ""),
        ("GET", "/api/v1/collections/acme/documents?state=QUERY", ""),
        ("GET", "/api/v1/collections/acme/documents/FILE/none.txt", ""),
        ("GET", "/api/v1/collections/acme/documents/FILE-empty.txt/text", ""),
        ("GET", "/api/v1/collections/acme/documents/..%2fFILE", ""),
        ("PUT", "/api/v1/collections/acme/documents/FILE%00TEXT", "TEXT"),
        ("PUT", "/api/v1/collections/acme/documents/FILE!/TEXT", "TEXT"),
        ("PUT", "/api/v1/collections/FILE/documents/FILE", "TEXT"),
        ("DELETE", "/api/v1/collections/acme/documents/FILE/none.txt", ""),
        ("TEXT", "/FILE/QUERY?TEXT=QUERY", ""),
        ("GET", "/api/v1/FILE?QUERY", ""),
    ] {
        let reply = server.send(method, &secret(route), &[("Content-Type", "application/json")], secret(body).as_bytes());
        assert!(reply.status >= 400, "{method} {route} {body}: {}", reply.text());
        said += &reply.text();
    }
    let host = format!("{TEXT}.example");
    for (header, value) in [
        ("Host", host.as_str()),
        ("Origin", "http://quokkatext.example"),
        ("X-Request-Id", "quokka text"),
        ("Authorization", TEXT),
    ] {
        said += &server.send("GET", "/api/v1/collections/none", &[(header, value)], b"").text();
    }
    // Names of unknown fields are repeated to whoever sent them, as the API promises, and go nowhere else.
    let unknown = server.request("POST", "/api/v1/search", Some(&json!({ "query": "x", FIELD: TEXT })));
    assert_eq!(unknown.problem(400, "unknown_field")["fields"], json!([FIELD]));
    server.get(&format!("/api/v1/collections?{FIELD}=1")).problem(400, "unknown_field");

    for mode in ["hybrid", "dense", "lexical"] {
        server.search("acme", mode, &format!("{QUERY} \"{QUERY}\" {TEXT} AND ( [ {QUERY}~2 field:{QUERY}^3 \\"));
    }
    let question = format!("What is the notice period of the {TEXT} clause, {QUERY}?");
    assert_eq!(server.request("POST", "/api/v1/answers", Some(&json!({ "question": question }))).status, 200);
    assert_eq!(server.request("POST", "/api/v1/collections/acme/retry", None).status, 200);
    assert_eq!(server.request("POST", "/api/v1/collections/acme/rebuild", None).status, 200);
    let target = format!("{documents}/{FOLDER}/{FILE}.txt?purge=true");
    assert_eq!(server.request("DELETE", &target, None).status, 204);
    said
}

#[test]
fn invariant_9_no_secret_is_logged_counted_or_repeated() {
    let home = tempfile::tempdir().unwrap();
    let clients = home.path().join("clients");
    for client in ["watched", "quokkafolder inc"] {
        let folder = clients.join(client).join(FOLDER);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{FILE}.txt")), format!("The {TEXT} of {client}.")).unwrap();
        fs::write(folder.join(format!("{FILE}.pdf")), format!("%PDF-1.7 {TEXT}")).unwrap();
        fs::write(folder.join(format!("{FILE}.tmp")), TEXT).unwrap();
        std::os::unix::fs::symlink("/etc", folder.join(format!("{FILE}-link"))).unwrap();
    }
    let format = ["text", "json"];
    for (round, level) in ["trace", "debug"].iter().enumerate() {
        let data = home.path().join(format!("data-{level}"));
        let environment = vec![
            ("STRONGROOM_LOG_LEVEL", (*level).to_owned()),
            ("STRONGROOM_LOG_FORMAT", format[round].to_owned()),
            ("RUST_LOG", "trace".to_owned()),
            ("RUST_BACKTRACE", "full".to_owned()),
        ];
        let server = Server::start(&data, Start { folders: vec![&clients], environment, ..Start::default() });
        server.wait_for("watched", "its files", |record| {
            record["documents"]["pending"] == 0 && record["documents"]["unreadable"] == 1
        });
        assert_clean("an error's body", &provoke(&server), &ALL);

        let file = clients.join("watched").join(FOLDER).join(format!("{FILE}.txt"));
        fs::rename(&file, clients.join("watched").join(format!("{FILE}-{level}.txt"))).unwrap();
        fs::write(&file, format!("The {TEXT} is another at {level}.")).unwrap();
        server.wait_for("watched", "the changed files", |record| {
            record["documents"]["pending"] == 0 && record["documents"]["indexed"] == round as u64 + 2
        });
        assert_eq!(server.request("DELETE", "/api/v1/collections/acme", None).status, 200);
        assert_clean("the metrics", &server.get("/metrics").text(), &ALL);
        assert_clean("indexing", &server.get("/api/v1/indexing").text(), &ALL);
        assert_clean("readiness", &server.get("/readyz").text(), &ALL);
        let log = server.log();
        assert!(log.to_lowercase().contains("request_id") || log.contains("request"), "nothing was logged at {level}");
        assert_eq!(server.stop(), Some(0));
        let log = fs::read_to_string(data.with_extension("log")).unwrap();
        assert_clean("the log", &log, &ALL);
    }
}

#[test]
fn invariant_9_commands_log_nothing_of_what_they_are_asked() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let server = Server::start(&data, Start::default());
    server.create("acme");
    assert_eq!(server.put("acme", &format!("{FILE}.txt"), &format!("The {TEXT} clause.")).status, 201);
    let check = || {
        for arguments in [
            vec!["search", QUERY, "--mode", "lexical"],
            vec!["search", QUERY, "-c", TEXT],
            vec!["search", QUERY, "--mode", "dense", "--json"],
            vec!["ask", QUERY],
            vec!["status"],
            vec!["rebuild", "acme"],
        ] {
            let output = command(&data, &arguments);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_clean(&format!("stderr of {}", arguments[0]), &said, &ALL);
        }
    };
    check();
    let log = server.log();
    assert_eq!(server.stop(), Some(0));
    assert_clean("the log", &log, &ALL);
    check();
}

#[test]
fn invariant_9_no_core_dump_is_left_and_the_data_folder_is_this_users_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(&home.path().join("data"), Start::default());
    server.create("acme");
    assert_eq!(server.put("acme", "a.txt", "Some words.").status, 201);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&server.data), 0o700);
    assert_eq!(mode(&server.data.join("control.sock")), 0o600);
    for file in crate::support::files(&server.data) {
        assert_eq!(mode(&file) & 0o077, 0, "{}", file.display());
    }
    let limits = format!("/proc/{}/limits", server.pid());
    match fs::read_to_string(limits) {
        Ok(limits) => {
            let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
            let words: Vec<&str> = core.split_whitespace().collect();
            assert_eq!(words[4..6], ["0", "0"], "{core}");
        }
        Err(_) => println!("not checked here: this system does not show the limits of a process"),
    }
}
