//! The Qdrant façade, asked as Open WebUI asks it, byte for byte, and by the client that it uses.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::{PATIENCE, Server, Start, http::Reply, peers};

/// The request that Open WebUI 0.12.4 sends by qdrant-client 1.18.0, with its header names, their order and its spelling.
fn exact_query(server: &Server, collection: &str, key: &str, vector: &Value) -> Reply {
    let body = format!("{{\"query\":{{\"nearest\":{vector}}},\"limit\":3,\"with_vector\":false,\"with_payload\":true}}");
    let head = format!(
        "POST /qdrant/collections/{collection}/points/query HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate\r\n\
         Connection: close\r\nUser-Agent: python-client/1.18.0 python/3.11.7\r\napi-key: {key}\r\nContent-Length: {}\r\n\
         Content-Type: application/json\r\n\r\n",
        server.address,
        body.len()
    );
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    crate::support::http::parse(&bytes).unwrap()
}

/// A unit vector of the model's length that this server has never made.
pub fn stranger(dimension: usize) -> Value {
    let numbers: Vec<f64> = (0..dimension).map(|n| f64::from(((n * 37 + 11) % 101) as u32) / 101.0 - 0.5).collect();
    json!(numbers)
}

fn filled(home: &tempfile::TempDir) -> Server {
    let server = Server::start(&home.path().join("data"), Start::default());
    server.create("acme");
    for (path, text) in [
        ("lease.md", "# Lease\n\nThe tenant may terminate this lease with three months' notice to the end of a quarter.\n"),
        ("folder/loan ü.txt", "The loan is repaid in forty equal instalments, the first of which is due in March.\n"),
        ("menu.txt", "The canteen serves lentil soup on Mondays and pancakes on Fridays.\n"),
    ] {
        let encoded = path.replace(' ', "%20").replace('ü', "%C3%BC");
        assert_eq!(server.put("acme", &encoded, text).status, 201, "{path}");
    }
    server
}

#[track_caller]
fn refused(reply: &Reply, status: u16) -> String {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let body = reply.json();
    assert!(body["time"].is_number(), "{body}");
    body["status"]["error"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
}

#[test]
fn facade_answers_an_unknown_vector_by_nearest_passages() {
    let home = tempfile::tempdir().unwrap();
    let server = filled(&home);
    for path in ["/qdrant", "/qdrant/"] {
        let reply = server.send("GET", path, &[("api-key", "")], b"");
        assert_eq!((reply.status, reply.json()["version"].as_str()), (200, Some("1.18.0")));
    }
    let vector = stranger(384);
    let reply = exact_query(&server, "acme", "K", &vector);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let body = reply.json();
    assert_eq!(body["status"], "ok");
    let points = body["result"]["points"].as_array().unwrap();
    assert_eq!(points.len(), 3, "{body}");
    for point in points {
        assert!((-1.0..=1.0).contains(&point["score"].as_f64().unwrap()), "{point}");
        assert!(point["version"].is_u64() && point["id"].is_string(), "{point}");
        let metadata = &point["payload"]["metadata"];
        assert!(metadata["source"].as_str().unwrap().starts_with("strongroom://acme/"), "{point}");
        assert!(metadata["name"].is_string() && metadata.get("page").is_none(), "{point}");
    }
    assert!(points.iter().any(|point| point["payload"]["metadata"]["source"] == "strongroom://acme/folder/loan%20%C3%BC.txt"));
    assert!(points.windows(2).all(|pair| pair[0]["score"].as_f64() >= pair[1]["score"].as_f64()), "{body}");
    // A vector's length says nothing: cosine it is.
    let longer: Vec<f64> = vector.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() * 8.0).collect();
    let again = exact_query(&server, "acme", "K", &json!(longer)).json();
    assert_eq!(again["result"]["points"], body["result"]["points"]);
}

