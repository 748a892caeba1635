//! Documents over REST: put, seen again, changed, unreadable, refused, deleted; their states and counts.

use serde_json::{Value, json};

use crate::support::{Server, Start};

const DOCUMENTS: &str = "/api/v1/collections/acme/documents";

fn with_acme(home: &tempfile::TempDir, start: Start<'_>) -> Server {
    let server = Server::start(&home.path().join("data"), start);
    server.create("acme");
    server
}

#[test]
fn a_document_is_put_shown_and_deleted() {
    let home = tempfile::tempdir().unwrap();
    let server = with_acme(&home, Start::default());
    let reply = server.put("acme", "leases/a%20b.txt", "The deposit is four kumquats.");
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(reply.header("location"), Some("/api/v1/collections/acme/documents/leases/a%20b.txt"));
    let record = reply.json();
    for (field, value) in [
        ("path", json!("leases/a b.txt")),
        ("title", json!("a b.txt")),
        ("state", json!("indexed")),
        ("reason", json!(null)),
        ("pages", json!(null)),
        ("chunks", json!(1)),
        ("bytes", json!(29)),
        ("media_type", json!("text/plain")),
        ("sha256", json!("520bf96ac0aaeeb1b1b226ea9777e0562e7b4f3441f32388b5ff62999867d882")),
    ] {
        assert_eq!(record[field], value, "{field}");
    }
    let target = format!("{DOCUMENTS}/leases/a%20b.txt");
    assert_eq!(server.get(&target).json(), record);
    assert_eq!(server.get(&format!("{DOCUMENTS}/leases%2Fa%20b.txt")).json(), record);
    assert_eq!(server.get(DOCUMENTS).json()["documents"], json!([record]));

    let deleted = server.request("DELETE", &target, None);
    assert_eq!((deleted.status, deleted.body.len()), (204, 0));
    for mode in ["hybrid", "dense", "lexical"] {
        assert!(server.search("acme", mode, "kumquats").is_empty(), "{mode}");
    }
    server.request("DELETE", &target, None).problem(404, "no_document");
    server.get(&target).problem(404, "no_document");
    server.get(&format!("{target}/text")).problem(404, "no_document");
    assert_eq!(server.collection("acme")["documents"]["indexed"], 0);
    assert_eq!(server.put("acme", "leases/a%20b.txt", "The deposit is four kumquats.").status, 201);
    server.get("/api/v1/collections/nobody/documents").problem(404, "no_collection");
    server.get("/api/v1/collections/nobody/documents/a.txt").problem(404, "no_collection");
}

#[test]
fn the_same_bytes_again_are_not_embedded_and_at_another_path_are_a_document_of_their_own() {
    let home = tempfile::tempdir().unwrap();
    let server = with_acme(&home, Start::default());
    let text = "The deposit is four kumquats, payable on the first day of each month.";
    let first = server.put("acme", "a.txt", text).json();
    let embedded = || server.metric("strongroom_chunks_embedded_total");
    let before = embedded();
    let again = server.put("acme", "a.txt", text);
    assert_eq!((again.status, again.json()), (200, first.clone()));
    assert_eq!(server.put("acme", "copies/b.txt", text).status, 201);
    assert_eq!(embedded(), before);
    assert_eq!(server.collection("acme")["documents"]["indexed"], 2);

    let hits = server.search("acme", "lexical", "kumquats");
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0]["document"]["path"], "a.txt");
    let also: Vec<&Value> = hits[0]["also_in"].as_array().unwrap().iter().map(|document| &document["path"]).collect();
    assert_eq!(also, ["copies/b.txt"]);
    for mode in ["hybrid", "dense", "lexical"] {
        let filtered = server.search_with(&json!({
            "query": "kumquats", "collections": ["acme"], "mode": mode, "filter": { "paths": ["copies/b.txt"] },
        }));
        assert_eq!(filtered["hits"][0]["document"]["path"], "copies/b.txt", "{mode}");
        assert_eq!(filtered["hits"][0]["also_in"], json!([]), "{mode}");
    }
    assert_eq!(server.request("DELETE", &format!("{DOCUMENTS}/a.txt"), None).status, 204);
    assert_eq!(server.found("acme", "kumquats"), ["copies/b.txt"]);
    assert_eq!(server.get(&format!("{DOCUMENTS}/copies/b.txt/original")).text(), text);
}

