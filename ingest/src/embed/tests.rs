//! Tests of the embedder with the real library and model, and of its threads with fakes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::bert::Kernel;
use super::builtin::{Bert, Builtin};
use super::check::{dot, references};
use super::embedder::normalise;
use super::runtime::{Chosen, Memory, SessionOptions};
use super::*;
use crate::model::Fingerprint;

const LIBRARY: &str = if cfg!(windows) {
    "onnxruntime.dll"
} else if cfg!(target_os = "macos") {
    "libonnxruntime.1.31.1.dylib"
} else {
    "libonnxruntime.so.1.31.1"
};

/// The files that the product would use, from the places where it looks.
fn installed() -> (PathBuf, PathBuf, PathBuf) {
    let var = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = var("STRONGROOM_CACHE").or_else(|| {
        let caches = if cfg!(target_os = "macos") {
            var("HOME").map(|home| home.join("Library/Caches"))
        } else {
            var("XDG_CACHE_HOME").or_else(|| var("HOME").map(|home| home.join(".cache")))
        };
        caches.map(|caches| caches.join("strongroom"))
    });
    let cache = cache.expect("neither STRONGROOM_CACHE nor HOME is set");
    let runtime =
        var("STRONGROOM_ONNXRUNTIME").unwrap_or_else(|| cache.join("runtime").join("onnxruntime-1.31.1").join(LIBRARY));
    let model = var("STRONGROOM_MODELS").unwrap_or_else(|| cache.join("models")).join(BUILTIN);
    let files = (runtime, model.join("model.safetensors"), model.join("tokenizer.json"));
    for file in [&files.0, &files.1, &files.2] {
        assert!(file.is_file(), "{} is missing: run `cargo run -- models fetch` once", file.display());
    }
    files
}

fn options(precision: Precision) -> EmbedOptions {
    let (runtime, weights, tokenizer) = installed();
    let model = ModelSpec::Builtin { weights, tokenizer, precision };
    EmbedOptions { runtime, model, device: Device::Cpu, threads: 2, idle: Duration::from_secs(30) }
}

/// Cosines to the reference vectors, in their order.
fn cosines(embedder: &Embedder) -> Vec<f32> {
    let references = references().unwrap();
    let texts: Vec<&str> = references.iter().map(|reference| reference.text.as_str()).collect();
    let vectors = embedder.embed_documents(&texts).unwrap();
    vectors.iter().zip(&references).map(|(vector, reference)| dot(vector, &reference.vector)).collect()
}

fn mean(numbers: &[f32]) -> f32 {
    numbers.iter().sum::<f32>() / numbers.len() as f32
}

fn least(numbers: &[f32]) -> f32 {
    numbers.iter().copied().fold(f32::INFINITY, f32::min)
}

#[test]
fn fp32_gives_the_reference_vectors() {
    let embedder = Embedder::start(options(Precision::Fp32)).unwrap();
    let cosines = cosines(&embedder);
    assert_eq!(cosines.len(), 20);
    assert!(least(&cosines) >= 0.9999, "{cosines:?}");
    assert_eq!((embedder.dimension(), embedder.device(), embedder.embedded()), (384, "cpu", 20));
    assert_eq!(embedder.truncated(), 2);
}

#[test]
fn int8_gives_nearly_the_reference_vectors() {
    let embedder = Embedder::start(options(Precision::Int8)).unwrap();
    let cosines = cosines(&embedder);
    // A processor whose integer products saturate has one bit less.
    let (mean_at_least, least_at_least) = if embedder.fingerprint().0.contains("int7") { (0.985, 0.975) } else { (0.99, 0.98) };
    assert!(mean(&cosines) >= mean_at_least, "mean {} of {cosines:?}", mean(&cosines));
    assert!(least(&cosines) >= least_at_least, "{cosines:?}");
}

#[test]
fn a_query_gets_the_vector_of_a_document_with_its_text() {
    let embedder = Embedder::start(options(Precision::Int8)).unwrap();
    let text = "Which clause limits the landlord's liability?";
    let query = embedder.embed_query(text).unwrap();
    let documents = embedder.embed_documents(&["something else", text, ""]).unwrap();
    assert_eq!(query, documents[1]);
    for vector in &documents {
        assert!((dot(vector, vector) - 1.0).abs() < 1e-5);
    }
    assert_eq!(embedder.embedded(), 3, "queries are not chunks");
}

