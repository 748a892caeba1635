//! What a document's text is, and that every hit is exactly a slice of it, counted in Unicode scalar values.

use serde_json::json;

use crate::support::{Server, Start, sample};

const DOCUMENTS: &str = "/api/v1/collections/acme/documents";

/// Puts bytes, and gives the extracted text.
fn text_of(server: &Server, path: &str, kind: Option<&str>, bytes: &[u8]) -> String {
    let headers: Vec<(&str, &str)> = kind.map(|kind| ("Content-Type", kind)).into_iter().collect();
    let reply = server.send("PUT", &format!("{DOCUMENTS}/{path}?wait=true"), &headers, bytes);
    assert_eq!(reply.status, 201, "{path}: {}", reply.text());
    server.get(&format!("{DOCUMENTS}/{path}/text")).text()
}

#[test]
fn plain_text_and_markdown_are_the_decoded_file_unaltered() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(&home.path().join("data"), Start::default());
    server.create("acme");
    let bodies: [(&[u8], &str); 6] = [
        (b"One line.\r\nTwo\rThree\n\n\n   Four  \t\r\n", "One line.\r\nTwo\rThree\n\n\n   Four  \t\r\n"),
        (b"\xef\xbb\xbfA mark goes.\n", "A mark goes.\n"),
        (b"Gr\xc3\xbc\xc3\x9fe \xff K\xc3\xb6ln f\xc3\xbcr J\xc3\xbcrgen", "Grüße \u{fffd} Köln für Jürgen"),
        (b"# Head *ing*\r\n\r\n- a `b` <i>c</i> &amp; [d](e)\r\n", "# Head *ing*\r\n\r\n- a `b` <i>c</i> &amp; [d](e)\r\n"),
        ("e\u{301}tude 𝔸𝔹 👩‍👩‍👧 ﬁn\u{2028}x\u{a0}y".as_bytes(), "e\u{301}tude 𝔸𝔹 👩‍👩‍👧 ﬁn\u{2028}x\u{a0}y"),
        (b"<html><body><p>Not a page, but so called.</p>", "<html><body><p>Not a page, but so called.</p>"),
    ];
    for (number, (bytes, expected)) in bodies.iter().enumerate() {
        let ways = [
            (format!("{number}-type"), Some("text/plain")),
            (format!("{number}-charset"), Some("text/plain; charset=utf-8")),
            (format!("{number}-markdown"), Some("text/markdown")),
            (format!("{number}.txt"), None),
            (format!("{number}.md"), None),
            (format!("{number}-octets.txt"), Some("application/octet-stream")),
        ];
        for (path, kind) in ways {
            assert_eq!(text_of(&server, &path, kind, bytes), *expected, "{path}");
        }
    }
}

#[test]
fn invalid_bytes_in_a_text_that_says_it_is_utf8_become_replacement_characters() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(&home.path().join("data"), Start::default());
    server.create("acme");
    let bytes = b"The notice \xff period is \xc3( nine \xf0\x9f\x93 weeks.";
    let text = text_of(&server, "a.txt", Some("text/plain; charset=utf-8"), bytes);
    assert_eq!(text, String::from_utf8_lossy(bytes));
    assert_eq!(server.found("acme", "weeks"), ["a.txt"]);
}

#[test]
fn invariant_7_hits_are_slices_by_scalar_values_and_share_no_character() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(&home.path().join("data"), Start::default());
    server.create("acme");
    let mut long = String::from("\u{feff}");
    for number in 0..80 {
        long.push_str(&format!(
            "{number}. 𝔸rticle 👩‍👩‍👧 cafe\u{301}: the naı\u{308}ve lessee pays €{number} for the deposit, due in month {number}.\r\n\r\n"
        ));
    }
    let texts = [
        ("odd.txt", text_of(&server, "odd.txt", None, long.as_bytes())),
        ("odd.md", text_of(&server, "odd.md", None, long.replace("40. ", "# Part two\r\n\r\n40. ").as_bytes())),
        ("contract.pdf", text_of(&server, "contract.pdf", None, &std::fs::read(sample()).unwrap())),
    ];
    assert_eq!(texts[0].1, long[3..]);
    for mode in ["hybrid", "dense", "lexical"] {
        let body = json!({ "query": "deposit the lessee pays", "collections": ["acme"], "mode": mode, "limit": 100 });
        let found = server.search_with(&body);
        let hits = found["hits"].as_array().unwrap();
        assert!(hits.len() > 3, "{mode}");
        let mut taken: Vec<(&str, u64, u64)> = Vec::new();
        for hit in hits {
            let path = hit["document"]["path"].as_str().unwrap();
            let (start, end) = (hit["start"].as_u64().unwrap(), hit["end"].as_u64().unwrap());
            let text = &texts.iter().find(|(name, _)| *name == path).unwrap().1;
            let slice: String = text.chars().skip(start as usize).take((end - start) as usize).collect();
            assert_eq!(hit["text"], slice, "{mode} {path}");
            assert!(start < end);
            assert_eq!(hit["page"].is_null(), path != "contract.pdf", "{hit}");
            assert!(!taken.iter().any(|(other, from, to)| *other == path && start < *to && *from < end), "{mode} {path}");
            taken.push((path, start, end));
        }
        let scores: Vec<f64> = hits.iter().map(|hit| hit["score"].as_f64().unwrap()).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b), "{mode} {scores:?}");
        // Ties stand in a fixed order, whatever the limit.
        for limit in [1, 7, 100] {
            let again = server.search_with(&json!({
                "query": "deposit the lessee pays", "collections": ["acme"], "mode": mode, "limit": limit,
            }));
            let again = again["hits"].as_array().unwrap();
            assert_eq!(again.len(), hits.len().min(limit), "{mode}");
            assert_eq!(again[..], hits[..again.len()], "{mode} {limit}");
        }
    }
}
