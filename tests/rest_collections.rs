//! Collections over REST: made, listed, counted, destroyed, and what a watched folder changes about them.

use std::fs;

use serde_json::json;

use crate::support::{Server, Start, any_file_holds, command};

#[test]
fn a_collection_is_made_once_shown_and_refused_by_its_rules() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(&home.path().join("data"), Start::default());
    let create = |body| server.request("POST", "/api/v1/collections", Some(&body));

    let made = create(json!({ "name": "acme" }));
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.header("location"), Some("/api/v1/collections/acme"));
    let record = made.json();
    assert_eq!((&record["name"], &record["title"], &record["chunks"]), (&json!("acme"), &json!("acme"), &json!(0)));
    assert_eq!(record["documents"], json!({ "indexed": 0, "partial": 0, "pending": 0, "unreadable": 0, "failed": 0 }));
    assert!(record["created_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(server.collection("acme"), record);

    create(json!({ "name": "acme" })).problem(409, "collection_exists");
    let longest = "x".repeat(63);
    for name in ["0", "a-", &longest] {
        assert_eq!(create(json!({ "name": name })).status, 201, "{name}");
    }
    let too_long = "x".repeat(64);
    for name in ["", "-a", "Acme", "a b", "a_b", "ü", "../a", "a/b", &too_long] {
        create(json!({ "name": name })).problem(400, "bad_name");
    }
    let unknown = create(json!({ "name": "b", "colour": "red", "size": 3 })).problem(400, "unknown_field");
    assert_eq!(unknown["fields"], json!(["colour", "size"]));
    assert_eq!(create(json!({})).problem(400, "bad_field")["fields"], json!(["name"]));
    create(json!({ "name": 5 })).problem(400, "bad_field");
    create(json!(["acme"])).problem(400, "bad_json");
    let json_type = [("Content-Type", "application/json")];
    server.send("POST", "/api/v1/collections", &json_type, b"{\"name\": ").problem(400, "bad_json");
    server.send("POST", "/api/v1/collections", &[("Content-Type", "text/xml")], b"<a/>").problem(415, "unsupported_media_type");
    server.get("/api/v1/collections/nobody").problem(404, "no_collection");
    server.request("DELETE", "/api/v1/collections/nobody", None).problem(404, "no_collection");
    server.get("/api/v1/collections/acme?colour=red").problem(400, "unknown_field");
    server.get("/api/v1/elsewhere").problem(404, "not_found");
    let refused = server.request("PATCH", "/api/v1/collections/acme", None);
    refused.problem(405, "method_not_allowed");
    assert!(refused.header("allow").is_some_and(|allow| allow.contains("GET") && allow.contains("DELETE")));
}

#[test]
fn both_lists_are_paged_by_cursor() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(&home.path().join("data"), Start::default());
    let names: Vec<String> = (0..5).map(|number| format!("client-{number}")).collect();
    names.iter().for_each(|name| server.create(name));
    let paths: Vec<String> = (0..5).map(|number| format!("folder {number}/ä&b={number}.txt")).collect();
    for (number, path) in paths.iter().enumerate() {
        let reply = server.put("client-0", &path.replace(' ', "%20"), &format!("Text {number}."));
        assert_eq!(reply.status, 201, "{}", reply.text());
    }
    let walk = |list: &str, route: &str, field: &str| {
        let (mut seen, mut pages, mut cursor) = (Vec::new(), 0, String::new());
        loop {
            let page = server.get(&format!("{route}?limit=2{cursor}"));
            assert_eq!(page.status, 200, "{}", page.text());
            let page = page.json();
            let entries = page[list].as_array().unwrap();
            assert!(entries.len() <= 2);
            seen.extend(entries.iter().map(|entry| entry[field].as_str().unwrap().to_owned()));
            pages += 1;
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return (seen, pages),
            }
        }
    };
    assert_eq!(walk("collections", "/api/v1/collections", "name"), (names, 3));
    let documents = "/api/v1/collections/client-0/documents";
    assert_eq!(walk("documents", documents, "path"), (paths, 3));
    for route in ["/api/v1/collections", documents] {
        for bad in ["limit=0", "limit=1001", "limit=x", "cursor=nonsense", "limit=1&limit=2"] {
            server.get(&format!("{route}?{bad}")).problem(400, "bad_field");
        }
        server.get(&format!("{route}?page=2")).problem(400, "unknown_field");
    }
    let other = server.get("/api/v1/collections?limit=1").json()["next_cursor"].as_str().unwrap().to_owned();
    server.get(&format!("{documents}?cursor={other}")).problem(400, "bad_field");
}

