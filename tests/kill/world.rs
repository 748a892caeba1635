//! What is done to the folder and over REST while the process is killed, and so what has to be found.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use crate::support::{Server, http};

use super::*;

/// A small generator of repeatable numbers (xorshift64*).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % below
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.roll(from.len() as u64)).unwrap()]
    }
}

/// What a file holds: the bytes, and the word that no other text has (none in the PDFs).
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    pub(super) word: Option<String>,
}

/// What was done to the folder and over REST, so that it is known what has to be found.
pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) words: u64,
    pub(super) folder: PathBuf,
    pub(super) pdfs: Vec<PathBuf>,
    /// Files of the watched folder.
    pub(super) files: BTreeMap<String, Content>,
    /// Documents put over REST and acknowledged; several possible contents (none: deleted) where an answer was lost.
    pub(super) put: BTreeMap<String, Vec<Option<Content>>>,
    /// Words that nothing has any more.
    pub(super) dead: Vec<String>,
    /// Acknowledged PUTs in all.
    pub(super) acknowledged: u64,
}

impl World {
    pub(super) fn text(&mut self) -> Content {
        self.words += 1;
        let mut number = self.words * 7919;
        let mut word = "zq".to_owned();
        while number > 0 {
            word.push(char::from(b"abcdfghjklmnprtv"[usize::try_from(number % 16).unwrap()]));
            number /= 16;
        }
        word.push_str("qx");
        let subject = *self.dice.pick(&["rent", "notice", "delivery", "liability", "warranty", "governing law"]);
        let mut text = format!("# Clause on {subject}\n\nThe parties agree on {subject} under the term {word}.\n");
        for line in 0..self.dice.roll(30) {
            text.push_str(&format!("Line {line} of this clause says nothing new about {subject}.\n"));
        }
        Content { bytes: text.into_bytes(), word: Some(word) }
    }

    pub(super) fn new_path(&mut self, ending: &str) -> String {
        self.words += 1;
        let sub = *self.dice.pick(&["", "", "old/", "contracts/2024/"]);
        format!("{sub}file-{}.{ending}", self.words)
    }

    pub(super) fn write(&self, path: &str, bytes: &[u8]) {
        let at = self.folder.join(path);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(at, bytes).unwrap();
    }

    pub(super) fn rename(&self, from: &str, to: &str) {
        let to = self.folder.join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::rename(self.folder.join(from), to).unwrap();
    }

    pub(super) fn any_file(&mut self) -> Option<String> {
        let paths: Vec<String> = self.files.keys().cloned().collect();
        (!paths.is_empty()).then(|| self.dice.pick(&paths).clone())
    }

    pub(super) fn forget_word(&mut self, content: Option<Content>) {
        self.dead.extend(content.and_then(|content| content.word));
    }

    /// One change of the watched folder.
    pub(super) fn change_folder(&mut self) {
        let full = self.files.len() >= MOST_FILES;
        let some = self.any_file();
        match (self.dice.roll(100), some) {
            (0..40, _) if !full => {
                let ending = *self.dice.pick(&["txt", "md"]);
                let (path, content) = (self.new_path(ending), self.text());
                self.write(&path, &content.bytes);
                self.files.insert(path, content);
            }
            // Rarely a PDF, and never many: reading them takes the time that kills need.
            (40..43, _) if self.files.values().filter(|content| content.word.is_none()).count() < 3 => {
                let bytes = fs::read(self.dice.pick(&self.pdfs.clone())).unwrap();
                let path = self.new_path("pdf");
                self.write(&path, &bytes);
                self.files.insert(path, Content { bytes, word: None });
            }
            (0..55, Some(path)) if !path.ends_with("pdf") => {
                let content = self.text();
                if self.dice.roll(2) == 0 {
                    self.write(&path, &content.bytes);
                } else {
                    // As editors do: written beside it, then renamed over it.
                    self.write(&format!("{path}.tmp"), &content.bytes);
                    self.rename(&format!("{path}.tmp"), &path);
                }
                let old = self.files.insert(path, content);
                self.forget_word(old);
            }
            (55..72, Some(from)) => {
                let to = self.new_path(from.rsplit('.').next().unwrap());
                self.rename(&from, &to);
                let content = self.files.remove(&from).unwrap();
                self.files.insert(to, content);
            }
            (72..80, Some(one)) => {
                // Two files change names.
                let Some(other) =
                    self.any_file().filter(|other| *other != one && !other.ends_with("pdf") && !one.ends_with("pdf"))
                else {
                    return;
                };
                self.rename(&one, "swap.tmp");
                self.rename(&other, &one);
                self.rename("swap.tmp", &other);
                let (first, second) = (self.files.remove(&one).unwrap(), self.files.remove(&other).unwrap());
                self.files.insert(one, second);
                self.files.insert(other, first);
            }
            (80..84, Some(from)) if !full => {
                // The same bytes twice.
                let to = self.new_path(from.rsplit('.').next().unwrap());
                let content = self.files[&from].clone();
                self.write(&to, &content.bytes);
                self.files.insert(to, content);
            }
            // Never all of many at once: that would be a disk that is not mounted.
            (84.., Some(path)) if self.files.len() > 5 => {
                fs::remove_file(self.folder.join(&path)).unwrap();
                let old = self.files.remove(&path).unwrap();
                if !self.files.values().any(|content| *content == old) {
                    self.forget_word(Some(old));
                }
            }
            _ => {}
        }
    }

    /// One request that changes something; what is not answered may have happened or not.
    pub(super) fn change_over_rest(&mut self, server: &Server) {
        let known: Vec<String> = self.put.keys().cloned().collect();
        let fresh = known.len() < 5 || (known.len() < 30 && self.dice.roll(2) == 0);
        let path = if fresh { self.new_path("txt") } else { self.dice.pick(&known).clone() };
        let delete = !fresh && self.dice.roll(4) == 0;
        let content = (!delete).then(|| self.text());
        let wait = if !delete && self.dice.roll(6) == 0 { "?wait=true" } else { "" };
        let target = format!("/api/v1/collections/uploads/documents/{path}{wait}");
        let method = if delete { "DELETE" } else { "PUT" };
        let body = content.as_ref().map_or(&[][..], |content| &content.bytes);
        let answer = http::try_request(server.address, method, &target, &[("Content-Type", "text/plain")], body);
        match answer.map(|reply| reply.status) {
            Ok(200..300) => {
                self.acknowledged += 1;
                for old in self.put.insert(path, vec![content]).unwrap_or_default() {
                    self.forget_word(old);
                }
            }
            // Deleted already by a request whose answer was lost.
            Ok(404) if delete => self.put.entry(path).or_default().retain(Option::is_none),
            Ok(status) => panic!("{method} was answered {status}"),
            Err(_) => self.put.entry(path).or_insert_with(|| vec![None]).push(content),
        }
    }
}
