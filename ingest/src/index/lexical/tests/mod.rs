//! Tests of the whole full-text index through its public face: what is found, and what is not.

#![allow(clippy::unwrap_used)] // a test may fail by panicking

mod durability;
mod scores;

use std::collections::BTreeSet;

use tempfile::TempDir;

use super::*;

/// A version with the given chunk texts; chunk ids are the version's times 100 and up.
fn insert(version: u64, head: &str, texts: &[&str]) -> LexicalChange {
    let chunk = |(i, text): (u64, &&str)| LexicalChunk {
        chunk: ChunkId(version * 100 + i),
        text: (*text).to_owned(),
        head: (i == 0).then(|| head.to_owned()),
    };
    LexicalChange::Insert { version: VersionId(version), chunks: (0..).zip(texts).map(chunk).collect() }
}

fn delete(version: u64) -> LexicalChange {
    LexicalChange::Delete { version: VersionId(version) }
}

fn index_of(changes: Vec<LexicalChange>) -> (TempDir, LexicalIndex) {
    let dir = tempfile::tempdir().unwrap();
    let index = LexicalIndex::open(dir.path()).unwrap();
    index.apply(changes, Seq(1)).unwrap();
    (dir, index)
}

fn search_in(index: &LexicalIndex, text: &str, scope: &Scope) -> LexicalHits {
    index.search(&LexicalQuery { text, scope, limit: 10 }).unwrap()
}

fn search(index: &LexicalIndex, text: &str) -> LexicalHits {
    search_in(index, text, &Scope::default())
}

fn chunks(hits: &LexicalHits) -> Vec<u64> {
    hits.passages.iter().map(|passage| passage.chunk.0).collect()
}