#[test]
fn the_old_version_answers_until_the_new_one_does() {
    let home = tempfile::tempdir().unwrap();
    let server = with_acme(&home, Start::default());
    let target = format!("{DOCUMENTS}/a.txt");
    let id = server.put("acme", "a.txt", "The deposit is four kumquats.").json()["id"].clone();
    assert_eq!(server.request("POST", "/api/v1/indexing/pause", None).status, 200);
    let changed = server.send("PUT", &target, &[], b"The deposit is nine quinces.");
    assert_eq!((changed.status, &changed.json()["state"]), (202, &json!("pending")), "{}", changed.text());
    assert_eq!(server.found("acme", "kumquats"), ["a.txt"]);
    assert!(server.found("acme", "quinces").is_empty());
    assert_eq!(server.get(&format!("{target}/text")).text(), "The deposit is four kumquats.");
    let counts = server.collection("acme")["documents"].clone();
    assert_eq!((&counts["indexed"], &counts["pending"]), (&json!(0), &json!(1)), "{counts}");
    assert_eq!(server.send("PUT", &target, &[], b"The deposit is nine quinces.").status, 200);

    assert_eq!(server.request("POST", "/api/v1/indexing/resume", None).status, 200);
    let settled = server.put("acme", "a.txt", "The deposit is nine quinces.");
    assert_eq!((settled.status, &settled.json()["id"]), (200, &id), "{}", settled.text());
    assert_eq!(server.found("acme", "quinces"), ["a.txt"]);
    assert!(server.found("acme", "kumquats").is_empty());

    let changed = server.put("acme", "a.txt", "The deposit is six medlars.");
    assert_eq!((changed.status, &changed.json()["state"]), (200, &json!("indexed")));
    assert_eq!(server.found("acme", "medlars"), ["a.txt"]);
}

#[test]
fn what_can_not_be_read_is_refused_with_its_reason_and_counted() {
    let home = tempfile::tempdir().unwrap();
    let server = with_acme(&home, Start::default());
    let cases: [(&str, &[u8], &str); 4] = [
        ("empty.txt", b"", "empty"),
        ("blank.txt", b" \r\n\t ", "empty"),
        ("broken.pdf", b"%PDF-1.7\nnothing that a reader could use", "damaged"),
        ("picture.png", b"\x89PNG\r\n\x1a\n and so on", "scanned"),
    ];
    for (path, bytes, reason) in cases {
        let reply = server.send("PUT", &format!("{DOCUMENTS}/{path}?wait=true"), &[], bytes);
        let problem = reply.problem(422, "unreadable");
        assert_eq!(problem["reason"], reason, "{path}: {problem}");
        let record = server.get(&format!("{DOCUMENTS}/{path}")).json();
        assert_eq!((&record["state"], &record["reason"]), (&json!("unreadable"), &json!(reason)));
        server.get(&format!("{DOCUMENTS}/{path}/text")).problem(409, "no_text");
        assert_eq!(server.get(&format!("{DOCUMENTS}/{path}/original")).body, bytes);
    }
    assert_eq!(server.put("acme", "good.txt", "The deposit is four kumquats.").status, 201);
    let counts = server.collection("acme")["documents"].clone();
    assert_eq!(counts, json!({ "indexed": 1, "partial": 0, "pending": 0, "unreadable": 4, "failed": 0 }));
    let search = server.search_with(&json!({ "query": "kumquats", "collections": ["acme"] }));
    assert_eq!((&search["unreadable"], search["hits"].as_array().unwrap().len()), (&json!(4), 1));
    let listed = |state: &str| server.get(&format!("{DOCUMENTS}?state={state}")).json()["documents"].as_array().unwrap().len();
    assert_eq!(
        [listed("unreadable"), listed("indexed"), listed("pending"), listed("failed"), listed("partial")],
        [4, 1, 0, 0, 0]
    );
    server.get(&format!("{DOCUMENTS}?state=lost")).problem(400, "bad_field");

    // A good document that becomes unreadable is neither old nor new.
    server.send("PUT", &format!("{DOCUMENTS}/good.txt?wait=true"), &[], b"").problem(422, "unreadable");
    assert!(server.found("acme", "kumquats").is_empty());
    assert_eq!(server.get(&format!("{DOCUMENTS}/good.txt")).json()["reason"], "empty");
    // And back again.
    assert_eq!(server.put("acme", "good.txt", "The deposit is four kumquats.").status, 200);
    assert_eq!(server.found("acme", "kumquats"), ["good.txt"]);
}

