//! Searches over REST: limits, filters, collections, modes, and what is refused.

use serde_json::{Value, json};

use crate::support::{Server, Start};

fn search(server: &Server, body: &Value) -> crate::support::Reply {
    server.request("POST", "/api/v1/search", Some(body))
}

fn paths(found: &Value) -> Vec<&str> {
    let mut paths: Vec<&str> =
        found["hits"].as_array().unwrap().iter().map(|hit| hit["document"]["path"].as_str().unwrap()).collect();
    paths.sort_unstable();
    paths
}

#[test]
fn a_search_is_held_to_its_rules() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(&home.path().join("data"), Start::default());
    server.create("acme");
    for number in 0..12 {
        assert_eq!(server.put("acme", &format!("{number:02}.txt"), &format!("Clause {number} on kumquats.")).status, 201);
    }
    let defaults = server.search_with(&json!({ "query": "kumquats" }));
    assert_eq!(defaults["hits"].as_array().unwrap().len(), 10);
    assert!(defaults["took_ms"].is_u64() && defaults["unreadable"] == 0);
    let hit = &defaults["hits"][0];
    assert_eq!(hit["collection"], "acme");
    assert!(hit.get("explain").is_none() && hit["page"].is_null() && hit["document"]["id"].is_string());
    let with = |field: &str, value: Value| {
        let mut body = json!({ "query": "kumquats" });
        body[field] = value;
        search(&server, &body)
    };
    for limit in [1, 12, 100] {
        assert_eq!(with("limit", limit.into()).json()["hits"].as_array().unwrap().len(), limit.min(12));
    }
    for limit in [json!(0), json!(101), json!(-1), json!(1.5), json!("10"), json!(true)] {
        assert_eq!(with("limit", limit.clone()).problem(400, "bad_field")["fields"], json!(["limit"]), "{limit}");
    }
    for (field, value) in [
        ("query", json!("")),
        ("query", json!(" \n")),
        ("query", json!(7)),
        ("query", json!("x".repeat(20_001))),
        ("mode", json!("fuzzy")),
        ("collections", json!("acme")),
        ("explain", json!("yes")),
    ] {
        assert_eq!(with(field, value).problem(400, "bad_field")["fields"], json!([field]));
    }
    assert_eq!(search(&server, &json!({ "limit": 3 })).problem(400, "bad_field")["fields"], json!(["query"]));
    let unknown = search(&server, &json!({ "query": "x", "top_k": 3, "filter": { "path": "a" } }));
    assert_eq!(unknown.problem(400, "unknown_field")["fields"], json!(["top_k", "filter.path"]));
    assert!(unknown.text().contains("top_k"));
    with("filter", json!({ "modified_from": "yesterday" })).problem(400, "bad_field");

    assert_eq!(server.search_with(&json!({ "query": "kumquats", "collections": [] }))["hits"], json!([]));
    search(&server, &json!({ "query": "kumquats", "collections": ["acme", "nobody"] })).problem(404, "no_collection");
    for mode in ["hybrid", "dense", "lexical"] {
        let explained = server.search_with(&json!({ "query": "kumquats", "mode": mode, "explain": true }));
        let explain = &explained["hits"][0]["explain"];
        assert_eq!(explain["dense_rank"].is_u64(), mode != "lexical", "{mode} {explain}");
        assert_eq!(explain["dense_score"].is_f64(), mode != "lexical", "{mode} {explain}");
        assert_eq!(explain["lexical_rank"].is_u64(), mode != "dense", "{mode} {explain}");
        assert_eq!(explain["lexical_score"].is_f64(), mode != "dense", "{mode} {explain}");
    }
    assert_eq!(server.found("acme", "\"clause 7 on\""), ["07.txt"]);
    assert!(server.found("acme", "zanzibar").is_empty());
}

