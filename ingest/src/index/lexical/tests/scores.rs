//! Scores, worked out by hand and held against a second, plain implementation.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

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
    words.flat_map(|word| schema::stems(&[word]).into_iter().map(|(stem, _)| stem).collect::<Vec<_>>()).collect()
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
    let word =
        prop::sample::select(vec!["lease", "leases", "rent", "the", "party", "parties", "house", "10.9", "契約", "canal"]);
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
