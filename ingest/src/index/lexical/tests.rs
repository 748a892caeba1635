//! Tests of the whole full-text index through its public face; scores are held against a second, plain implementation.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use proptest::prelude::*;
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
        &[("契約の解除", &[100]), ("商品", &[200]), ("สัญญา", &[300]), ("계약서", &[400]), ("\"契約は\"", &[100]), ("約本", &[])],
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
    let (_dir, index) = index_of(vec![insert(1, "x", &["lease"]), insert(2, "y", &["lease", "rent"]), insert(3, "z", &["lease"])]);
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

#[test]
fn watermark_and_contents_outlive_the_process() {
    let dir = tempfile::tempdir().unwrap();
    {
        let index = LexicalIndex::open(dir.path()).unwrap();
        assert_eq!(index.watermark(), Seq(0));
        index.apply(vec![insert(1, "", &["lease"])], Seq(7)).unwrap();
        index.rest().unwrap();
        index.rest().unwrap();
        index.apply(vec![insert(2, "", &["rent"])], Seq(9)).unwrap();
        assert_eq!(index.watermark(), Seq(9));
    }
    let index = LexicalIndex::open(dir.path()).unwrap();
    assert_eq!((index.watermark(), chunks(&search(&index, "rent"))), (Seq(9), vec![200]));
    index.apply(vec![], Seq(12)).unwrap();
    drop(index);
    let index = LexicalIndex::open(dir.path()).unwrap();
    assert_eq!((index.watermark(), index.contents().unwrap().len()), (Seq(12), 2));
}

#[test]
fn what_was_not_committed_never_happened() {
    let (dir, index) = index_of(vec![insert(1, "", &["lease"])]);
    index.rest().unwrap();
    {
        let writer: tantivy::IndexWriter = index.index.writer_with_num_threads(1, 15_000_000).unwrap();
        let chunk = LexicalChunk { chunk: ChunkId(200), text: "rent".to_owned(), head: None };
        writer.add_document(index.fields.entry(VersionId(2), &chunk)).unwrap();
        writer.delete_term(tantivy::Term::from_field_u64(index.fields.version, 1));
    }
    drop(index);
    let index = LexicalIndex::open(dir.path()).unwrap();
    assert_eq!((index.watermark(), index.contents().unwrap()), (Seq(1), vec![(ChunkId(100), VersionId(1))]));
    index.apply(vec![insert(2, "", &["rent"])], Seq(2)).unwrap();
    assert_eq!(chunks(&search(&index, "rent")), [200]);
}

fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let visible = |path: &std::path::PathBuf| !path.file_name().unwrap().to_string_lossy().starts_with('.');
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(visible).collect()
}

#[test]
fn many_commits_leave_few_segments_and_no_unused_files() {
    let (dir, index) = index_of(vec![]);
    for version in 1..40 {
        index.apply(vec![insert(version, "", &["lease", "rent"])], Seq(version)).unwrap();
    }
    index.rest().unwrap();
    let segments = index.snapshot().searcher.segment_readers().len();
    assert!(segments <= 4, "{segments} segments");
    assert!(files(dir.path()).len() <= segments * 8 + 1, "{} files", files(dir.path()).len());
    assert_eq!(search(&index, "rent").documents.len(), 39);
}