#[test]
fn precision_is_in_the_fingerprint() {
    let int8 = Embedder::start(options(Precision::Int8)).unwrap();
    let fp32 = Embedder::start(options(Precision::Fp32)).unwrap();
    assert_ne!(int8.fingerprint(), fp32.fingerprint());
    assert!(int8.fingerprint().0.contains("53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"));
}

/// The graph for cards, with padding and mask, gives the same vectors as the one for single texts; so do seven-bit weights, nearly.
#[test]
fn every_form_and_kernel_of_the_graph_agrees() {
    let (runtime, weights, tokenizer) = installed();
    let environment = super::runtime::environment(&runtime).unwrap();
    let builtin =
        Builtin { environment, weights: &weights, tokenizer: &tokenizer, precision: Precision::Fp32, device: Device::Cpu };
    let shared = super::builtin::shared(&builtin).unwrap();
    let references = references().unwrap();
    let texts: Vec<&str> = references.iter().map(|reference| reference.text.as_str()).collect();
    let cases = [(bert::Form::Batch, Kernel::Fp32, 0.9999), (bert::Form::Single, Kernel::Int8 { top: 63 }, 0.97)];
    for (form, kernel, enough) in cases {
        let options = SessionOptions { device: Chosen::Cpu, threads: 1, memory: Memory::Lean };
        let mut bert = Bert::with_form(Arc::clone(&shared), options, kernel, form).unwrap();
        let mut vectors = bert.embed(&texts, Purpose::Document).unwrap().vectors;
        vectors.iter_mut().for_each(|vector| normalise(vector));
        for (vector, reference) in vectors.iter().zip(&references) {
            let cosine = dot(vector, &reference.vector);
            assert!(cosine >= enough, "{form:?} {kernel:?}: {cosine}");
        }
    }
}

#[test]
fn a_device_that_the_library_lacks_is_refused_by_name() {
    let wanted = EmbedOptions { device: Device::Cuda, ..options(Precision::Int8) };
    // With a CUDA library this starts, or names what is missing; with the plain one it must be this error.
    match Embedder::start(wanted) {
        Ok(embedder) => assert_eq!(embedder.device(), "cuda"),
        Err(error) => assert!(matches!(error, EmbedError::Device { device: "cuda", .. }), "{error}"),
    }
}

#[test]
fn damaged_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("model.safetensors");
    std::fs::write(&broken, b"\xff\xff\xff\xff\xff\xff\xff\xff not a model").unwrap();
    let mut options = options(Precision::Int8);
    if let ModelSpec::Builtin { weights, .. } = &mut options.model {
        *weights = broken.clone();
    }
    let error = Embedder::start(options.clone()).map(drop).unwrap_err();
    assert!(matches!(&error, EmbedError::Model { path, .. } if *path == broken), "{error}");
    std::fs::remove_file(&broken).unwrap();
    let error = Embedder::start(options).map(drop).unwrap_err();
    assert!(matches!(&error, EmbedError::File { path, .. } if *path == broken), "{error}");
}

/// A fake that counts how many of it live, and fails or panics on some texts.
struct Fake(Arc<AtomicUsize>);

impl Backend for Fake {
    fn embed(&mut self, texts: &[&str], _: Purpose) -> Result<Embedded, EmbedError> {
        if texts.contains(&"panic") {
            std::panic::resume_unwind(Box::new("on purpose"));
        }
        if texts.contains(&"fail") {
            return Err(EmbedError::Failed("on purpose".into()));
        }
        let vectors = texts.iter().map(|text| vec![text.len() as f32, 1.0]).collect();
        Ok(Embedded { vectors, truncated: 0 })
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn fake(threads: usize, idle: Duration) -> (Embedder, Arc<AtomicUsize>) {
    let living = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&living);
    let custom = Custom {
        fingerprint: Fingerprint("fake".into()),
        dimension: 2,
        model_name: "fake".into(),
        device: "cpu".into(),
        batch: 3,
        query: None,
        make: Arc::new(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(Box::new(Fake(Arc::clone(&counted))))
        }),
    };
    (Embedder::with_backend(custom, threads, idle).unwrap(), living)
}

