//! Tests of the fusion: what must hold for any scores, and the cases it was made for.

use proptest::prelude::*;
use strongroom_ingest::index::lexical::PassageScore;

use super::*;

fn passage(chunk: u64, version: u64, score: f32, matched: f32, missing_document: f32) -> PassageScore {
    PassageScore { chunk: ChunkId(chunk), version: VersionId(version), score, matched, missing_document }
}

fn near(chunk: u64, version: u64, score: f32) -> VectorHit {
    VectorHit { chunk: ChunkId(chunk), version: VersionId(version), score }
}

/// Documents 1, 2, 3 of ten passages each; chunk 10·d is in document d.
fn gathered(dense: Vec<VectorHit>, passages: Vec<PassageScore>, bodies: &[(u64, f32)]) -> Gathered {
    let most = bodies.iter().map(|body| body.1).fold(0.0, f32::max);
    let documents = bodies
        .iter()
        .map(|(version, body)| (VersionId(*version), DocumentScore { body: *body, head: 0.0, matched: 0.9 * body / most }));
    let lexical = LexicalHits { passages, documents: documents.collect(), documents_in_scope: 3, passages_in_scope: 30 };
    Gathered { dense, lexical, cosines: HashMap::new() }
}

fn order(ranked: &[Ranked]) -> Vec<u64> {
    ranked.iter().map(|hit| hit.chunk.0).collect()
}

#[test]
fn a_named_document_wins_over_a_better_worded_passage() {
    let dense = vec![near(20, 2, 0.61), near(10, 1, 0.6)];
    let passages = || vec![passage(20, 2, 5.0, 0.5, 5.0), passage(10, 1, 4.5, 0.5, 4.5)];
    let named = gathered(dense.clone(), passages(), &[(1, 10.0), (2, 5.0), (3, 4.0)]);
    assert_eq!(order(&rank(Mode::Hybrid, &[named], 200)), [10, 20]);
    let nobody = gathered(dense, passages(), &[(1, 5.2), (2, 5.0), (3, 5.0)]);
    assert_eq!(order(&rank(Mode::Hybrid, &[nobody], 200)), [20, 10], "no document stands out");
}

#[test]
fn a_draft_beside_the_contract_does_not_hide_its_name() {
    let dense = vec![near(30, 3, 0.61), near(10, 1, 0.6), near(20, 2, 0.6)];
    let passages = vec![passage(30, 3, 5.0, 0.5, 5.0), passage(10, 1, 4.5, 0.5, 4.5), passage(20, 2, 4.5, 0.5, 4.5)];
    let drafts = gathered(dense, passages, &[(1, 10.0), (2, 10.0), (3, 5.0)]);
    assert_eq!(order(&rank(Mode::Hybrid, &[drafts], 200)), [10, 20, 30]);
}

#[test]
fn wording_gives_way_to_meaning_where_no_word_matches() {
    let dense = vec![near(10, 1, 0.7), near(20, 2, 0.3)];
    let mut weak = gathered(dense.clone(), vec![passage(20, 2, 1.0, 0.1, 1.0)], &[(2, 1.0)]);
    weak.lexical.documents.insert(VersionId(2), DocumentScore { body: 1.0, head: 0.0, matched: 0.1 });
    let parts = rank(Mode::Hybrid, &[weak], 200).remove(0);
    assert_eq!(parts.chunk, ChunkId(10));
    assert!((parts.explain.parts[0].1 - 0.67).abs() < 1e-6, "{:?}", parts.explain.parts);
}

#[test]
fn explain_adds_up_and_names_ranks() {
    let side = gathered(vec![near(10, 1, 0.7), near(20, 2, 0.3)], vec![passage(20, 2, 4.0, 0.8, 4.0)], &[(2, 8.0)]);
    let ranked = rank(Mode::Hybrid, &[side], 200);
    let second = &ranked.iter().find(|hit| hit.chunk == ChunkId(20)).unwrap().explain;
    assert_eq!((second.dense_rank, second.lexical_rank), (Some(2), Some(1)));
    assert_eq!((second.dense_score, second.lexical_score, second.document_score), (Some(0.3), Some(4.0), Some(8.0)));
    let sums: Vec<f32> = ranked.iter().map(|hit| hit.explain.parts.iter().map(|part| part.1).sum()).collect();
    let ratio = ranked[0].score / ranked[1].score;
    assert!((ratio - sums[0] / sums[1]).abs() < 1e-4);
}

