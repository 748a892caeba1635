//! The best passages of many, in one pass and in memory for as many as are asked for.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A passage that may be among the best. The greatest is the worst, so that a heap hands that one out first.
pub(super) struct Candidate {
    /// Its score, above 0.
    pub score: f32,
    /// Its chunk's id.
    pub chunk: u64,
    /// Its number in the snapshot.
    pub passage: usize,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.chunk.cmp(&other.chunk))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}

/// The best `limit` of the passages with these `scores`, those of 0 left out; best first, ties by chunk.
pub(super) fn best(scores: impl Iterator<Item = f32>, chunk_of: &[u64], limit: usize) -> Vec<Candidate> {
    let mut heap: BinaryHeap<Candidate> = BinaryHeap::new();
    let mut bar = 0.0;
    for (passage, score) in scores.enumerate() {
        if score <= 0.0 || score < bar || limit == 0 {
            continue;
        }
        let chunk = chunk_of[passage];
        heap.push(Candidate { score, chunk, passage });
        if heap.len() > limit {
            heap.pop();
            bar = heap.peek().map_or(0.0, |worst| worst.score);
        }
    }
    heap.into_sorted_vec()
}