#[test]
fn vectors_come_back_in_the_order_of_their_texts() {
    let (embedder, _) = fake(3, Duration::from_secs(60));
    let texts: Vec<String> = (0..100).map(|n| "x".repeat(n * 37 % 101)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let vectors = embedder.embed_documents(&texts).unwrap();
    for (text, vector) in texts.iter().zip(vectors) {
        assert!((vector[0] / vector[1] - text.len() as f32).abs() < 1e-2, "{} {vector:?}", text.len());
    }
    assert_eq!(embedder.embed_documents(&[]).unwrap(), Vec::<Vec<f32>>::new());
    assert_eq!(embedder.embedded(), 100);
}

#[test]
fn an_error_or_a_panic_costs_its_own_texts_only() {
    let (embedder, living) = fake(1, Duration::from_secs(60));
    assert!(matches!(embedder.embed_documents(&["fail"]), Err(EmbedError::Failed(_))));
    assert!(matches!(embedder.embed_documents(&["panic"]), Err(EmbedError::Failed(_))));
    assert!(matches!(embedder.embed_query("panic"), Err(EmbedError::Failed(_))));
    assert_eq!(embedder.embed_documents(&["fine"]).unwrap().len(), 1);
    assert_eq!(embedder.embed_query("fine").unwrap().len(), 2);
    assert_eq!(living.load(Ordering::SeqCst), 2);
}

#[test]
fn bulk_models_come_with_work_and_go_without() {
    let (embedder, living) = fake(2, Duration::from_millis(20));
    assert_eq!(living.load(Ordering::SeqCst), 1, "only the query's model is there at first");
    embedder.embed_documents(&["a", "b"]).unwrap();
    assert!(living.load(Ordering::SeqCst) > 1 || embedder.embedded() == 2);
    for _ in 0..500 {
        if living.load(Ordering::SeqCst) == 1 {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(living.load(Ordering::SeqCst), 1, "the query's model stays, the others go");
    assert_eq!(embedder.embed_documents(&["again"]).unwrap().len(), 1);
}

#[test]
fn stopping_ends_threads_and_refuses_work() {
    let (embedder, living) = fake(2, Duration::from_secs(60));
    let other = embedder.clone();
    embedder.embed_documents(&["a"]).unwrap();
    embedder.stop();
    assert_eq!(living.load(Ordering::SeqCst), 0);
    assert!(matches!(other.embed_query("a"), Err(EmbedError::Stopped)));
    assert!(matches!(other.embed_documents(&["a"]), Err(EmbedError::Stopped)));

    let (embedder, living) = fake(2, Duration::from_secs(60));
    drop(embedder);
    assert_eq!(living.load(Ordering::SeqCst), 0, "the last handle ends the threads too");
}

/// A query is answered while a document is still being worked on, by whatever time that takes.
#[test]
fn a_query_does_not_wait_for_documents() {
    struct Slow(crossbeam_channel::Receiver<()>);
    impl Backend for Slow {
        fn embed(&mut self, texts: &[&str], purpose: Purpose) -> Result<Embedded, EmbedError> {
            if purpose == Purpose::Document {
                let _ = self.0.recv();
            }
            Ok(Embedded { vectors: texts.iter().map(|_| vec![1.0]).collect(), truncated: 0 })
        }
    }
    let (release, gate) = crossbeam_channel::unbounded::<()>();
    let custom = Custom {
        fingerprint: Fingerprint("slow".into()),
        dimension: 1,
        model_name: "slow".into(),
        device: "cpu".into(),
        batch: 1,
        query: None,
        make: Arc::new(move |_| Ok(Box::new(Slow(gate.clone())))),
    };
    let embedder = Embedder::with_backend(custom, 1, Duration::from_secs(60)).unwrap();
    let bulk = embedder.clone();
    let thread = std::thread::spawn(move || bulk.embed_documents(&["held"; 20]).map(|vectors| vectors.len()));
    // The bulk thread can't finish one before the gate opens, so this answer has overtaken all twenty.
    assert_eq!(embedder.embed_query("now").unwrap(), [1.0]);
    assert_eq!(embedder.embedded(), 0);
    drop(release);
    assert_eq!(thread.join().unwrap().unwrap(), 20);
}

#[test]
fn hash_vectors_are_the_same_everywhere_and_near_for_shared_words() {
    let embedder = Embedder::hashing(64).unwrap();
    let near = embedder.embed_query("rent is due on Monday").unwrap();
    let same = embedder.embed_documents(&["Rent is due, on monday!", "the heart and the lung", ""]).unwrap();
    assert_eq!(near.len(), 64);
    assert!(dot(&near, &same[0]) > 0.999);
    assert!(dot(&near, &same[1]) < 0.6);
    assert!((dot(&same[2], &same[2]) - 1.0).abs() < 1e-5);
}
