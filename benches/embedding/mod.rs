//! Chunks a second of the built-in model, beside the same model run the usual way: fp32, batches of 32 as they come, padded.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use strongroom::models::{LocatedModel, Models, RuntimeBuild, Want, WantedModel};
use strongroom_ingest::embed::{Backend, Device, EmbedOptions, Embedder, ModelSpec, Precision, Purpose, peer};

/// Chunks a run; three batches of the peer.
const CHUNKS: usize = 96;
/// What the peer's batches hold.
const BATCH: usize = 32;
/// Rounds in which both are timed by turns, so that a busy minute hits both.
const ROUNDS: usize = 7;
const THREADS: usize = 2;

/// Prints the ratio, then lets criterion time each by itself.
pub fn bench(criterion: &mut Criterion) {
    let options = options();
    let texts = texts(CHUNKS);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let embedder = Embedder::start(options.clone()).unwrap_or_else(|error| stop(&error.to_string()));
    let mut peer = peer(&options).unwrap_or_else(|error| stop(&error.to_string()));

    // Bulk sessions are made with the first work, which is not what is measured.
    ours(&embedder, &texts[..8]);
    theirs(peer.as_mut(), &texts[..8]);
    let mut ratios = Vec::new();
    let (mut our_best, mut their_best) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        let we = timed(|| ours(&embedder, &texts));
        let they = timed(|| theirs(peer.as_mut(), &texts));
        ratios.push(they.as_secs_f64() / we.as_secs_f64());
        (our_best, their_best) = (our_best.min(we), their_best.min(they));
    }
    ratios.sort_by(f64::total_cmp);
    #[allow(clippy::print_stdout, reason = "a bench is there to print")]
    {
        let speed = |best: Duration| CHUNKS as f64 / best.as_secs_f64();
        println!(
            "embedding: {:.1} chunks/s against {:.1} for fp32 in batches of {BATCH}; median ratio of {ROUNDS} rounds {:.2} \
             ({:.2} to {:.2}), wanted 2.5",
            speed(our_best),
            speed(their_best),
            ratios[ROUNDS / 2],
            ratios[0],
            ratios[ROUNDS - 1],
        );
    }

    let mut group = criterion.benchmark_group("embedding");
    group.sample_size(10).throughput(Throughput::Elements(CHUNKS as u64)).measurement_time(Duration::from_secs(12));
    group.bench_function("ours", |bencher| bencher.iter(|| ours(&embedder, &texts)));
    group.bench_function("fp32 in batches", |bencher| bencher.iter(|| theirs(peer.as_mut(), &texts)));
    group.finish();
}

fn ours(embedder: &Embedder, texts: &[&str]) {
    let vectors = embedder.embed_documents(texts).unwrap_or_else(|error| stop(&error.to_string()));
    assert_eq!(vectors.len(), texts.len());
}

fn theirs(peer: &mut dyn Backend, texts: &[&str]) {
    for batch in texts.chunks(BATCH) {
        peer.embed(batch, Purpose::Document).unwrap_or_else(|error| stop(&error.to_string()));
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn options() -> EmbedOptions {
    let var = |name: &str| std::env::var(name).ok();
    let Some(cache) = Models::default_cache(var) else { stop("neither STRONGROOM_CACHE nor HOME is set") };
    let models = Models::new(cache)
        .with_runtime(var("STRONGROOM_ONNXRUNTIME").map(PathBuf::from))
        .with_models(var("STRONGROOM_MODELS").map(PathBuf::from));
    let located = models.locate(&Want { runtime: Some(RuntimeBuild::Plain), model: Some(WantedModel::Builtin) });
    let (Some(runtime), Some(LocatedModel::Builtin { weights, tokenizer })) = (located.runtime, located.model) else {
        stop("the model is missing: run `cargo run -- models fetch` once")
    };
    let model = ModelSpec::Builtin { weights, tokenizer, precision: Precision::Int8 };
    EmbedOptions { runtime, model, device: Device::Cpu, threads: THREADS, idle: Duration::from_secs(600) }
}

/// Made-up prose of 60 to 245 words, most of them one word piece each; the same on every machine.
fn texts(count: usize) -> Vec<String> {
    const WORDS: &str = "the of rent tenant shall agreement party notice clause term under with to in by for and or not any such \
        other than within days written supplier customer insurance liability confidential information services payment \
        termination warranty breach damages governing law obligations effective date assignment consent property premises";
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut state = 7u64;
    // The multiplier and the increment of Knuth's MMIX.
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut texts = Vec::new();
    for _ in 0..count {
        // Mostly full chunks and some short last ones, as a chunker leaves them.
        let length = if next(8) == 0 { 60 + next(100) } else { 180 + next(66) };
        let text: Vec<&str> = (0..length).map(|_| words[next(words.len())]).collect();
        texts.push(text.join(" "));
    }
    texts
}

#[allow(clippy::panic, reason = "a bench that cannot run must say so and fail")]
fn stop(reason: &str) -> ! {
    panic!("{reason}")
}