#[test]
fn a_full_queue_and_too_many_bytes_are_refused_and_leave_nothing() {
    let home = tempfile::tempdir().unwrap();
    let environment = vec![
        ("STRONGROOM_INDEXING_MAX_PENDING", "2".to_owned()),
        ("STRONGROOM_INDEXING_MAX_FILE_SIZE", "1MiB".to_owned()),
        ("STRONGROOM_INDEXING_PAUSE", "true".to_owned()),
    ];
    let server = with_acme(&home, Start { environment, ..Start::default() });
    let put = |path: &str, bytes: &[u8]| server.send("PUT", &format!("{DOCUMENTS}/{path}"), &[], bytes);
    let large = vec![b'a'; (1 << 20) + 1];
    put("large.txt", &large).problem(413, "too_large");
    server.get(&format!("{DOCUMENTS}/large.txt")).problem(404, "no_document");
    for path in ["a.txt", "b.txt"] {
        let reply = put(path, b"Words.");
        assert_eq!((reply.status, &reply.json()["state"]), (202, &json!("pending")), "{}", reply.text());
    }
    let refused = put("c.txt", b"Words of the third file.");
    refused.problem(503, "busy");
    assert!(refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
    server.get(&format!("{DOCUMENTS}/c.txt")).problem(404, "no_document");
    assert!(!crate::support::any_file_holds(&server.data, "Words of the third file."));
    assert_eq!(server.collection("acme")["documents"]["pending"], 2);
    assert!(server.get("/api/v1/indexing").json()["paused"].is_string());
    assert_eq!(server.request("POST", "/api/v1/indexing/resume", None).status, 200);
    server.wait_indexed("acme", 2);
    assert_eq!(put("c.txt", b"Words.").status, 202);
    server.wait_indexed("acme", 3);
}

#[test]
fn paths_are_decoded_once_and_none_leads_elsewhere() {
    let home = tempfile::tempdir().unwrap();
    let server = with_acme(&home, Start::default());
    for (url, path) in [
        ("%C3%BCber/%E5%A5%91%E7%B4%84.txt", "über/契約.txt"),
        ("a%2Fb.txt", "a/b.txt"),
        ("100%25.txt", "100%.txt"),
        ("a%2520b.txt", "a%20b.txt"),
        ("what%3F%23&c=d.txt", "what?#&c=d.txt"),
        ("%F0%9F%93%84.txt", "📄.txt"),
    ] {
        let reply = server.put("acme", url, &format!("Under {path}."));
        assert_eq!((reply.status, &reply.json()["path"]), (201, &json!(path)), "{}", reply.text());
        assert_eq!(server.get(&format!("{DOCUMENTS}/{url}")).json()["path"], path);
        assert_eq!(server.get(&format!("{DOCUMENTS}/{url}/text")).text(), format!("Under {path}."));
        let original = server.get(&format!("{DOCUMENTS}/{url}?part=original"));
        assert_eq!(original.text(), format!("Under {path}."));
        assert!(original.header("content-disposition").is_some_and(|value| value.starts_with("attachment; ")));
    }
    let long = "x".repeat(256);
    for url in [
        "..%2f..%2fa.txt",
        "%2e%2e/a.txt",
        "../a.txt",
        "a//b.txt",
        "a/",
        "",
        "%2Fetc/x",
        "a%5Cb",
        "a%00b",
        "a%0Ab",
        "%FF.txt",
        "a!/b",
        &long,
    ] {
        let reply = server.send("PUT", &format!("{DOCUMENTS}/{url}"), &[], b"x");
        reply.problem(400, "bad_path");
    }
    assert_eq!(server.collection("acme")["documents"]["indexed"], 6);
    server.send("PUT", &format!("{DOCUMENTS}/a.txt?wait=maybe"), &[], b"x").problem(400, "bad_field");
    server.send("PUT", &format!("{DOCUMENTS}/a.txt?await=true"), &[], b"x").problem(400, "unknown_field");
}

#[test]
fn a_path_that_ends_like_a_part_is_a_document_first() {
    let home = tempfile::tempdir().unwrap();
    let server = with_acme(&home, Start::default());
    assert_eq!(server.put("acme", "a", "Text of a.").status, 201);
    assert_eq!(server.get(&format!("{DOCUMENTS}/a/text")).text(), "Text of a.");
    assert_eq!(server.get(&format!("{DOCUMENTS}/a/original")).text(), "Text of a.");
    for part in ["text", "original"] {
        assert_eq!(server.put("acme", &format!("a/{part}"), &format!("Text of {part}.")).status, 201);
        let target = format!("{DOCUMENTS}/a/{part}");
        assert_eq!(server.get(&target).json()["path"], format!("a/{part}"));
        for way in [format!("{target}/text"), format!("{target}?part=text"), format!("{target}?part=original")] {
            assert_eq!(server.get(&way).text(), format!("Text of {part}."), "{way}");
        }
        assert_eq!(server.get(&format!("{DOCUMENTS}/a?part={part}")).text(), "Text of a.");
    }
    server.get(&format!("{DOCUMENTS}/a?part=pages")).problem(400, "bad_field");
}

#[test]
fn an_original_is_an_attachment_that_no_browser_runs() {
    let home = tempfile::tempdir().unwrap();
    let server = with_acme(&home, Start::default());
    let page = b"<!doctype html><title>Lease</title><script>alert(1)</script><p>The deposit is four kumquats.</p>";
    let reply = server.send("PUT", &format!("{DOCUMENTS}/page.html?wait=true"), &[("Content-Type", "text/html")], page);
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(reply.json()["title"], "Lease");
    let original = server.get(&format!("{DOCUMENTS}/page.html/original"));
    assert_eq!(original.body, page);
    for (header, value) in
        [("content-security-policy", "sandbox"), ("x-content-type-options", "nosniff"), ("content-type", "text/html")]
    {
        assert_eq!(original.header(header), Some(value));
    }
    assert!(original.header("content-disposition").unwrap().starts_with("attachment; filename=\"page.html\""));
    let text = server.get(&format!("{DOCUMENTS}/page.html/text"));
    assert_eq!(text.header("content-type"), Some("text/plain; charset=utf-8"));
    assert!(text.text().contains("four kumquats") && !text.text().contains("alert"));
}
