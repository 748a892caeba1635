//! The main job, end to end: a file in a watched folder is found with its page and place, changes with the file, and goes with it.

use std::fs;

use serde_json::json;

use crate::support::{Server, Start, any_file_holds, sample};

#[test]
fn a_contract_in_a_watched_folder_is_found_by_page_and_place() {
    let home = tempfile::tempdir().unwrap();
    let clients = home.path().join("clients");
    fs::create_dir_all(clients.join("Acme")).unwrap();
    fs::copy(sample(), clients.join("Acme/contract.pdf")).unwrap();
    let server = Server::start(&home.path().join("data"), Start { folders: vec![&clients], ..Start::default() });
    let record = server.wait_indexed("acme", 1);
    assert_eq!(record["title"], "Acme");

    let text = server.get("/api/v1/collections/acme/documents/contract.pdf/text").text();
    let characters: Vec<char> = text.chars().collect();
    for mode in ["hybrid", "dense", "lexical"] {
        let hits = server.search("acme", mode, "agreement between the parties");
        assert!(!hits.is_empty(), "{mode}");
        for hit in &hits {
            let place = |end: &str| usize::try_from(hit[end].as_u64().unwrap()).unwrap();
            let slice: String = characters[place("start")..place("end")].iter().collect();
            assert_eq!(hit["text"], slice, "{mode}");
            assert!(hit["page"].as_u64().unwrap() >= 1);
        }
    }
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn invariant_2_a_deleted_document_is_hidden_at_once_and_a_purge_leaves_no_byte() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(&home.path().join("data"), Start::default());
    server.create("acme");
    let canary = "The zanzibarquokka clause shall survive termination.";
    assert_eq!(server.put("acme", "a.txt", canary).status, 201);
    assert_eq!(server.put("acme", "b.txt", "A lease about something else entirely.").status, 201);
    assert_eq!(server.found("acme", "zanzibarquokka"), ["a.txt"]);
    assert_eq!(server.request("DELETE", "/api/v1/collections/acme/documents/a.txt?purge=true", None).status, 204);
    assert!(server.found("acme", "zanzibarquokka").is_empty());
    assert_eq!(server.request("DELETE", "/api/v1/collections/acme/documents/a.txt", None).status, 404);
    for needle in ["zanzibarquokka", "survive termination"] {
        assert!(!any_file_holds(&server.data, needle), "{needle} is still on disk");
    }
    assert_eq!(server.found("acme", "lease"), ["b.txt"]);
}

#[test]
fn a_changed_file_answers_with_its_new_text_and_a_moved_one_is_not_embedded_again() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("clients/acme");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("a.txt"), "The deposit is four hundred kumquats.").unwrap();
    fs::write(folder.join("b.txt"), "The notice period is nine weeks.").unwrap();
    let server =
        Server::start(&home.path().join("data"), Start { folders: vec![folder.parent().unwrap()], ..Start::default() });
    server.wait_indexed("acme", 2);

    fs::write(folder.join("a.txt"), "The deposit is seven hundred tamarinds.").unwrap();
    server.wait_for("acme", "the changed text", |_| server.found("acme", "tamarinds") == ["a.txt"]);
    assert!(server.found("acme", "kumquats").is_empty());

    let embedded = server.metric("strongroom_chunks_embedded_total");
    fs::create_dir(folder.join("old")).unwrap();
    fs::rename(folder.join("b.txt"), folder.join("old/c.txt")).unwrap();
    server.wait_for("acme", "the moved file", |_| server.found("acme", "notice period") == ["old/c.txt"]);
    server.wait_indexed("acme", 2);
    assert_eq!(server.metric("strongroom_chunks_embedded_total"), embedded);

    fs::remove_file(folder.join("a.txt")).unwrap();
    server.wait_indexed("acme", 1);
    assert!(server.found("acme", "tamarinds").is_empty());
}

#[test]
fn invariant_1_an_unchanged_restart_and_a_rebuild_embed_nothing() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let server = Server::start(&data, Start::default());
    server.create("acme");
    for number in 0..5 {
        assert_eq!(
            server.put("acme", &format!("{number}.txt"), &format!("Clause {number} is about topic{number}.")).status,
            201
        );
    }
    assert_eq!(server.stop(), Some(0));

    let collections = data.join("collections");
    let folder = fs::read_dir(&collections).unwrap().next().unwrap().unwrap().path();
    fs::remove_dir_all(folder.join("text")).unwrap();
    fs::remove_dir_all(folder.join("vectors")).unwrap();
    let server = Server::start(&data, Start::default());
    server.wait_for("acme", "both indexes rebuilt", |_| {
        let body = json!({ "query": "topic3", "collections": ["acme"], "mode": "hybrid" });
        let reply = server.request("POST", "/api/v1/search", Some(&body));
        reply.status == 200 && reply.json()["hits"].as_array().is_some_and(|hits| hits.len() == 5)
    });
    assert_eq!(server.request("POST", "/api/v1/collections/acme/rebuild", None).status, 200);
    assert_eq!(server.found("acme", "topic3"), ["3.txt"]);
    assert_eq!(server.metric("strongroom_chunks_embedded_total"), 0.0);
}