#[test]
fn a_destroyed_collection_is_gone_with_a_certificate_and_another_of_its_name_is_a_new_one() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(&home.path().join("data"), Start::default());
    for name in ["acme", "other"] {
        server.create(name);
        let text = format!("The tessellated ocelot of {name} shall be delivered on the first day of the month.");
        assert_eq!(server.put(name, "a/b.txt", &text).status, 201);
    }
    let before = server.collection("acme");

    let reply = server.request("DELETE", "/api/v1/collections/acme", None);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let certificate = &reply.json()["certificate"];
    assert_eq!(certificate["collection"]["id"], before["id"]);
    assert_eq!(certificate["documents"][0]["path"], "a/b.txt");
    assert_eq!(certificate["documents"].as_array().unwrap().len(), 1);
    assert_eq!((&certificate["clean"], &certificate["left_in_place"]), (&json!(true), &json!(null)));
    assert!(certificate["files_removed"].as_u64().unwrap() > 0 && certificate["bytes_removed"].as_u64().unwrap() > 0);
    assert!(!any_file_holds(&server.data, "ocelot of acme"));

    server.get("/api/v1/collections/acme").problem(404, "no_collection");
    server.get("/api/v1/collections/acme/documents/a/b.txt").problem(404, "no_collection");
    server.put("acme", "a/b.txt", "x").problem(404, "no_collection");
    let search = json!({ "query": "ocelot", "collections": ["acme"] });
    server.request("POST", "/api/v1/search", Some(&search)).problem(404, "no_collection");
    server.request("DELETE", "/api/v1/collections/acme", None).problem(404, "no_collection");
    assert_eq!(server.search_with(&json!({ "query": "ocelot" }))["hits"][0]["collection"], "other");

    server.create("acme");
    let after = server.collection("acme");
    assert_ne!(after["id"], before["id"]);
    assert_eq!(after["documents"]["indexed"], 0);
    for mode in ["hybrid", "dense", "lexical"] {
        assert!(server.search("acme", mode, "ocelot").is_empty(), "{mode}");
    }
    let data = server.data.clone();
    assert_eq!(server.stop(), Some(0));
    let server = Server::start(&data, Start::default());
    assert_eq!(server.collection("acme")["documents"]["indexed"], 0);
    assert_eq!(server.found("other", "ocelot"), ["a/b.txt"]);
}

#[test]
fn pending_work_of_a_destroyed_collection_is_gone() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(&home.path().join("data"), Start::default());
    server.create("acme");
    assert_eq!(server.request("POST", "/api/v1/indexing/pause", None).status, 200);
    for number in 0..3 {
        let target = format!("/api/v1/collections/acme/documents/{number}.txt");
        assert_eq!(server.send("PUT", &target, &[], b"Some words.").status, 202);
    }
    assert_eq!(server.collection("acme")["documents"]["pending"], 3);
    assert_eq!(server.request("DELETE", "/api/v1/collections/acme", None).status, 200);
    let progress = server.request("POST", "/api/v1/indexing/resume", None).json();
    assert_eq!(progress["pending"], 0, "{progress}");
    server.create("acme");
    assert_eq!(server.put("acme", "new.txt", "Other words.").status, 201);
    assert_eq!(server.collection("acme")["documents"]["indexed"], 1);
}