#[test]
fn collecting_leaves_no_byte_of_what_was_deleted() {
    let (dir, index) = index_of(vec![insert(1, "canaryhead", &["canarybody lease"]), insert(2, "", &["lease"])]);
    let first: BTreeSet<_> = files(dir.path()).into_iter().collect();
    // Word lists are automata, in which no word can be seen as bytes: they are asked, and then nothing else may be left.
    let holds_canary = || {
        let snapshot = index.snapshot();
        let holds = |field, word: &str| {
            let term = tantivy::Term::from_field_text(field, word);
            let term_of = |reader: &tantivy::SegmentReader| reader.inverted_index(field).unwrap().get_term_info(&term);
            snapshot.searcher.segment_readers().iter().any(|reader| term_of(reader).unwrap().is_some())
        };
        let fields = index.fields;
        holds(fields.exact, "canarybody") || holds(fields.stem, "canarybodi") || holds(fields.head, "canaryhead")
    };
    index.apply(vec![delete(1)], Seq(2)).unwrap();
    index.collect().unwrap();
    assert!(!holds_canary());
    let left = files(dir.path());
    assert!(left.iter().all(|file| file.ends_with("meta.json") || !first.contains(file)), "{left:?}");
    assert!(left.len() <= 8, "{left:?}");
    assert_eq!((index.watermark(), chunks(&search(&index, "lease"))), (Seq(2), vec![200]));
    index.collect().unwrap();
    drop(index);
    assert_eq!(LexicalIndex::open(dir.path()).unwrap().watermark(), Seq(2));
}

/// What opening a copy of the index at `from` says after `harm` was done to the file named, for each of its files.
fn harmed(from: &Path, harm: impl Fn(&Path)) -> Vec<(String, Result<(), LexicalError>)> {
    let mut outcomes = Vec::new();
    for file in files(from) {
        let copy = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
        harm(&copy.path().join(file.file_name().unwrap()));
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        outcomes.push((name, LexicalIndex::open(copy.path()).map(drop)));
    }
    outcomes
}

#[test]
fn damaged_files_are_told_at_once() {
    let (dir, index) = index_of((1..10).map(|version| insert(version, "h", &["lease of a house", "rent"])).collect());
    index.apply(vec![delete(2)], Seq(2)).unwrap();
    assert!(files(dir.path()).iter().any(|file| file.extension().is_some_and(|ending| ending == "del")));
    index.verify().unwrap();
    drop(index);
    let open = |path: &Path| fs::OpenOptions::new().write(true).open(path).unwrap();
    let harms: [(&str, &dyn Fn(&Path)); 4] = [
        ("removed", &|path| fs::remove_file(path).unwrap()),
        ("emptied", &|path| fs::write(path, b"").unwrap()),
        ("cut", &|path| open(path).set_len(fs::metadata(path).unwrap().len() / 2).unwrap()),
        ("garbage", &|path| fs::write(path, b"garbage, and enough of it to be taken for something else").unwrap()),
    ];
    for (how, harm) in harms {
        for (name, outcome) in harmed(dir.path(), harm) {
            assert!(matches!(outcome, Err(LexicalError::Damaged(_))), "{name} {how}: {outcome:?}");
        }
    }
    assert!(LexicalIndex::open(dir.path()).is_ok());
}

#[test]
fn flipped_bits_are_found_by_verify_and_never_panic() {
    let (dir, index) = index_of(vec![insert(1, "h", &["lease of a house", "rent"])]);
    drop(index);
    for file in files(dir.path()) {
        if file.ends_with("meta.json") {
            continue;
        }
        let whole = fs::read(&file).unwrap();
        let mut flipped = whole.clone();
        flipped[0] ^= 0xff;
        fs::write(&file, &flipped).unwrap();
        match LexicalIndex::open(dir.path()) {
            Ok(index) => {
                let _ = index.search(&LexicalQuery { text: "\"lease of\" rent", scope: &Scope::default(), limit: 5 });
                assert!(matches!(index.verify(), Err(LexicalError::Damaged(_))), "{file:?}");
            }
            Err(error) => assert!(matches!(error, LexicalError::Damaged(_)), "{file:?}: {error}"),
        }
        fs::write(&file, &whole).unwrap();
    }
}

#[test]
fn another_schema_is_damage_and_an_interrupted_beginning_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut builder = Schema::builder();
    builder.add_u64_field("chunk", tantivy::schema::FAST);
    Index::create_in_dir(dir.path(), builder.build()).unwrap();
    assert!(matches!(LexicalIndex::open(dir.path()), Err(LexicalError::Damaged(_))));

    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(".managed.json"), b"[\"meta.json\"]").unwrap();
    assert_eq!(LexicalIndex::open(dir.path()).unwrap().watermark(), Seq(0));
}