#[test]
fn filters_hold_before_ranking() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(&home.path().join("data"), Start::default());
    server.create("acme");
    for path in ["a.txt", "b.md", "leases/a.txt", "leases/b.txt", "leasesold/c.txt"] {
        assert_eq!(server.put("acme", path, &format!("The deposit for {path} is four kumquats.")).status, 201);
    }
    let found = |mode: &str, filter: Value| {
        let found = server.search_with(&json!({
            "query": "deposit kumquats", "collections": ["acme"], "mode": mode, "limit": 100, "filter": filter,
        }));
        paths(&found).join(" ")
    };
    let mut many: Vec<String> = (0..3_000).map(|number| format!("nowhere/{number}.pdf")).collect();
    many.push("leases/b.txt".to_owned());
    let all = "a.txt b.md leases/a.txt leases/b.txt leasesold/c.txt";
    for mode in ["hybrid", "dense", "lexical"] {
        for (filter, expected) in [
            (json!({}), all),
            (json!(null), all),
            (json!({ "paths": ["a.txt"] }), "a.txt"),
            (json!({ "paths": ["a.txt", "leases/a.txt", "no such.txt"] }), "a.txt leases/a.txt"),
            (json!({ "paths": ["A.txt", "leases", "leases/"] }), ""),
            (json!({ "paths": [] }), ""),
            (json!({ "paths": many }), "leases/b.txt"),
            (json!({ "path_prefix": "leases/" }), "leases/a.txt leases/b.txt"),
            (json!({ "path_prefix": "lease" }), "leases/a.txt leases/b.txt leasesold/c.txt"),
            (json!({ "path_prefix": "%" }), ""),
            (json!({ "path_prefix": "leases/", "paths": ["a.txt", "leases/b.txt"] }), "leases/b.txt"),
            (json!({ "types": ["md"] }), "b.md"),
            (json!({ "types": [] }), ""),
            (json!({ "modified_from": "2020-01-01T00:00:00Z", "modified_to": "2999-01-01T00:00:00Z" }), all),
            (json!({ "modified_from": "2998-01-01T00:00:00+01:00" }), ""),
            (json!({ "modified_to": "2020-01-01T00:00:00Z" }), ""),
        ] {
            assert_eq!(found(mode, filter.clone()), expected, "{mode} {}", filter.to_string().get(..80).unwrap_or_default());
        }
    }
    // Applied before ranking: the worst match is found when it alone is within the filter.
    let worst = server.search_with(&json!({
        "query": "deposit for a.txt", "mode": "dense", "limit": 1, "filter": { "paths": ["leasesold/c.txt"] },
    }));
    assert_eq!(paths(&worst), ["leasesold/c.txt"]);
}

#[test]
fn in_dense_mode_every_chunk_within_the_filter_matches() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(&home.path().join("data"), Start::default());
    server.create("acme");
    let mut expected = Vec::new();
    for number in 0..30 {
        let path = format!("{number:02}.txt");
        assert_eq!(server.put("acme", &path, &format!("Note {number} on something quite different.")).status, 201);
        expected.push(path);
    }
    let found = server.search_with(&json!({ "query": "kumquats", "collections": ["acme"], "mode": "dense", "limit": 100 }));
    assert_eq!(paths(&found), expected);
    let some = json!({ "query": "kumquats", "mode": "dense", "limit": 100, "filter": { "paths": expected[..7] } });
    assert_eq!(paths(&server.search_with(&some)), expected[..7]);
    assert_eq!(server.found("acme", "kumquats"), Vec::<String>::new());
}

#[test]
fn several_collections_are_searched_together_and_each_by_its_own_statistics() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(&home.path().join("data"), Start::default());
    for name in ["acme", "brown", "clark"] {
        server.create(name);
        assert_eq!(server.put(name, "a.txt", "The deposit is four kumquats.").status, 201);
    }
    let alone = server.search("acme", "lexical", "kumquats");
    for number in 0..9 {
        assert_eq!(server.put("brown", &format!("{number}.txt"), &format!("The kumquats of lot {number}.")).status, 201);
    }
    assert_eq!(server.search("acme", "lexical", "kumquats"), alone);
    let of = |collections: Value| {
        let found = server.search_with(&json!({ "query": "deposit of four", "limit": 50, "collections": collections }));
        let mut names: Vec<String> =
            found["hits"].as_array().unwrap().iter().map(|hit| hit["collection"].as_str().unwrap().to_owned()).collect();
        names.dedup();
        names.sort_unstable();
        names.dedup();
        names.join(" ")
    };
    assert_eq!(of(json!(["acme"])), "acme");
    assert_eq!(of(json!(["clark", "acme", "clark"])), "acme clark");
    assert_eq!(of(json!(null)), "acme brown clark");
    // Identical texts of two collections are two hits: a wall stands between them.
    let both = server.search_with(&json!({ "query": "deposit", "mode": "lexical", "collections": ["acme", "clark"] }));
    assert_eq!(both["hits"].as_array().unwrap().len(), 2);
    assert!(both["hits"].as_array().unwrap().iter().all(|hit| hit["also_in"] == json!([])));
}