fn documents(hits: &LexicalHits) -> Vec<u64> {
    hits.documents.keys().map(|version| version.0).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The chunks that each query finds, best first, among one chunk a text: 100, 200 and so on.
fn check(texts: &[&str], cases: &[(&str, &[u64])]) {
    let changes = (1..).zip(texts).map(|(version, text)| insert(version, "", &[text])).collect();
    let (_dir, index) = index_of(changes);
    for (query, expect) in cases {
        assert_eq!(chunks(&search(&index, query)), *expect, "for {query:?}");
    }
}

#[test]
fn words_match_by_their_stem_whatever_their_case() {
    check(
        &["Either party may terminate this agreement.", "The Supplier shall deliver the goods.", ""],
        &[
            ("TERMINATION terminated", &[100]),
            ("supplier deliveries", &[200]),
            ("parties goods good", &[200, 100]),
            ("nothing of the kind", &[]),
            ("", &[]),
        ],
    );
}

#[test]
fn a_word_that_nobody_wrote_finds_those_that_begin_with_it() {
    check(
        &[
            "Die Kündigungsfrist beträgt drei Monate, die Kündigungserklärung bedarf der Schriftform.",
            "Der Mietvertrag endet mit der Übergabe.",
            "Either party may terminate the tenancy; the termination is final.",
            "tenantless houses",
        ],
        &[
            ("kündigung", &[100]),
            ("Kuendigung", &[]),
            ("Mietvertrags", &[200]),
            ("miet", &[]),
            ("mietv", &[200]),
            // A word that is there is looked up and no other.
            ("terminate", &[300]),
            ("tenancies", &[300]),
            ("tenan", &[400, 300]),
        ],
    );
}

#[test]
fn scripts_and_forms_are_found_as_people_type_them() {
    check(
        &[
            "本契約は、東京都において締結された。",
            "\u{fe8d}\u{fee7}\u{feee}\u{fe8d}\u{feca} ا\u{fccb}طوط العربية",
            "the o\u{fb03}ce ter\u{ad}mination\u{a0}fee of ＡＢＣ Ltd",
        ],
        &[("契約", &[100]), ("東京", &[100]), ("انواع الخطوط", &[200]), ("office", &[300]), ("termination fee abc", &[300])],
    );
}

#[test]
fn identifiers_numbers_and_accents_match() {
    check(
        &[
            "as set out in § 4.2(b) of the lease",
            "item 4.2 and then, further on, letter b and b and b again",
            "invoice INV-2024-0093 of the second",
            "inv 0093 0093 inv 2024 2024 inv 2024 0093 0093",
            "signed by Zoë Müller in São Paulo for 1,000,000 euros",
        ],
        &[
            ("§ 4.2(b)", &[100, 200]),
            ("4.2", &[100, 200]),
            ("INV-2024-0093", &[300, 400]),
            ("zoe muller sao", &[500]),
            ("Sao PÀULO", &[500]),
            ("1000000", &[500]),
        ],
    );
}

#[test]
fn quoted_phrases_must_be_there_as_they_are() {
    check(
        &[
            "the governing law is the law of England",
            "the law governing this is not of England",
            "The Governing-Law clause",
            "to be, or not to be",
        ],
        &[
            ("\"governing law\"", &[300, 100]),
            ("england \"governing law\"", &[100, 300]),
            ("\"governing law\" \"of england\"", &[100]),
            ("\"governing laws\"", &[]),
            ("\"law of law\" england", &[]),
            ("\"to be or not to be\"", &[400]),
            ("\"not\"", &[400, 200]),
            ("“law governing”", &[200]),
        ],
    );
}

#[test]
fn phrases_leave_only_documents_that_have_them() {
    let (_dir, index) = index_of(vec![
        insert(1, "acme lease", &["rent of the lease", "the lease ends in June"]),
        insert(2, "other lease", &["ends, the lease", "lease and rent"]),
    ]);
    let hits = search(&index, "rent \"lease ends\"");
    assert_eq!((chunks(&hits), documents(&hits)), (vec![101], vec![1]));
    assert!(hits.documents[&VersionId(1)].body > 0.0 && hits.documents[&VersionId(1)].head > 0.0);
}

#[test]
fn words_without_spaces_between_them_match() {
    check(
        &["本契約は解除することができる。", "売主は商品を引き渡す。", "สัญญาฉบับนี้", "이 계약서를 해지할 수 있다"],
        &[
            ("契約の解除", &[100]),
            ("商品", &[200]),
            ("สัญญา", &[300]),
            ("계약서", &[400]),
            ("\"契約は\"", &[100]),
            ("約本", &[]),
        ],
    );
}

#[test]
fn a_query_of_stop_words_alone_still_finds() {
    check(&["who is on it", "nothing"], &[("is it on", &[100]), ("the", &[])]);
}

#[test]
fn scope_is_applied_before_ranking_and_leaves_the_statistics() {
    let texts: Vec<String> = (1..=20).map(|i| format!("lease {}", "word ".repeat(i))).collect();
    let changes = (1..).zip(&texts).map(|(version, text)| insert(version, "", &[text, "more"])).collect();
    let (_dir, index) = index_of(changes);
    let all = index.search(&LexicalQuery { text: "lease", scope: &Scope::default(), limit: 100 }).unwrap();
    assert_eq!((all.passages.len(), all.documents_in_scope, all.passages_in_scope), (20, 20, 40));

    let versions = |ids: &[u64]| ids.iter().map(|id| VersionId(*id)).collect::<Vec<_>>();
    let scope = Scope { only: Some(versions(&[3, 18, 19, 99])), except: versions(&[3, 7]) };
    let hits = index.search(&LexicalQuery { text: "lease", scope: &scope, limit: 1 }).unwrap();
    assert_eq!((chunks(&hits), documents(&hits)), (vec![1800], vec![18, 19]));
    assert_eq!((hits.documents_in_scope, hits.passages_in_scope), (2, 4));
    let same = all.passages.iter().find(|passage| passage.chunk == ChunkId(1800)).unwrap();
    assert_eq!(hits.passages[0].score, same.score);

    assert!(documents(&search_in(&index, "lease", &Scope { only: Some(vec![]), except: vec![] })).is_empty());
    assert_eq!(search_in(&index, "lease", &Scope { only: None, except: versions(&[1]) }).documents_in_scope, 19);
}

#[test]
fn equal_scores_come_in_order_of_chunk_and_the_limit_holds() {
    let changes = [5, 3, 9, 1].map(|version| insert(version, "", &["same words", "same words"])).to_vec();
    let (_dir, index) = index_of(changes);
    let limited = |limit| {
        let hits = index.search(&LexicalQuery { text: "words", scope: &Scope::default(), limit }).unwrap();
        (chunks(&hits), hits.documents.len())
    };
    assert_eq!(limited(3), (vec![100, 101, 300], 4));
    assert_eq!(limited(0), (vec![], 4));
}

#[test]
fn deleted_and_replaced_versions_are_gone_from_hits_and_statistics() {
    let (_dir, index) =
        index_of(vec![insert(1, "x", &["lease"]), insert(2, "y", &["lease", "rent"]), insert(3, "z", &["lease"])]);
    index.apply(vec![delete(2), insert(3, "z", &["rent"]), insert(3, "z", &["rent due"]), delete(77)], Seq(2)).unwrap();
    let hits = search(&index, "lease rent");
    assert_eq!((chunks(&hits), documents(&hits)), (vec![100, 300], vec![1, 3]));
    assert_eq!((hits.documents_in_scope, hits.passages_in_scope), (2, 2));
    assert_eq!(index.contents().unwrap(), [(ChunkId(100), VersionId(1)), (ChunkId(300), VersionId(3))]);

    let (_dir, fresh) = index_of(vec![insert(1, "x", &["lease"]), insert(3, "z", &["rent due"])]);
    let score = |index: &LexicalIndex| search(index, "lease rent").passages.iter().map(|p| p.score).collect::<Vec<_>>();
    assert_eq!(score(&index), score(&fresh));
}

#[test]
fn inserting_twice_changes_nothing() {
    let (_dir, index) = index_of(vec![insert(1, "h", &["one lease", "two"]), insert(1, "h", &["one lease", "two"])]);
    let once = search(&index, "lease h");
    index.apply(vec![insert(1, "h", &["one lease", "two"])], Seq(1)).unwrap();
    let twice = search(&index, "lease h");
    assert_eq!(index.contents().unwrap().len(), 2);
    assert_eq!(once.passages[0].score, twice.passages[0].score);
    assert_eq!(once.documents[&VersionId(1)].head, twice.documents[&VersionId(1)].head);
}
