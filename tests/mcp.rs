//! MCP, message by message as Open WebUI sends them, and by the protocol's own SDK.

use serde_json::{Value, json};

use crate::support::http::Reply;
use crate::support::{Server, Start, peers};

const ACCEPT: (&str, &str) = ("Accept", "application/json, text/event-stream");
const JSON: (&str, &str) = ("Content-Type", "application/json");
const LEASE: &str = "# Lease\n\nThe tenant may terminate this lease with three months' notice. Größe: 80 m².\n";

/// One message, with further headers.
pub fn post(server: &Server, headers: &[(&str, &str)], message: &Value) -> Reply {
    let headers = [&[ACCEPT, JSON], headers].concat();
    server.send("POST", "/mcp", &headers, message.to_string().as_bytes())
}

/// A request that begins a session.
pub fn initialize() -> Value {
    json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "mcp", "version": "0.1.0" } } })
}

/// A call of a tool.
pub fn call(name: &str, arguments: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": name, "arguments": arguments } })
}

fn filled(home: &tempfile::TempDir) -> Server {
    let server = Server::start(&home.path().join("data"), Start::default());
    server.create("acme");
    assert_eq!(server.put("acme", "a/lease.md", LEASE).status, 201);
    server
}

#[test]
fn mcp_turn_of_open_webui_falls_back_to_a_session() {
    let home = tempfile::tempdir().unwrap();
    let server = filled(&home);
    // First it asks for the later protocol.
    let version = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "mcp", "version": "0.1.0" },
        "io.modelcontextprotocol/clientCapabilities": {} });
    let discover = json!({ "jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": { "_meta": version } });
    let later = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "server/discover")];
    let reply = post(&server, &later, &discover);
    assert!((400..500).contains(&reply.status), "{} {}", reply.status, reply.text());
    assert!(reply.json()["error"]["code"].is_i64(), "{}", reply.text());
    let bare = json!({ "jsonrpc": "2.0", "id": 1, "method": "server/discover" });
    let reply = post(&server, &[], &bare);
    assert!((400..500).contains(&reply.status) || reply.json()["error"]["code"] == -32601, "{}", reply.text());

    let begun = post(&server, &[], &initialize());
    assert_eq!((begun.status, begun.header("content-type")), (200, Some("application/json")), "{}", begun.text());
    assert_eq!(begun.json()["result"]["protocolVersion"], "2025-11-25");
    let session = begun.header("mcp-session-id").unwrap().to_owned();
    let within = [("Mcp-Session-Id", session.as_str()), ("MCP-Protocol-Version", "2025-11-25")];
    let told = post(&server, &within, &json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    assert_eq!(told.status, 202, "{}", told.text());
    let list = post(&server, &within, &json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" })).json();
    let names: Vec<&str> =
        list["result"]["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert!(["search", "read_document", "ask", "list_collections"].iter().all(|name| names.contains(name)), "{names:?}");
    let found = post(&server, &within, &call("search", json!({ "query": "notice", "collections": ["acme"] }))).json();
    assert_eq!(found["id"], 7);
    assert_eq!(found["result"]["structuredContent"]["passages"][0]["path"], "a/lease.md", "{found}");
    assert_eq!(found["result"]["isError"], false);
}

#[test]
fn mcp_sessions_and_messages_that_are_not_right_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let server = filled(&home);
    let list = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" });
    let session = post(&server, &[], &initialize()).header("mcp-session-id").unwrap().to_owned();
    let touched = format!("{}{}", if session.starts_with('0') { '1' } else { '0' }, &session[1..]);
    for odd in [touched.as_str(), "x", ""] {
        let reply = post(&server, &[("Mcp-Session-Id", odd)], &list);
        assert_eq!((reply.status, &reply.json()["error"]["data"]["code"]), (404, &json!("no_session")), "{odd}");
    }
    for (body, code) in [("{", -32700), ("[]", -32700), ("[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", -32700)] {
        let reply = server.send("POST", "/mcp", &[ACCEPT, JSON], body.as_bytes());
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!(code)), "{body}: {}", reply.text());
    }
    let reply = server.send("POST", "/mcp", &[("Accept", "text/html"), JSON], list.to_string().as_bytes());
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (406, &json!(-32600)), "{}", reply.text());
    for method in ["GET", "DELETE", "PUT"] {
        let reply = server.send(method, "/mcp", &[("Accept", "text/event-stream"), ("Mcp-Session-Id", &session)], b"");
        assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")), "{method}: {}", reply.text());
        assert_eq!(reply.json()["jsonrpc"], "2.0");
    }
    let long = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "params": { "x": "y".repeat(300_000) } });
    assert_eq!(post(&server, &[], &long).status, 413);
    let evil = post(&server, &[("Origin", "http://evil.example")], &list);
    assert_eq!((evil.status, &evil.json()["error"]["data"]["code"]), (403, &json!("open_mode")));
    let evil = server.send("POST", "/mcp", &[ACCEPT, JSON, ("Host", "evil.example")], list.to_string().as_bytes());
    assert_eq!(evil.status, 403);
    // Nothing that is open holds the server when it is told to stop.
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn mcp_serves_the_protocols_own_client() {
    let home = tempfile::tempdir().unwrap();
    let server = filled(&home);
    assert_eq!(server.put("acme", "long.txt", &"ä word ".repeat(4_000)).status, 201);
    let calls = json!([
        ["search", { "query": "notice period", "limit": 1 }],
        ["read_document", { "collection": "acme", "path": "a/lease.md", "start": 3, "end": 8 }],
        ["ask", { "question": "How may the tenant terminate the lease?", "collections": ["acme"] }],
        ["list_collections", {}],
        ["read_document", { "collection": "acme", "path": "long.txt" }],
        ["read_document", { "collection": "acme", "path": "nothing.md" }],
        ["search", { "query": "notice", "collections": ["nobody"] }],
        ["search", { "query": "notice", "limit": 101 }],
        ["search", { "question": "notice" }],
        ["destroy", {}],
    ]);
    let url = format!("http://{}/mcp", server.address);
    let got = peers::run_node("mcp_client.mjs", &[&url, "", &calls.to_string()]);
    assert_eq!((&got["server"]["name"], &got["protocol"]), (&json!("strongroom"), &json!("2025-11-25")));
    assert!(got["session"].is_string() && got["instructions"].is_string(), "{got}");
    assert!(got["tools"].as_array().unwrap().iter().all(|tool| tool["annotations"]["readOnlyHint"] == true));
    let results = got["results"].as_array().unwrap();
    let text = |at: usize| results[at]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{}", results[at]));
    let structured = |at: usize| &results[at]["structuredContent"];

    let passage = &structured(0)["passages"][0];
    assert_eq!((&passage["collection"], &passage["page"]), (&json!("acme"), &Value::Null));
    assert_eq!(passage["source"], "strongroom://acme/a/lease.md");
    let (start, end) = (passage["start"].as_u64().unwrap() as usize, passage["end"].as_u64().unwrap() as usize);
    let slice: String = LEASE.chars().skip(start).take(end - start).collect();
    assert_eq!(passage["text"], slice);
    assert!(text(0).contains(&slice), "{}", text(0));

    let read: String = LEASE.chars().skip(3).take(5).collect();
    assert_eq!((text(1), &structured(1)["next"]), (read.as_str(), &json!(8)));
    assert!(structured(2)["grounded"].is_boolean() && text(2).contains("three months"), "{}", text(2));
    assert_eq!(structured(3)["collections"][0]["indexed"], 2);
    assert_eq!((&structured(4)["end"], &structured(4)["total"]), (&json!(20_000), &json!(28_000)));
    for result in &results[5..9] {
        assert_eq!(result["isError"], true, "{result}");
    }
    assert_eq!(text(6), "There is no such collection.");
    assert!(results[9]["thrown"].as_str().unwrap().contains("no such tool"), "{}", results[9]);
}