#[test]
fn scores_are_those_worked_out_by_hand() {
    let (_dir, index) = index_of(vec![
        insert(1, "acme", &["lease lease house", "the garden"]),
        insert(2, "bolt lease", &["lease car car car car"]),
        insert(3, "acme", &["garden"]),
    ]);
    // Passages: N = 4, lengths 3, 1, 5, 1: mean 2.5; df(lease) = 2, so idf = ln(1 + 2.5/2.5).
    // Documents: N = 3, lengths 4, 5, 1: mean 10/3; df = 2, so idf = ln(1 + 1.5/2.5).
    // Heads: N = 3, lengths 1, 2, 1: mean 4/3; df = 1, so idf = ln(1 + 2.5/1.5).
    let bm25 = |idf: f64, tf: f64, ratio: f64| (idf.ln() * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * ratio))) as f32;
    let hits = search(&index, "lease leases");
    assert_eq!(chunks(&hits), [100, 200]);
    let near = |a: f32, b: f32| assert!((a - b).abs() < 1e-5, "{a} is not {b}");
    near(hits.passages[0].score, bm25(2.0, 2.0, 3.0 / 2.5));
    near(hits.passages[1].score, bm25(2.0, 1.0, 5.0 / 2.5));
    near(hits.passages[0].matched, 1.0);
    near(hits.documents[&VersionId(1)].body, bm25(1.6, 2.0, 4.0 / (10.0 / 3.0)));
    near(hits.documents[&VersionId(2)].body, bm25(1.6, 1.0, 5.0 / (10.0 / 3.0)));
    near(hits.documents[&VersionId(2)].head, bm25(1.0 + 2.5 / 1.5, 1.0, 2.0 / (4.0 / 3.0)));
    near(hits.documents[&VersionId(1)].head, 0.0);

    // A word the passage lacks counts half of what it counts in the document.
    let hits = search(&index, "garden lease");
    let garden = hits.passages.iter().find(|passage| passage.chunk == ChunkId(101)).unwrap();
    let lease_in_document = hits.documents[&VersionId(1)].body - bm25(1.6, 1.0, 4.0 / (10.0 / 3.0));
    near(garden.missing_document, garden.score + 0.5 * lease_in_document);
    near(garden.matched, 0.5);
}

/// BM25 worked out word by word with maps, to hold the fast way against.
struct Plain {
    /// By version: stems of each chunk, and of the head.
    versions: BTreeMap<u64, (Vec<Vec<String>>, Vec<String>)>,
}

fn plain_stems(text: &str) -> Vec<String> {
    let words = analyze::words(text).into_iter().filter(|word| !analyze::is_stop_word(word));
    words.flat_map(|word| schema::stems(&[word])).collect()
}

/// For each text of `texts` that holds it, BM25 of `stem`.
fn plain_bm25(texts: &BTreeMap<u64, Vec<String>>, stem: &String) -> BTreeMap<u64, f64> {
    let count = |text: &Vec<String>| text.iter().filter(|word| *word == stem).count() as f64;
    let n = texts.len() as f64;
    let df = texts.values().filter(|text| count(text) > 0.0).count() as f64;
    let mean = (texts.values().map(|text| text.len() as f64).sum::<f64>() / n).max(1.0);
    let idf = (1.0 + (n - df + 0.5) / (df + 0.5)).ln();
    let score = |text: &Vec<String>| idf * count(text) * 2.2 / (count(text) + 1.2 * (0.25 + 0.75 * text.len() as f64 / mean));
    texts.iter().filter(|(_, text)| count(text) > 0.0).map(|(id, text)| (*id, score(text))).collect()
}

