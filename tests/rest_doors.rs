//! Who may knock, and what every answer carries: open mode, request ids, health, metrics, and the pages of the binary.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::{Server, Start, binary};

#[test]
fn open_mode_refuses_strangers_at_every_door() {
    let home = tempfile::tempdir().unwrap();
    let config = "allowed_hosts = [\"strongroom.lan:7710\"]\nallowed_origins = [\"https://notes.example\"]\n";
    let server = Server::start(&home.path().join("data"), Start { config, ..Start::default() });
    let port = server.address.port();
    let own =
        [format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}"), "strongroom.lan:7710".to_owned()];
    let doors = ["/api/v1/collections", "/healthz", "/readyz", "/metrics", "/docs/", "/openapi.json"];
    for door in doors {
        for host in &own {
            assert_eq!(server.send("GET", door, &[("Host", host)], b"").status, 200, "{door} {host}");
        }
        for host in [
            "evil.example",
            &format!("evil.example:{port}"),
            "localhost",
            "localhost:1",
            &format!("localhost.evil.example:{port}"),
            "",
        ] {
            server.send("GET", door, &[("Host", host)], b"").problem(403, "open_mode");
        }
        for origin in ["http://evil.example", "null", "https://notes.example.evil", "file://", "http://localhost:1"] {
            server.send("GET", door, &[("Origin", origin)], b"").problem(403, "open_mode");
        }
        for header in ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "Cf-Connecting-Ip", "Cf-Ray", "Tailscale-User-Login"]
        {
            server.send("GET", door, &[(header, "203.0.113.7")], b"").problem(403, "open_mode");
        }
    }
    for origin in [format!("http://127.0.0.1:{port}"), format!("http://localhost:{port}"), "https://notes.example".to_owned()] {
        let reply = server.send("GET", "/api/v1/collections", &[("Origin", &origin)], b"");
        assert_eq!(reply.status, 200, "{origin}");
    }
    // Nothing happens before the check.
    let headers = [("Origin", "http://evil.example"), ("Content-Type", "application/json")];
    server.send("POST", "/api/v1/collections", &headers, b"{\"name\":\"acme\"}").problem(403, "open_mode");
    server.get("/api/v1/collections/acme").problem(404, "no_collection");
    // What only the control socket offers is not there.
    let watch = server.request("POST", "/api/v1/collections/acme/watch", Some(&json!({ "path": "/" })));
    watch.problem(404, "not_found");
    server.get("/control/process").problem(404, "not_found");
}

#[test]
fn an_address_beyond_this_machine_is_refused_with_the_reason() {
    let home = tempfile::tempdir().unwrap();
    for address in ["0.0.0.0:7710", "[::]:7710", "192.0.2.1:7710"] {
        let output = Command::new(binary())
            .args(["serve", "--bind", address, "--data"])
            .arg(home.path().join("data"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("can be reached from outside") && said.contains("127.0.0.1"), "{said}");
    }
    assert!(!home.path().join("data").exists());
}

#[test]
fn every_answer_has_an_id_and_a_callers_own_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(&home.path().join("data"), Start::default());
    let id = |headers: &[(&str, &str)]| server.send("GET", "/healthz", headers, b"").header("x-request-id").unwrap().to_owned();
    assert_ne!(id(&[]), id(&[]));
    assert_eq!(id(&[("X-Request-Id", "my-own.id_1")]), "my-own.id_1");
    for odd in ["two words", "<b>", ""] {
        assert_ne!(id(&[("X-Request-Id", odd)]), odd);
    }
    let missing = server.send("GET", "/api/v1/collections/nobody", &[("X-Request-Id", "abc")], b"");
    assert_eq!(missing.problem(404, "no_collection")["request_id"], "abc");
    let reply = server.get("/api/v1/collections");
    for (header, value) in
        [("x-content-type-options", "nosniff"), ("cache-control", "no-store"), ("cross-origin-resource-policy", "same-origin")]
    {
        assert_eq!(reply.header(header), Some(value));
    }
}

#[test]
fn health_and_metrics_tell_without_names() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(&home.path().join("data"), Start::default());
    assert_eq!(server.get("/healthz").json(), json!({ "status": "ok" }));
    let ready = server.get("/readyz").json();
    assert_eq!((&ready["ready"], &ready["dense"]), (&json!(true), &json!("ok")));
    server.create("acme");
    assert_eq!(server.put("acme", "a.txt", "Some words.").status, 201);
    server.search("acme", "hybrid", "words");
    let reply = server.get("/metrics");
    assert!(reply.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = reply.text();
    assert_eq!(text.lines().last(), Some("# EOF"));
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        value.parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
        let name = series.split('{').next().unwrap();
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'), "{line}");
        assert_eq!(series.contains('{'), series.ends_with('}'), "{line}");
    }
    assert_eq!(server.metric("strongroom_chunks"), 1.0);
    assert_eq!(server.metric("strongroom_collections"), 1.0);
    assert!(text.contains("strongroom_documents{state=\"indexed\"} 1"), "{text}");
    assert!(!text.contains("acme") && !text.contains("a.txt"), "{text}");
    assert_eq!(server.get("/api/v1/status").json()["collections"][0]["name"], "acme");
}

#[test]
fn the_docs_load_nothing_from_another_host() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(&home.path().join("data"), Start::default());
    let api = server.get("/openapi.json");
    assert_eq!(api.header("content-type"), Some("application/json"));
    let committed = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/openapi.json");
    let committed: serde_json::Value = serde_json::from_slice(&std::fs::read(committed).unwrap()).unwrap();
    assert_eq!(api.json(), committed);
    assert!(committed["openapi"].as_str().unwrap().starts_with("3.1"));
    let page = server.get("/docs/");
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("http"), "{policy}");
    let html = page.text();
    let mut files = 0;
    for piece in html.split(['"', '\'']).filter(|piece| piece.ends_with(".js") || piece.ends_with(".css")) {
        assert!(!piece.contains("//"), "{piece}");
        let path = format!("/docs/{}", piece.trim_start_matches("./"));
        let file = server.get(&path);
        assert_eq!(file.status, 200, "{path}");
        assert_eq!(file.header("content-security-policy"), Some(policy), "{path}");
        files += 1;
    }
    assert!(files >= 3, "{html}");
    assert!([301, 302, 303, 307, 308, 200].contains(&server.get("/docs").status));
}
