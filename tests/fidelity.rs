//! How much of real PDFs' text is read, beside poppler's `pdftotext`, on a folder that anybody may name.
//!
//! Compared are bags of words after NFKC: F1 of what we give against what it gives. It says nothing of order, which
//! `pdftotext` is no judge of, and it counts as lost the headers and page numbers that are left out on purpose.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use strongroom_ingest::extract::{ExtractOptions, Extractor, Source};
use unicode_normalization::UnicodeNormalization as _;

use crate::support::{binary, files};

const LEAST_MEAN: f64 = 0.98;
const LEAST_OF_ONE: f64 = 0.90;

/// All PDFs in a folder and below, by name.
pub fn pdfs(folder: &Path) -> Vec<PathBuf> {
    let is_pdf = |path: &PathBuf| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("pdf"));
    let mut found: Vec<PathBuf> = files(folder).into_iter().filter(is_pdf).collect();
    found.sort();
    found
}

type Bag = HashMap<String, u64>;

fn bag(text: &str) -> Bag {
    let folded: String = text.nfkc().filter(|c| !matches!(c, '\u{ad}' | '\u{200e}' | '\u{200f}')).collect();
    let mut bag = Bag::new();
    for word in folded.replace(['\u{2018}', '\u{2019}'], "'").replace(['\u{201c}', '\u{201d}'], "\"").split_whitespace() {
        *bag.entry(word.to_owned()).or_default() += 1;
    }
    bag
}

fn f1(ours: &Bag, theirs: &Bag) -> f64 {
    let common: u64 = ours.iter().map(|(word, count)| (*count).min(theirs.get(word).copied().unwrap_or(0))).sum();
    let all: u64 = ours.values().chain(theirs.values()).sum();
    2.0 * common as f64 / all as f64
}

fn pdftotext(path: &Path) -> String {
    let output = Command::new("pdftotext").args(["-enc", "UTF-8"]).arg(path).arg("-").output();
    let output = output.expect("pdftotext must be installed (poppler-utils)");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn ours(extractor: &Extractor, path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).unwrap();
    let source = Source {
        len: bytes.len() as u64,
        bytes: &mut &bytes[..],
        name: "a.pdf",
        media_type: None,
        passwords: &[],
        hearing: None,
    };
    let outcome = extractor.extract(source).unwrap().outcome;
    outcome.map(|extraction| extraction.text).map_err(|unreadable| unreadable.reason.as_str().to_owned())
}

#[test]
fn bags_of_words_are_compared() {
    assert_eq!(f1(&bag("a b  b\nﬁne “x”"), &bag("b a b fine \"x\"")), 1.0);
    assert_eq!(f1(&bag("a b"), &bag("a c")), 0.5);
}

#[test]
#[ignore = "needs pdftotext and a folder of PDFs: STRONGROOM_PDFS=FOLDER"]
fn fidelity_beside_pdftotext() {
    let folder = PathBuf::from(std::env::var_os("STRONGROOM_PDFS").expect("STRONGROOM_PDFS names a folder of PDFs"));
    let extractor = Extractor::new(ExtractOptions::new(binary().into(), vec![strongroom::app::WORKER.into()]));
    let mut scores = Vec::new();
    for path in pdfs(&folder) {
        let name = path.strip_prefix(&folder).unwrap_or(&path).display();
        let theirs = bag(&pdftotext(&path));
        match ours(&extractor, &path) {
            Ok(text) if !theirs.is_empty() => {
                let score = f1(&bag(&text), &theirs);
                println!("{score:.4}  {name}");
                scores.push(score);
            }
            Ok(_) => println!("     -  {name}: pdftotext finds no text"),
            // What neither reads is no loss; what it reads and we don't is a score of nothing.
            Err(reason) => {
                println!("     -  {name}: {reason}");
                if !theirs.is_empty() && reason != "password" {
                    scores.push(0.0);
                }
            }
        }
    }
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    let least = scores.iter().copied().fold(f64::MAX, f64::min);
    println!("mean {mean:.4}, least {least:.4}, of {} files", scores.len());
    assert!(mean >= LEAST_MEAN && least >= LEAST_OF_ONE, "wanted a mean of {LEAST_MEAN} and {LEAST_OF_ONE} each");
}