#[test]
fn a_destroyed_watched_folder_stays_detached_until_it_is_watched_again() {
    let home = tempfile::tempdir().unwrap();
    let clients = home.path().join("clients");
    for client in ["acme", "other"] {
        fs::create_dir_all(clients.join(client)).unwrap();
        fs::write(clients.join(client).join("a.txt"), format!("The deposit of {client} is four kumquats.")).unwrap();
    }
    let data = home.path().join("data");
    let start = || Server::start(&data, Start { folders: vec![&clients], ..Start::default() });
    let server = start();
    server.wait_indexed("acme", 1);
    server.wait_indexed("other", 1);

    let certificate = server.request("DELETE", "/api/v1/collections/acme", None).json()["certificate"].clone();
    let folder = fs::canonicalize(clients.join("acme")).unwrap();
    assert_eq!(certificate["left_in_place"].as_str().map(Into::into), Some(folder.clone()));
    assert!(clients.join("acme/a.txt").is_file());
    fs::write(clients.join("acme/b.txt"), "A second file changes nothing.").unwrap();
    fs::write(clients.join("other/b.txt"), "The rent is nine quinces.").unwrap();
    server.wait_indexed("other", 2);
    server.get("/api/v1/collections/acme").problem(404, "no_collection");
    assert_eq!(server.stop(), Some(0));

    let server = start();
    fs::write(clients.join("other/c.txt"), "The notice is seven weeks.").unwrap();
    server.wait_indexed("other", 3);
    server.get("/api/v1/collections/acme").problem(404, "no_collection");
    let taken_back = command(&data, &["watch", "acme", folder.to_str().unwrap()]);
    assert!(taken_back.status.success(), "{}", String::from_utf8_lossy(&taken_back.stderr));
    server.wait_indexed("acme", 2);
    assert_eq!(server.found("acme", "kumquats"), ["a.txt"]);
}

#[test]
fn a_watched_folder_is_the_truth_of_its_collection() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("clients/Acme Inc");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("a.txt"), "The deposit is four kumquats.").unwrap();
    let server =
        Server::start(&home.path().join("data"), Start { folders: vec![folder.parent().unwrap()], ..Start::default() });
    let record = server.wait_indexed("acme-inc", 1);
    assert_eq!(record["title"], "Acme Inc");
    assert_eq!(record["watched"].as_str().map(Into::into), Some(fs::canonicalize(&folder).unwrap()));
    server.put("acme-inc", "b.txt", "x").problem(409, "watched_collection");
    server.put("acme-inc", "a.txt", "x").problem(409, "watched_collection");
    let target = "/api/v1/collections/acme-inc/documents/a.txt";
    server.request("DELETE", target, None).problem(409, "watched_collection");
    assert_eq!(server.get(target).json()["path"], "a.txt");
    assert_eq!(server.get(&format!("{target}/original")).text(), "The deposit is four kumquats.");
}

#[test]
fn no_two_watched_folders_are_one_collection() {
    let home = tempfile::tempdir().unwrap();
    let clients = home.path().join("clients");
    let names = ["Acme", "Acme Inc.", "acme_inc", "Müller & Söhne", "日本", "Zed"];
    for (number, name) in names.iter().enumerate() {
        fs::create_dir_all(clients.join(name)).unwrap();
        fs::write(clients.join(name).join("a.txt"), format!("Only here stands word{number}.")).unwrap();
    }
    // File systems that fold case make these one folder, and then there is nothing to tell apart.
    let _ = fs::create_dir(clients.join("ACME"));
    let _ = fs::write(clients.join("ACME/b.txt"), "Another.");
    let folders = fs::read_dir(&clients).unwrap().count();
    let server = Server::start(&home.path().join("data"), Start { folders: vec![&clients], ..Start::default() });
    server.wait_indexed("zed", 1);
    let records = server.get("/api/v1/collections").json()["collections"].as_array().unwrap().clone();
    assert_eq!(records.len(), folders);
    for (number, name) in names.iter().enumerate() {
        let record = records.iter().find(|record| record["title"] == *name).unwrap();
        let collection = record["name"].as_str().unwrap();
        assert!(collection.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));
        server.wait_for(collection, "its document", |record| {
            record["documents"]["pending"] == 0 && record["documents"]["indexed"] != 0
        });
        if *name != "Acme" {
            assert_eq!(server.found(collection, &format!("word{number}")), ["a.txt"], "{name}");
        }
    }
    let named = |title: &str| records.iter().find(|record| record["title"] == title).unwrap()["name"].clone();
    assert_eq!(named("Müller & Söhne"), "muller-sohne-6d9a29");
    assert_eq!(named("日本"), "collection-cf2abf");
}