impl Plain {
    fn check(&self, index: &LexicalIndex, query: &str, scope: &Scope) -> Result<(), TestCaseError> {
        let mut chunks = BTreeMap::new();
        let (mut bodies, mut heads) = (BTreeMap::new(), BTreeMap::new());
        for (version, (texts, head)) in self.versions.iter().filter(|(_, (texts, _))| !texts.is_empty()) {
            chunks.extend((version * 100..).zip(texts.iter().cloned()));
            bodies.insert(*version, texts.concat());
            heads.insert(*version, head.clone());
        }
        let stems: BTreeSet<String> = plain_stems(query).into_iter().collect();
        let allowed = |version: u64| scope.allows(VersionId(version));
        let (mut passages, mut missing) = (BTreeMap::<u64, f64>::new(), BTreeMap::<u64, f64>::new());
        let mut documents = BTreeMap::<u64, (f64, f64)>::new();
        for stem in &stems {
            let (own, body) = (plain_bm25(&chunks, stem), plain_bm25(&bodies, stem));
            for chunk in chunks.keys().filter(|chunk| allowed(*chunk / 100)) {
                let here = own.get(chunk).copied().unwrap_or(0.0);
                let there = body.get(&(chunk / 100)).copied().unwrap_or(0.0);
                if here > 0.0 {
                    *passages.entry(*chunk).or_default() += here;
                }
                *missing.entry(*chunk).or_default() += here.max(0.5 * there);
            }
            for (version, score) in body.into_iter().filter(|(version, _)| allowed(*version)) {
                documents.entry(version).or_default().0 += score;
            }
            for (version, score) in plain_bm25(&heads, stem).into_iter().filter(|(version, _)| allowed(*version)) {
                documents.entry(version).or_default().1 += score;
            }
        }
        let hits = index.search(&LexicalQuery { text: query, scope, limit: 1000 }).unwrap();
        let near = |a: f32, b: f64| (f64::from(a) - b).abs() < 1e-4;
        prop_assert_eq!(hits.passages.len(), passages.len());
        for hit in &hits.passages {
            prop_assert!(near(hit.score, passages[&hit.chunk.0]) && near(hit.missing_document, missing[&hit.chunk.0]));
            prop_assert!(hit.matched > 0.0 && hit.matched <= 1.0);
        }
        prop_assert!(hits.passages.is_sorted_by(|a, b| a.score > b.score || (a.score == b.score && a.chunk < b.chunk)));
        prop_assert_eq!(hits.documents.len(), documents.len());
        for (version, hit) in &hits.documents {
            let (body, head) = documents[&version.0];
            prop_assert!(near(hit.body, body) && near(hit.head, head));
        }
        let in_scope = bodies.keys().filter(|version| allowed(**version)).count();
        prop_assert_eq!(hits.documents_in_scope, in_scope);
        Ok(())
    }
}

/// Up to 24 of a few words, common and rare, that share stems.
fn some_words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec!["lease", "leases", "rent", "the", "party", "parties", "house", "10.9", "契約", "canal"]);
    prop::collection::vec(word, 0..24).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn scores_are_those_of_the_plain_way(
        commits in prop::collection::vec(
            prop::collection::vec((1u64..9, prop::collection::vec(some_words(), 0..4), some_words(), prop::bool::weighted(0.8)), 1..5),
            1..5,
        ),
        queries in prop::collection::vec(some_words(), 1..4),
        only in prop::option::of(prop::collection::btree_set((1u64..9).prop_map(VersionId), 0..5)),
        except in prop::collection::btree_set((1u64..9).prop_map(VersionId), 0..3),
        (rests, reopens) in any::<(bool, bool)>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut index = LexicalIndex::open(dir.path()).unwrap();
        let mut plain = Plain { versions: BTreeMap::new() };
        for commit in commits {
            let mut changes = Vec::new();
            for (version, texts, head, inserts) in commit {
                plain.versions.remove(&version);
                if inserts {
                    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                    changes.push(insert(version, &head, &texts));
                    let stems = texts.iter().map(|text| plain_stems(text)).collect();
                    plain.versions.insert(version, (stems, plain_stems(&head)));
                } else {
                    changes.push(delete(version));
                }
            }
            index.apply(changes, Seq(1)).unwrap();
            if rests {
                index.rest().unwrap();
            }
        }
        if reopens {
            drop(index);
            index = LexicalIndex::open(dir.path()).unwrap();
        }
        let scope = Scope { only: only.map(|only| only.into_iter().collect()), except: except.into_iter().collect() };
        for query in queries {
            if plain_stems(&query).is_empty() {
                continue;
            }
            plain.check(&index, &query, &scope)?;
        }
    }
}

