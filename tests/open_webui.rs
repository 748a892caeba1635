//! What Open WebUI does from question to citation, request by request, and how it calls a tool server.

use serde_json::{Value, json};

use crate::support::{Server, Start};

const LEASE: &str = "The tenant may terminate this lease with three months' notice to the end of a quarter.\n";

fn filled(home: &tempfile::TempDir, config: &str) -> Server {
    let server = Server::start(&home.path().join("data"), Start { config, ..Start::default() });
    server.create("acme");
    assert_eq!(server.put("acme", "a%20b/lease.txt", LEASE).status, 201);
    for n in 0..12 {
        let text = format!("Order {n}: the supplier delivers {} crates of apples to the market hall by noon.\n", n * 3 + 1);
        assert_eq!(server.put("acme", &format!("order-{n}.txt"), &text).status, 201);
    }
    server
}

fn embedded(server: &Server, text: &str) -> Value {
    let reply = server.request("POST", "/v1/embeddings", Some(&json!({ "input": [text], "model": "strongroom-embed" })));
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["data"][0]["embedding"].clone()
}

fn points(server: &Server, body: &Value) -> Vec<Value> {
    let reply = server.request("POST", "/qdrant/collections/acme/points/query", Some(body));
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["result"]["points"].as_array().unwrap().clone()
}

#[test]
fn open_webui_question_is_searched_for_by_its_text() {
    let home = tempfile::tempdir().unwrap();
    let server = filled(&home, "public_url = \"https://kb.example/\"\n");
    for question in ["When can the tenant terminate?", "order 7 \"apples to the market\"", "Größe"] {
        let vector = embedded(&server, question);
        let limit = 5;
        let asked = json!({ "query": question, "collections": ["acme"], "limit": limit });
        let hits = server.search_with(&asked)["hits"].as_array().unwrap().clone();
        let body = json!({ "query": { "nearest": vector }, "limit": limit, "with_vector": false, "with_payload": true });
        let found = points(&server, &body);
        assert_eq!(found.len(), hits.len(), "{question}");
        for (point, hit) in found.iter().zip(&hits) {
            let payload = &point["payload"];
            assert_eq!(
                (&payload["text"], &payload["metadata"]["path"]),
                (&hit["text"], &hit["document"]["path"]),
                "{question}"
            );
            let score = |of: &Value| of["score"].as_f64().unwrap() as f32;
            assert_eq!(score(point), score(hit), "{question}");
        }
        // One bit off it is a stranger's vector, and nearest passages are all there is to go by.
        let mut other: Vec<f64> = vector.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect();
        other[0] = f64::from(f32::from_bits((other[0] as f32).to_bits() ^ 1));
        let dense = server.search_with(&json!({ "query": question, "collections": ["acme"], "limit": limit, "mode": "dense" }));
        let nearest = points(&server, &json!({ "query": { "nearest": other }, "limit": limit, "with_payload": true }));
        let paths: Vec<&Value> = nearest.iter().map(|point| &point["payload"]["metadata"]["path"]).collect();
        let expect: Vec<&Value> = dense["hits"].as_array().unwrap().iter().map(|hit| &hit["document"]["path"]).collect();
        assert_eq!(paths, expect, "{question}");
    }
    let first = &points(
        &server,
        &json!({ "query": embedded(&server, "notice period of the lease"), "limit": 1, "with_payload": true }),
    )[0];
    let source = first["payload"]["metadata"]["source"].as_str().unwrap();
    assert_eq!(source, "https://kb.example/api/v1/collections/acme/documents/a%20b/lease.txt?part=original");
    let original = server.get(source.strip_prefix("https://kb.example").unwrap());
    assert_eq!((original.status, original.text()), (200, LEASE.to_owned()));
}

#[test]
fn open_webui_calls_operations_as_tools() {
    let home = tempfile::tempdir().unwrap();
    let server = filled(&home, "");
    let api = server.get("/openapi.json").json();
    // It finds an operation by its id, and fills in the path with everything encoded, the slash too.
    let find = |id: &str| {
        let paths = api["paths"].as_object().unwrap();
        let (path, _) =
            paths.iter().find(|(_, item)| item.as_object().unwrap().values().any(|one| one["operationId"] == id)).unwrap();
        path.clone()
    };
    let filled = |id: &str| find(id).replace("{collection}", "acme").replace("{path}", "a%20b%2Flease.txt");
    let record = server.get(&filled("getDocument"));
    assert_eq!((record.status, &record.json()["path"]), (200, &json!("a b/lease.txt")), "{}", record.text());
    let put = server.send(
        "PUT",
        &format!("{}?wait=True", filled("putDocument")),
        &[("Content-Type", "text/plain")],
        LEASE.as_bytes(),
    );
    assert_eq!((put.status, &put.json()["state"]), (200, &json!("indexed")), "{}", put.text());
    // The two tools whose results become citations.
    let query = json!({ "query": "notice period of the tenant", "count": 1 });
    let reply = server.request("POST", &find("query_knowledge_files"), Some(&query));
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/plain; charset=utf-8")), "{}", reply.text());
    let chunk = &reply.json()[0];
    assert_eq!(
        (&chunk["file_id"], &chunk["content"], &chunk["type"]),
        (&json!("acme/a b/lease.txt"), &json!(LEASE.trim()), &json!("file"))
    );
    let reply = server.request("POST", &find("view_file"), Some(&json!({ "file_id": chunk["file_id"] })));
    let viewed = json!({ "id": "acme/a b/lease.txt", "filename": "lease.txt", "content": LEASE, "knowledge_name": "acme", "truncated": false });
    assert_eq!((reply.status, reply.json()), (200, viewed));
    server.request("POST", &find("view_file"), Some(&json!({ "file_id": "acme/none.txt" }))).problem(404, "no_document");
    server.request("POST", &find("view_file"), Some(&json!({ "file_id": "acme" }))).problem(400, "bad_field");
    assert_eq!(server.get("/tools.json").json()["paths"].as_object().unwrap().len(), 5);

    let deleted = server.send("DELETE", &format!("{}?purge=False", filled("deleteDocument")), &[], b"");
    assert_eq!(deleted.status, 204, "{}", deleted.text());
    // Arguments that a model leaves open come as null.
    let search =
        json!({ "query": "apples", "collections": ["acme"], "limit": null, "mode": null, "filter": null, "explain": null });
    let reply = server.request("POST", &find("search"), Some(&search));
    assert_eq!(reply.status, 200, "{}", reply.text());
}
