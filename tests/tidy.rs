//! The house's rules, held against the code: who may use whom, how files look, what `ingest` must not link.

mod imports;
mod references;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use cargo_metadata::{DependencyKind, MetadataCommand, PackageId};

/// No file is longer than this many lines.
const LONGEST_FILE: usize = 400;
/// From this many lines on a file is long; a few may be.
const LONG_FILE: usize = 300;
/// How many long files there may be in each hundred.
const LONG_FILES_IN_A_HUNDRED: usize = 15;

struct Source {
    /// Relative to the repository.
    path: PathBuf,
    text: String,
}

impl Source {
    fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// `["index", "vector"]` for `…/src/index/vector/mod.rs` and for `…/src/index/vector.rs`.
    fn module(&self, src: &str) -> Vec<String> {
        let below = self.path.strip_prefix(src).unwrap().with_extension("");
        let mut module: Vec<String> = below.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
        if module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        // By custom `shape_tests.rs` is `mod tests` of `shape.rs`, named by a path attribute.
        if let Some(tested) = module.last().and_then(|last| last.strip_suffix("_tests")) {
            let tested = tested.to_owned();
            module.pop();
            module.extend([tested, "tests".to_owned()]);
        }
        module
    }
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below a folder of the repository.
fn sources(folder: &str) -> Vec<Source> {
    let mut out = Vec::new();
    let mut todo = vec![repository().join(folder)];
    while let Some(next) = todo.pop() {
        let Ok(entries) = fs::read_dir(&next) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                out.push(Source { path: path.strip_prefix(repository()).unwrap().to_owned(), text });
            }
        }
    }
    out.sort_by(|a, b| a.path.cmp(&b.path));
    out
}

fn all_sources() -> Vec<Source> {
    ["src", "ingest/src", "ingest/tests", "ingest/benches", "ingest/examples", "tests", "benches", "examples"]
        .iter()
        .flat_map(|folder| sources(folder))
        .collect()
}

fn fail_on(faults: Vec<String>, rule: &str) {
    assert!(faults.is_empty(), "{rule}:\n  {}\n", faults.join("\n  "));
}

#[test]
fn each_file_says_first_why_it_exists() {
    let faults = all_sources()
        .iter()
        .filter(|source| !source.text.lines().next().is_some_and(|line| line.starts_with("//! ") && line.len() > 12))
        .map(Source::shown)
        .collect();
    fail_on(faults, "files whose first line is not a `//!` that says why they exist");
}

#[test]
fn files_are_short() {
    let sources = all_sources();
    let lines = |source: &Source| source.text.lines().count();
    let long: BTreeMap<String, usize> =
        sources.iter().map(|source| (source.shown(), lines(source))).filter(|(_, count)| *count > LONG_FILE).collect();
    let faults = long.iter().filter(|(_, count)| **count > LONGEST_FILE).map(|(path, n)| format!("{path}: {n}"));
    fail_on(faults.collect(), &format!("files of more than {LONGEST_FILE} lines"));
    let allowed = (sources.len() * LONG_FILES_IN_A_HUNDRED).div_ceil(100);
    assert!(long.len() <= allowed, "{} files of more than {LONG_FILE} lines, {allowed} allowed: {long:#?}", long.len());
    let main = fs::read_to_string(repository().join("src/main.rs")).unwrap();
    assert!(main.lines().count() < 50, "src/main.rs is to stay under 50 lines");
}

#[test]
fn nothing_unfinished_is_left_in_the_code() {
    let mut faults = Vec::new();
    for source in all_sources() {
        let code = references::code_only(&source.text);
        for word in ["todo!", "dbg!", "unimplemented!"] {
            let at_start = |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            if code.match_indices(word).any(|(at, _)| at_start(at)) {
                faults.push(format!("{}: {word}", source.shown()));
            }
        }
    }
    fail_on(faults, "left-overs");
}

#[test]
fn only_egress_names_the_http_client() {
    let names_it = |source: &&Source| {
        let code = references::code_only(&source.text);
        code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "reqwest")
    };
    let outside = |source: &&Source| source.module("src").first().is_none_or(|module| module != "egress");
    let sources = sources("src");
    let faults = sources.iter().filter(outside).filter(names_it).map(Source::shown).collect();
    fail_on(faults, "outbound clients are made in `egress` alone");
}

#[test]
fn no_path_of_a_developers_machine_is_in_the_repository() {
    // Put together here, or this file would be the first to be found.
    let forbidden = [["/wo", "rk/"], ["/tmp", "/wt/"], ["/ro", "ot/"], ["/home/", "runner/"]].map(|parts| parts.concat());
    let list = Command::new("git").args(["ls-files", "-z"]).current_dir(repository()).output();
    let Some(list) = list.ok().filter(|output| output.status.success()) else {
        return; // not a checkout: there are no tracked files to read
    };
    let mut faults = Vec::new();
    for name in String::from_utf8_lossy(&list.stdout).split('\0').filter(|name| !name.is_empty()) {
        let Ok(text) = fs::read_to_string(repository().join(name)) else {
            continue;
        };
        for path in &forbidden {
            let begins = |at: usize| !text[..at].ends_with(|c: char| c.is_alphanumeric() || "./-_~}".contains(c));
            if text.match_indices(path.as_str()).any(|(at, _)| begins(at)) {
                faults.push(format!("{name}: {path}"));
            }
        }
    }
    fail_on(faults, "paths of somebody's machine");
}

#[test]
fn ingest_links_no_http_client_and_serves_nothing() {
    let host = Command::new(std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into())).arg("-vV").output().unwrap();
    let host = String::from_utf8(host.stdout).unwrap();
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned();
    let metadata = MetadataCommand::new()
        .manifest_path(repository().join("Cargo.toml"))
        // Packages of other systems need not be on this machine.
        .other_options(["--offline".to_owned(), "--filter-platform".to_owned(), host])
        .exec()
        .unwrap();
    let ingest = metadata.packages.iter().find(|package| package.name.as_str() == "strongroom-ingest").unwrap();
    let own: Vec<&str> = ingest.dependencies.iter().map(|dependency| dependency.name.as_str()).collect();
    for server in ["tonic", "axum", "hyper", "reqwest", "ureq", "hf-hub"] {
        assert!(!own.contains(&server), "ingest depends on {server}");
    }

    // Everything that is linked because of `ingest`, and by whom it came.
    let resolve = metadata.resolve.as_ref().unwrap();
    let mut came_by: BTreeMap<&PackageId, &PackageId> = BTreeMap::new();
    let mut todo = vec![&ingest.id];
    while let Some(id) = todo.pop() {
        for next in &resolve[id].deps {
            let linked = next.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
            if linked && !came_by.contains_key(&next.pkg) {
                came_by.insert(&next.pkg, id);
                todo.push(&next.pkg);
            }
        }
    }
    assert!(came_by.len() > 50, "the walk over ingest's dependencies found only {}", came_by.len());
    for (id, by) in &came_by {
        let name = metadata[id].name.as_str();
        assert!(!["reqwest", "ureq", "hf-hub"].contains(&name), "ingest links {name}, which came with {}", metadata[by].name);
    }
}
