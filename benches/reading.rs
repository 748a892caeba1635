//! Pages of PDFs read in a second of processor time, by the whole way through the workers, beside pypdf on the same files.
//!
//! `STRONGROOM_PDFS` names a folder of PDFs; `STRONGROOM_PYTHON` a Python that has pypdf (`python3` if not set). Linux only: the
//! kernel's account of ended children is what is compared.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a bench is there to print, and may stop")]

use std::path::{Path, PathBuf};
use std::process::Command;

use strongroom_ingest::extract::{ExtractOptions, Extractor, Source};

/// Rounds in which both read everything by turns, so that a busy minute hits both.
const ROUNDS: usize = 3;
const WANTED: f64 = 2.5;

/// Reads all files and prints the number of pages.
const PYPDF: &str = "
import sys
from pypdf import PdfReader
pages = 0
for path in sys.argv[1:]:
    try:
        for page in PdfReader(path).pages:
            page.extract_text()
            pages += 1
    except Exception:
        pass
print(pages)
";

fn main() {
    let Some(folder) = std::env::var_os("STRONGROOM_PDFS") else {
        println!("reading: STRONGROOM_PDFS names no folder of PDFs, nothing was measured");
        return;
    };
    let files = pdfs(Path::new(&folder));
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let (our_pages, our_seconds) = measured(|| ours(&files));
        let (their_pages, their_seconds) = measured(|| theirs(&files));
        let (we, they) = (our_pages as f64 / our_seconds, their_pages as f64 / their_seconds);
        println!("round {round}: {our_pages} pages, {we:.0} a second; pypdf {their_pages} pages, {they:.0} a second");
        ratios.push(we / they);
    }
    ratios.sort_by(f64::total_cmp);
    println!("reading: median ratio of {ROUNDS} rounds {:.2}, wanted {WANTED}", ratios[ROUNDS / 2]);
}

fn pdfs(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("pdf")) {
                found.push(path);
            }
        }
    }
    found
}

/// What `work` gives, and the seconds of processor time that this process and its ended children took for it.
fn measured(work: impl FnOnce() -> u64) -> (u64, f64) {
    let before = processor_seconds();
    let pages = work();
    (pages, processor_seconds() - before)
}

fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    // utime, stime, cutime, cstime: fields 14 to 17 of the file, counted from 1.
    let ticks: u64 = fields.split_whitespace().skip(11).take(4).map(|field| field.parse::<u64>().unwrap()).sum();
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// The pages that workers read. They have all ended when this returns.
fn ours(files: &[PathBuf]) -> u64 {
    let program = env!("CARGO_BIN_EXE_strongroom").into();
    let extractor = Extractor::new(ExtractOptions::new(program, vec![strongroom::app::WORKER.into()]));
    let mut pages = 0;
    for file in files {
        let bytes = std::fs::read(file).unwrap();
        let source = Source {
            len: bytes.len() as u64,
            bytes: &mut &bytes[..],
            name: "a.pdf",
            media_type: None,
            passwords: &[],
            hearing: None,
        };
        let extracted = extractor.extract(source).expect("workers start");
        pages += extracted.outcome.map_or(0, |extraction| extraction.pages.len() as u64);
    }
    pages
}

fn theirs(files: &[PathBuf]) -> u64 {
    let python = std::env::var_os("STRONGROOM_PYTHON").unwrap_or_else(|| "python3".into());
    let output = Command::new(python).args(["-W", "ignore", "-c", PYPDF]).args(files).output().expect("a Python with pypdf");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("pypdf reads")
}
