//! How fast documents become searchable, as ratios to something else on the same machine in the same minutes.

use criterion::{criterion_group, criterion_main};

mod embedding;

criterion_group!(benches, embedding::bench);
criterion_main!(benches);