#[test]
#[ignore = "a measurement"]
fn measure() {
    use std::time::Instant;
    let n: u64 = 100_000;
    let rss = || { let s = fs::read_to_string("/proc/self/statm").unwrap(); let f: Vec<u64> = s.split(' ').map(|x| x.trim().parse().unwrap()).collect(); ((f[1]) * 4 / 1024, (f[1]-f[2])*4/1024) };
    let dir = tempfile::tempdir().unwrap();
    let mut seed = 12345u64;
    let mut rnd = move || { seed ^= seed << 13; seed ^= seed >> 7; seed ^= seed << 17; (seed >> 11) as f64 / (1u64 << 53) as f64 };
    let index = LexicalIndex::open(dir.path()).unwrap();
    println!("rss {:?}", rss());
    let t = Instant::now();
    let mut apply_max = 0.0f64;
    for batch in 0..(n / 1000) {
        let mut changes = vec![];
        for v in 0..50u64 {
            let chunks = (0..20u64).map(|i| {
                // Zipf-like words
                let text: String = (0..180).map(|_| { let r = (rnd() * (50_000f64).ln()).exp() as u64; format!("w{} ", r) }).collect();
                LexicalChunk { chunk: ChunkId((batch * 50 + v) * 20 + i + 1), text, head: (i == 0).then(|| "some name w5 w1000".to_owned()) }
            }).collect();
            changes.push(LexicalChange::Insert { version: VersionId(batch * 50 + v + 1), chunks });
        }
        let t = Instant::now();
        index.apply(changes, Seq(batch)).unwrap();
        apply_max = apply_max.max(t.elapsed().as_secs_f64());
        if batch % 20 == 19 { println!("{} chunks, {:?} segs {} rss {:?}", (batch + 1) * 1000, t.elapsed(), index.snapshot().searcher.segment_readers().len(), rss()); }
    }
    println!("indexed in {:?} (incl. making text), longest apply {apply_max}", t.elapsed());
    let t = Instant::now();
    index.rest().unwrap();
    println!("rest {:?} segs {} rss {:?}", t.elapsed(), index.snapshot().searcher.segment_readers().len(), rss());
    drop(index);
    let size: u64 = files(dir.path()).iter().map(|f| fs::metadata(f).unwrap().len()).sum();
    println!("size {} MB, rss {:?}", size >> 20, rss());
    let t = Instant::now();
    let index = LexicalIndex::open(dir.path()).unwrap();
    println!("open {:?} rss {:?}", t.elapsed(), rss());
    for (name, query) in [
        ("mixed 10", "w2 w9 w30 w100 w300 w1000 w3000 w9000 w20000 w40000"),
        ("common 10", "w1 w2 w3 w4 w5 w6 w7 w8 w9 w10"),
        ("rare 3", "w9000 w20000 w40000"),
        ("phrase", "\"w3 w5\" w100"),
        ("id", "w100-w3.5"),
    ] {
        let mut times = vec![];
        let mut found = 0;
        for _ in 0..60 {
            let t = Instant::now();
            let hits = index.search(&LexicalQuery { text: query, scope: &Scope::default(), limit: 200 }).unwrap();
            times.push(t.elapsed().as_secs_f64() * 1e3);
            found = hits.documents.len();
        }
        times.sort_by(f64::total_cmp);
        println!("{name}: p50 {:.2} min {:.2} max {:.2} ms, {found} documents", times[30], times[0], times[59]);
    }
    println!("rss {:?}", rss());
}