#[test]
fn the_better_collection_comes_first_whatever_its_statistics() {
    // The same match in a small collection, where every idf is low, and in a large one that holds half of the question.
    let small = gathered(vec![near(10, 1, 0.7)], vec![passage(10, 1, 1.5, 0.9, 1.5)], &[(1, 1.8), (2, 0.9)]);
    let large = gathered(vec![near(20, 2, 0.3)], vec![passage(20, 2, 9.0, 0.4, 9.0)], &[(2, 9.0), (1, 6.0)]);
    let halved = |side: Gathered| {
        side.lexical
            .documents
            .into_iter()
            .map(|(id, score)| (id, DocumentScore { matched: score.matched / 2.0, ..score }))
            .collect()
    };
    let large = Gathered { lexical: LexicalHits { documents: halved(large.clone()), ..large.lexical.clone() }, ..large };
    for mode in [Mode::Hybrid, Mode::Lexical, Mode::Dense] {
        let ranked = rank(mode, &[large.clone(), small.clone()], 200);
        assert_eq!(order(&ranked), [10, 20], "{mode:?}");
        assert!(ranked[0].score < 1.0 && ranked[1].score >= 0.0);
    }
}

#[test]
fn one_mode_is_never_another() {
    let side = gathered(vec![near(10, 1, 0.7)], vec![passage(20, 2, 4.0, 0.8, 4.0)], &[(2, 8.0)]);
    assert_eq!(order(&rank(Mode::Dense, std::slice::from_ref(&side), 200)), [10]);
    assert_eq!(order(&rank(Mode::Lexical, &[side], 200)), [20]);
    assert!(rank(Mode::Hybrid, &[], 200).is_empty());
}

prop_compose! {
    fn sides()(
        dense in prop::collection::btree_map(0_u64..60, -1.0_f32..1.0, 0..40),
        matches in prop::collection::btree_map(0_u64..60, (0.01_f32..20.0, 0.01_f32..1.0), 0..40),
        bodies in prop::collection::vec(0.01_f32..30.0, 3),
    ) -> Gathered {
        let mut dense: Vec<VectorHit> = dense.into_iter().map(|(chunk, score)| near(chunk, chunk / 20, score)).collect();
        dense.sort_by(|a, b| b.score.total_cmp(&a.score));
        let mut passages: Vec<PassageScore> = matches
            .into_iter()
            .map(|(chunk, (score, matched))| passage(chunk, chunk / 20, score, matched, score + bodies[chunk as usize / 20] / 2.0))
            .collect();
        passages.sort_by(|a, b| b.score.total_cmp(&a.score));
        let bodies: Vec<(u64, f32)> = bodies.into_iter().enumerate().map(|(at, body)| (at as u64, body)).collect();
        let cosines = passages.iter().map(|hit| (hit.chunk, 0.1)).collect();
        Gathered { cosines, ..gathered(dense, passages, &bodies) }
    }
}

proptest! {
    #[test]
    fn every_candidate_is_ranked_once_best_first_and_always_the_same(sides in prop::collection::vec(sides(), 1..3)) {
        for mode in [Mode::Hybrid, Mode::Lexical, Mode::Dense] {
            let ranked = rank(mode, &sides, 200);
            let again = rank(mode, &sides, 200);
            prop_assert_eq!(order(&ranked), order(&again));
            let mut expect = std::collections::BTreeSet::new();
            for (source, side) in sides.iter().enumerate() {
                if mode != Mode::Lexical {
                    expect.extend(side.dense.iter().map(|hit| (source, hit.chunk)));
                }
                if mode != Mode::Dense {
                    expect.extend(side.lexical.passages.iter().map(|hit| (source, hit.chunk)));
                }
            }
            let got: std::collections::BTreeSet<_> = ranked.iter().map(|hit| (hit.source, hit.chunk)).collect();
            prop_assert_eq!(got.len(), ranked.len());
            prop_assert_eq!(got, expect);
            for pair in ranked.windows(2) {
                prop_assert!(pair[0].score >= pair[1].score);
            }
            prop_assert!(ranked.iter().all(|hit| hit.score.is_finite() && hit.score <= 1.0));
        }
    }

    #[test]
    fn a_higher_cosine_never_ranks_lower(side in sides(), raise in 0.0_f32..1.0) {
        prop_assume!(side.dense.len() > 2);
        let chunk = side.dense[1].chunk;
        let place = |side: &Gathered| rank(Mode::Hybrid, std::slice::from_ref(side), 200).iter().position(|hit| hit.chunk == chunk);
        let before = place(&side);
        let mut raised = side.clone();
        // Up to the best, so that the width that all are stretched over stays the same.
        let best = raised.dense[0].score;
        raised.dense[1].score += raise * (best - raised.dense[1].score);
        prop_assert!(place(&raised) <= before);
    }
}

#[test]
fn inside_one_document_its_own_score_counts_nothing() {
    let passages = vec![passage(10, 1, 4.0, 0.5, 9.0), passage(11, 1, 3.0, 0.5, 11.0)];
    let mut side = gathered(vec![near(10, 1, 0.5), near(11, 1, 0.5)], passages, &[(1, 10.0)]);
    side.lexical.documents_in_scope = 1;
    let ranked = rank(Mode::Hybrid, &[side], 200);
    assert_eq!(order(&ranked), [10, 11]);
    assert_eq!(ranked[0].explain.parts[2], ("document", 0.0));
}