#[test]
fn facade_refuses_in_the_shape_of_qdrant() {
    let home = tempfile::tempdir().unwrap();
    let server = filled(&home);
    let said = refused(&exact_query(&server, "acme", "", &stranger(768)), 400);
    assert!(said.contains("768") && said.contains("384"), "{said}");
    // An empty collection is asked by the same model.
    server.create("empty");
    refused(&exact_query(&server, "empty", "", &stranger(768)), 400);
    assert_eq!(exact_query(&server, "empty", "", &stranger(384)).json()["result"]["points"], json!([]));
    refused(&exact_query(&server, "nobody", "", &stranger(384)), 404);
    let json_type = [("Content-Type", "application/json")];
    for (method, path, body, status) in [
        ("PUT", "/qdrant/collections/new", "{}", 403),
        ("DELETE", "/qdrant/collections/acme", "", 403),
        ("PATCH", "/qdrant/collections/acme", "{}", 403),
        ("PUT", "/qdrant/collections/acme/points?wait=true", "{}", 403),
        ("POST", "/qdrant/collections/acme/points/delete", "{}", 403),
        ("POST", "/qdrant/collections/acme/points/batch", "{}", 403),
        ("POST", "/qdrant/collections/acme/points/payload", "{}", 403),
        ("PUT", "/qdrant/collections/acme/index", "{}", 403),
        ("POST", "/qdrant/collections/aliases", "{}", 403),
        ("POST", "/qdrant/collections/acme/snapshots", "", 403),
        ("POST", "/qdrant/collections/acme/points/scroll", "{}", 400),
        ("POST", "/qdrant/collections/acme/points", "{\"ids\":[1]}", 400),
        ("GET", "/qdrant/collections/acme/points/1", "", 404),
        ("GET", "/qdrant/telemetry", "", 404),
        ("POST", "/qdrant/collections/acme/points/query", "{\"query\":", 400),
        ("POST", "/qdrant/collections/acme/points/query", "{\"query\":[1.0],\"surprise\":1}", 400),
    ] {
        refused(&server.send(method, path, &json_type, body.as_bytes()), status);
    }
    let origin = [("Origin", "http://evil.example")];
    refused(&server.send("GET", "/qdrant", &origin, b""), 403);
    assert_eq!(server.collection("acme")["documents"]["indexed"], 3);
}

#[test]
fn facade_serves_the_client_that_open_webui_uses() {
    let home = tempfile::tempdir().unwrap();
    let server = filled(&home);
    let url = format!("http://{}/qdrant", server.address);
    let vector = stranger(384);
    let got = peers::run_python("qdrant_reader.py", &[&url, "", "acme", &vector.to_string()]);
    assert_eq!(got["version"], "1.18.0");
    assert_eq!((&got["collections"], &got["exists"]), (&json!(["acme"]), &json!([true, false])));
    assert_eq!(got["info"], json!({ "status": "green", "points": 3, "size": 384 }));
    assert_eq!(got["count"], 3);
    let points = got["points"].as_array().unwrap();
    assert_eq!(points.len(), 3);
    assert_eq!(got["second"], json!([points[1]]));
    assert_eq!(got["batch"], json!([[points[0]], [points[0], points[1]]]));
    assert_eq!(got["bare"], json!([null]));
    assert_eq!(got["text_only"], json!([{ "text": points[0]["payload"]["text"] }]));
    assert_eq!(got["filtered"], json!([points[2]]));
    assert_eq!(got["above"], 1);
    for (what, status) in [
        ("missing", 404),
        ("dimension", 400),
        ("vectors", 400),
        ("scroll", 400),
        ("create", 403),
        ("delete", 403),
        ("upsert", 403),
        ("delete_points", 403),
    ] {
        let refusal = &got["refused"][what];
        assert_eq!(refusal["status"], status, "{what}: {refusal}");
        assert!(refusal["body"]["status"]["error"].is_string(), "{what}: {refusal}");
    }
}
