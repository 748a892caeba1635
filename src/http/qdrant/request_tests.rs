//! Requests of Qdrant's clients, taken apart or refused.

use serde_json::json;

use super::*;

fn nearest(body: Value) -> Result<Nearest, Problem> {
    serde_json::from_value::<Search>(body).unwrap().nearest()
}

#[test]
fn each_way_to_write_a_vector_means_the_same() {
    for body in [
        json!({ "query": [0.5, -1.0] }),
        json!({ "query": { "nearest": [0.5, -1] } }),
        json!({ "vector": [0.5, -1.0] }),
        json!({ "vector": { "name": "any", "vector": [0.5, -1.0] } }),
    ] {
        assert_eq!(nearest(body.clone()).unwrap().vector, [0.5, -1.0], "{body}");
    }
}

#[test]
fn numbers_keep_every_bit() {
    for bits in [0x3dcc_cccd_u32, 0x8000_0000, 0x0000_0001, 0x7f7f_ffff, 0xbf7f_ffff] {
        let number = f32::from_bits(bits);
        // As the shortest text of an f32, and as the exact value in an f64, which is what Python writes after base64.
        for text in [format!("[{number:?}]"), format!("[{:?}]", f64::from(number))] {
            let body = format!("{{\"query\":{{\"nearest\":{text}}}}}");
            let search: Search = serde_json::from_str(&body).unwrap();
            assert_eq!(search.nearest().unwrap().vector[0].to_bits(), bits, "{text}");
        }
    }
}

#[test]
fn what_is_not_offered_is_named() {
    for (body, field) in [
        (json!({}), "query"),
        (json!({ "query": [] }), "query"),
        (json!({ "query": ["a"] }), "query"),
        (json!({ "query": [1e39] }), "query"),
        (json!({ "query": "2e5b0f5c-0000-8000-8000-000000000000" }), "query"),
        (json!({ "query": { "fusion": "rrf" } }), "query"),
        (json!({ "query": { "nearest": [1.0], "mmr": {} } }), "query"),
        (json!({ "query": { "nearest": { "indices": [1], "values": [1.0] } } }), "query.nearest"),
        (json!({ "query": [1.0], "vector": [1.0] }), "vector"),
        (json!({ "query": [1.0], "prefetch": [] }), "prefetch"),
        (json!({ "query": [1.0], "with_vector": true }), "with_vector"),
        (json!({ "query": [1.0], "limit": 0 }), "limit"),
        (json!({ "query": [1.0], "limit": -1 }), "limit"),
        (json!({ "query": [1.0], "limit": 990, "offset": 11 }), "limit"),
        (json!({ "query": [1.0], "offset": "a" }), "offset"),
        (json!({ "query": [1.0], "with_payload": "text" }), "with_payload"),
        (json!({ "query": [1.0], "filter": { "should": [{ "key": "metadata.path", "match": { "value": "a" } }] } }), "filter"),
        (json!({ "query": [1.0], "filter": { "must": [{ "key": "group", "match": { "value": "a" } }] } }), "filter"),
        (json!({ "query": [1.0], "filter": { "must": [{ "has_id": [1] }] } }), "filter"),
    ] {
        assert_eq!(nearest(body.clone()).unwrap_err().body("r").fields, [field], "{body}");
    }
}

#[test]
fn paths_are_what_can_be_filtered_by() {
    let filtered = |filter: Value| nearest(json!({ "query": [1.0], "filter": filter })).unwrap().filter.paths;
    let by = |condition: Value| json!({ "key": "metadata.path", "match": condition });
    assert_eq!(filtered(json!(null)), None);
    assert_eq!(filtered(json!({ "must": [], "should": null, "must_not": [] })), None);
    assert_eq!(filtered(json!({ "must": by(json!({ "value": "a" })) })), Some(vec!["a".into()]));
    let both = json!({ "must": [by(json!({ "any": ["a", "b"] })), by(json!({ "any": ["b", "c"] }))] });
    assert_eq!(filtered(both), Some(vec!["b".into()]));
    let none = json!({ "must": [by(json!({ "value": "a" })), by(json!({ "value": "b" }))] });
    assert_eq!(filtered(none), Some(vec![]));
}

#[test]
fn a_payload_is_cut_to_what_is_wanted() {
    let whole = json!({ "text": "t", "metadata": { "name": "n", "page": 3 } });
    for (wanted, sent) in [
        (json!(true), Some(whole.clone())),
        (json!(false), None),
        (json!(["text", "nothing"]), Some(json!({ "text": "t" }))),
        (json!({ "include": ["metadata.page"] }), Some(json!({ "metadata": { "page": 3 } }))),
        (json!({ "exclude": ["text", "metadata.page"] }), Some(json!({ "metadata": { "name": "n" } }))),
    ] {
        assert_eq!(Payload::parse(Some(wanted.clone())).unwrap().of(whole.clone()), sent, "{wanted}");
    }
}

#[test]
fn every_search_of_a_batch_is_held_to_the_rules() {
    let batch = |searches: Value| serde_json::from_value::<Batch>(json!({ "searches": searches })).unwrap().searches();
    assert_eq!(batch(json!([{ "query": [1.0] }, { "vector": [2.0], "limit": 3 }])).unwrap()[1].limit, 3);
    assert_eq!(batch(json!([{ "query": [1.0], "querry": 1 }])).unwrap_err().code(), "unknown_field");
    assert_eq!(batch(json!([1])).unwrap_err().code(), "bad_field");
    assert!(batch(json!(vec![json!({ "query": [1.0] }); 65])).is_err());
}
