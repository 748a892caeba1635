//! The bench's course: fill a store, ask it in this process, then start the server over it and ask that.

pub mod fill;
mod server;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use strongroom::ask::Ask;
use strongroom::models::{LocatedModel, Models, RuntimeBuild, Want, WantedModel};
use strongroom::retrieve::{Mode, Query, Retriever};
use strongroom_ingest::embed::set::Embedders;
use strongroom_ingest::embed::{Device, EmbedOptions, Embedder, ModelSpec, Precision, disable_telemetry};
use strongroom_ingest::index::{Store, StoreOptions};

pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Searches measured in this process, after as many to warm up as a tenth of it.
const SEARCHES: usize = 1_000;

pub fn run() -> Outcome {
    let chunks = std::env::var("STRONGROOM_BENCH_CHUNKS").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let cores = std::thread::available_parallelism()?;
    println!("query bench: {chunks} seeded chunks, all-MiniLM-L6-v2 int8, {cores} cores, own code as in profile dev");
    let home = tempfile::tempdir()?;
    let data = home.path().join("data");
    fill_with(&data, chunks)?;
    in_process(&open(&data)?, &model()?)?;
    server::measure(&data)?;
    let many = home.path().join("many");
    fill::many(&*open(&many)?, &model()?, 300, 20)?;
    server::measure_many(&many, 300)?;
    if std::env::var_os("STRONGROOM_BENCH_KEEP").is_some() {
        println!("kept: {}", home.keep().display());
    }
    Ok(())
}

/// Leaves a store of so many chunks in that folder.
pub fn fill_with(data: &Path, chunks: usize) -> Outcome {
    disable_telemetry();
    strongroom::egress::install_crypto();
    let began = Instant::now();
    fill::large(&*open(data)?, &model()?, chunks)?;
    println!("filled in {:.1} s (vectors are seeded, not embedded)", began.elapsed().as_secs_f64());
    Ok(())
}

fn open(data: &Path) -> Outcome<Arc<Store>> {
    Store::open(StoreOptions { data: data.to_owned(), open_collections: 32 }).map_err(Into::into)
}

fn model() -> Outcome<Embedder> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let cache = Models::default_cache(variable).ok_or("no home folder is known: set STRONGROOM_CACHE")?;
    let models = Models::new(cache).with_runtime(variable("STRONGROOM_ONNXRUNTIME").map(Into::into));
    let want = Want { runtime: Some(RuntimeBuild::Plain), model: Some(WantedModel::Builtin) };
    let located = models.locate(&want);
    let (Some(runtime), Some(LocatedModel::Builtin { weights, tokenizer })) = (located.runtime, located.model) else {
        return Err("the model is not on this machine: `cargo run -- models fetch`".into());
    };
    let model = ModelSpec::Builtin { weights, tokenizer, precision: Precision::Int8 };
    Ok(Embedder::start(EmbedOptions { runtime, model, device: Device::Cpu, threads: 1, idle: Duration::from_secs(60) })?)
}

fn in_process(store: &Arc<Store>, embedder: &Embedder) -> Outcome {
    let embedders = Embedders::default();
    embedders.activate(embedder.clone());
    let ask = Ask::new(Arc::clone(store), Retriever::new(embedders), Vec::new());
    let names = [fill::NAME.to_owned()];
    for (label, mode) in [("hybrid", Mode::Hybrid), ("dense", Mode::Dense), ("lexical", Mode::Lexical)] {
        let mut times = Vec::new();
        for (number, text) in fill::questions(SEARCHES + SEARCHES / 10).into_iter().enumerate() {
            let query = Query { text, mode, limit: 10, filter: Default::default(), explain: false };
            let began = Instant::now();
            let found = ask.search(Some(&names), &query)?;
            if number >= SEARCHES / 10 {
                times.push(began.elapsed());
            }
            assert!(!found.hits.is_empty(), "a search found nothing");
        }
        println!("{label:8} in this process, embedding included: {}", Times(times));
    }
    Ok(())
}

/// Durations, shown by their percentiles.
pub struct Times(pub Vec<Duration>);

impl Times {
    /// The duration that so many percent stay below, in milliseconds.
    pub fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort();
        let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        sorted.get(place).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [p50, p95, p99] = [50, 95, 99].map(|percent| self.percentile(percent));
        write!(f, "p50 {p50:.1} ms, p95 {p95:.1} ms, p99 {p99:.1} ms over {}", self.0.len())
    }
}
