//! The table of who may use whom, and the test that holds the code to it.

use std::collections::BTreeSet;

use super::references::references;
use super::{Source, fail_on, sources};

/// Who may use whom below `src/`. Beside whole modules an entry can name one item, `module::Item`.
///
/// Where the vocabulary (`ingest::model`) or a single record type is listed beside the neighbours that the architecture
/// names, it is because those neighbours take or give it.
const MAY_USE: &[(&str, &[&str])] = &[
    ("config", &[]),
    ("egress", &[]),
    ("tables", &[]),
    ("models", &["egress", "config"]),
    ("keys", &["tables", "ingest::model"]),
    ("usage", &["tables", "ingest::model"]),
    ("ledger", &["ingest::model"]),
    ("retrieve", &["ingest::model", "ingest::embed", "ingest::index"]),
    ("answer", &["retrieve", "egress", "tables", "ingest::model", "ingest::index::DocumentRef"]),
    (
        "speech",
        &[
            "egress",
            "ingest::model",
            // What a speech server is held to before it hears anything is what a generator is.
            "answer::AttestOptions",
            "answer::Attestor",
            "answer::GeneratorError",
            "answer::Reached",
            // The seam by which `ingest` has recordings written down.
            "ingest::extract::Audio",
            "ingest::extract::TranscribeError",
            "ingest::extract::Transcriber",
        ],
    ),
    ("escalate", &["answer", "ledger", "egress", "ingest::model"]),
    ("ask", &["retrieve", "answer", "escalate", "ledger", "usage", "ingest::model", "ingest::index"]),
    (
        "http",
        &[
            "ask",
            "ledger",
            "usage",
            "keys",
            "speech",
            "ingest::pipeline",
            "ingest::model",
            // What `speech` takes and gives.
            "ingest::extract::Audio",
            "ingest::extract::TranscribeError",
            // What `ask` and the pipeline's handle take and give.
            "ingest::index::DocumentRef",
            "ingest::index::records",
            "retrieve::Explain",
            "retrieve::Found",
            "retrieve::Hit",
            "retrieve::Mode",
            "retrieve::Query",
            "answer::Answer",
            "answer::Attestation",
            "answer::Citation",
            "answer::Awake",
            "answer::Completed",
            "answer::GeneratorInfo",
            "answer::Held",
            "answer::Kind",
            "answer::Look",
            "answer::Record",
            "answer::Role",
            "answer::Roster",
            "answer::Schema",
            "answer::Turn",
            "answer::Usage",
            "answer::Work",
            "answer::Waiting",
            "answer::waiting",
        ],
    ),
];

/// Modules below `src/` that put everything together.
const MAY_USE_ALL: &[&str] = &["app", "cli", "lib", "main"];

/// The stages of `ingest`, which know the vocabulary and never each other.
const STAGES: &[&str] = &["watch", "extract", "chunk", "embed", "index"];

/// Whether `path` (without its crate) is allowed by `entry`: the module or item itself, or something in it.
fn is_within(path: &str, entry: &str) -> bool {
    path == entry || path.strip_prefix(entry).is_some_and(|rest| rest.starts_with("::"))
}

/// What is wrong with the references of a file below `src/`, or with those of a stage below `ingest/src`.
fn misuses(source: &Source, src: &str) -> Vec<String> {
    let module = source.module(src);
    let own = module.first().cloned().unwrap_or_default();
    let in_ingest = src == "ingest/src";
    let allowed: Vec<&str> = if in_ingest {
        match own.as_str() {
            "model" => vec![],
            "pipeline" => [&["model"], STAGES].concat(),
            "lib" => return vec![],
            stage if STAGES.contains(&stage) => vec!["model"],
            other => {
                return vec![format!("{}: `{other}` is no module of the architecture", source.shown())];
            }
        }
    } else if MAY_USE_ALL.contains(&own.as_str()) {
        return vec![];
    } else {
        match MAY_USE.iter().find(|(name, _)| *name == own) {
            Some((_, allowed)) => allowed.to_vec(),
            None => {
                return vec![format!("{}: `{own}` is no module of the architecture", source.shown())];
            }
        }
    };
    let mut out = BTreeSet::new();
    for reference in references(&source.text, &module) {
        let used = match reference.split_once("::") {
            Some(("strongroom_ingest", rest)) if !in_ingest => format!("ingest::{rest}"),
            Some(("crate" | "strongroom", rest)) => rest.to_owned(),
            _ => reference.clone(),
        };
        if !is_within(&used, &own) && !allowed.iter().any(|entry| is_within(&used, entry)) {
            out.insert(format!("{}: `{own}` may not use `{reference}`", source.shown()));
        }
    }
    out.into_iter().collect()
}

#[test]
fn modules_use_only_what_the_architecture_lets_them() {
    let mut faults = Vec::new();
    for src in ["src", "ingest/src"] {
        let files = sources(src);
        assert!(!files.is_empty(), "no source in {src}");
        faults.extend(files.iter().flat_map(|source| misuses(source, src)));
    }
    fail_on(faults, "imports against the table of the architecture");
}

#[test]
fn the_table_catches_what_it_forbids() {
    let check = |path: &str, text: &str| {
        let src = if path.starts_with("ingest") { "ingest/src" } else { "src" };
        misuses(&Source { path: path.into(), text: text.into() }, src).len()
    };
    assert_eq!(check("ingest/src/chunk/mod.rs", "use crate::model::Span;"), 0);
    assert_eq!(check("ingest/src/chunk/mod.rs", "use crate::{model::Span, embed};"), 1);
    assert_eq!(check("ingest/src/index/vector/mod.rs", "use super::super::watch::scan;"), 1);
    assert_eq!(check("ingest/src/index/vector/mod.rs", "use super::records::X;"), 0);
    assert_eq!(check("ingest/src/model.rs", "use crate::chunk::X;"), 1);
    assert_eq!(check("ingest/src/pipeline/mod.rs", "use crate::chunk::X;"), 0);
    assert_eq!(check("ingest/src/other.rs", ""), 1);
    assert_eq!(check("src/egress.rs", "use crate::config::X;"), 1);
    assert_eq!(check("src/keys.rs", "use strongroom_ingest::{model::X, index::Y};"), 1);
    assert_eq!(check("src/http/rest.rs", "use crate::retrieve::{Hit, search};"), 1);
    assert_eq!(check("src/ask.rs", "use strongroom_ingest as i;"), 1);
    assert_eq!(check("src/ledger_two.rs", ""), 1);
    assert_eq!(check("src/cli/mod.rs", "use crate::app::App;"), 0);
}
