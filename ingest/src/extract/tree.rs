//! One document and what is inside it: what is left of their common allowance, and the members found so far.

use std::collections::HashSet;
use std::time::Duration;

use sha2::{Digest, Sha256 as Hasher};

use super::desk::label;
use super::{ExtractOptions, Member, Unreadable};
use crate::model::{Reason, Sha256};

/// Time that tools may take over one document and all that is inside it: some hundred pages by OCR.
const TOOLS: Duration = Duration::from_secs(900);

/// Grows by members, shrinks by what reading them takes.
pub(super) struct Tree {
    /// Processor time left.
    pub cpu_ms: u64,
    /// Time left to wait for workers.
    pub wall: Duration,
    /// Time left for tools.
    pub tools: Duration,
    /// Bytes of text left.
    pub output_bytes: u64,
    /// How deep inside the document the reading is.
    pub depth: usize,
    /// Read so far, in order.
    pub members: Vec<Member>,
    /// Comes before the names of what is found now: `old.zip!/`.
    prefix: String,
    names: HashSet<String>,
    member_bytes: u64,
    /// So many are listed, and one that stands for the rest.
    most_members: usize,
    /// Whether it was told that there are too many.
    told: bool,
}

impl Tree {
    pub(super) fn new(options: &ExtractOptions) -> Self {
        Self {
            cpu_ms: options.cpu_seconds * 1000,
            wall: Duration::from_secs(options.wall_seconds),
            tools: TOOLS,
            output_bytes: options.output_bytes,
            depth: 0,
            members: Vec::new(),
            prefix: String::new(),
            names: HashSet::new(),
            member_bytes: 0,
            most_members: options.most_members,
            told: false,
        }
    }

    /// Why a member of so many bytes is not read; none if it may be.
    pub(super) fn refusal(&mut self, options: &ExtractOptions, bytes: u64) -> Option<Unreadable> {
        self.member_bytes = self.member_bytes.saturating_add(bytes);
        if self.members.len() >= options.most_members {
            return Some(too_many(options.most_members));
        }
        if self.member_bytes > options.member_bytes {
            return Some(Unreadable::new(Reason::TooLarge, "what is inside the file is larger than allowed in all"));
        }
        if self.cpu_ms == 0 || self.wall.is_zero() || self.output_bytes == 0 {
            return Some(Unreadable::new(Reason::Timeout, "what came before it inside the file took all the time allowed"));
        }
        None
    }

    /// Notes a member that can't be read. Of more than can be listed, one stands for all.
    pub(super) fn lose(&mut self, name: &str, why: Unreadable) {
        let is_listed = why.reason != Reason::TooLarge || !self.told;
        self.told |= why.reason == Reason::TooLarge && self.members.len() > 100;
        if !is_listed || self.members.len() > self.most_members {
            return;
        }
        let why = if self.members.len() == self.most_members { too_many(self.most_members) } else { why };
        let name = self.take_name(name);
        self.members.push(Member { name, outcome: Err(why), sha256: Sha256(Hasher::digest([]).into()), bytes: 0 });
    }

    /// The name below the document's path that a member gets: no other has it.
    pub(super) fn take_name(&mut self, name: &str) -> String {
        let wanted = format!("{}{}", self.prefix, label(name));
        let mut name = wanted.clone();
        let mut number = 2;
        while !self.names.insert(name.clone()) {
            name = numbered(&wanted, number);
            number += 1;
        }
        name
    }

    /// Forgets what was found since there were `length` members: the reader that found it died, and it will be found again.
    pub(super) fn forget_since(&mut self, length: usize) {
        for member in self.members.drain(length..) {
            self.names.remove(&member.name);
        }
    }

    /// Goes into a member; gives what [`Tree::leave`] wants.
    pub(super) fn enter(&mut self, name: &str) -> String {
        self.depth += 1;
        std::mem::replace(&mut self.prefix, format!("{name}!/"))
    }

    pub(super) fn leave(&mut self, above: String) {
        self.depth -= 1;
        self.prefix = above;
    }
}

fn too_many(most: usize) -> Unreadable {
    Unreadable::new(Reason::TooLarge, format!("it comes after {most} others inside the same file"))
}

/// `a/b.txt` as `a/b (2).txt`.
fn numbered(name: &str, number: usize) -> String {
    let file_starts = name.rfind('/').map_or(0, |at| at + 1);
    match name[file_starts..].rfind('.').filter(|at| *at > 0) {
        Some(dot) => format!("{} ({number}){}", &name[..file_starts + dot], &name[file_starts + dot..]),
        None => format!("{name} ({number})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        Tree::new(&ExtractOptions::new("/none".into(), Vec::new()))
    }

    #[test]
    fn no_two_members_share_a_name() {
        let mut tree = tree();
        assert_eq!(tree.take_name("x/a.b.txt"), "x/a.b.txt");
        assert_eq!(tree.take_name("x/a.b.txt"), "x/a.b (2).txt");
        assert_eq!(tree.take_name("x//a.b.txt"), "x/a.b (3).txt");
        assert_eq!(tree.take_name(".hidden"), ".hidden");
        assert_eq!(tree.take_name(".hidden"), ".hidden (2)");
        let above = tree.enter("x/a.b.txt");
        assert_eq!(tree.take_name(".hidden"), "x/a.b.txt!/.hidden");
        tree.leave(above);
        assert_eq!(tree.take_name("z!/y"), "z/y");
    }

    #[test]
    fn what_is_found_twice_because_its_reader_died_is_listed_once() {
        let mut tree = tree();
        tree.lose("a.txt", Unreadable::new(Reason::Damaged, ""));
        let before = tree.members.len();
        tree.lose("b.txt", Unreadable::new(Reason::Damaged, ""));
        tree.forget_since(before);
        tree.lose("b.txt", Unreadable::new(Reason::Damaged, ""));
        let names: Vec<&str> = tree.members.iter().map(|member| member.name.as_str()).collect();
        assert_eq!(names, ["a.txt", "b.txt"]);
    }

    #[test]
    fn one_stands_for_all_that_are_too_many() {
        let options = ExtractOptions { most_members: 3, ..ExtractOptions::new("/none".into(), Vec::new()) };
        let mut tree = Tree::new(&options);
        for _ in 0..10 {
            tree.lose("locked", Unreadable::new(Reason::Password, ""));
        }
        let reasons: Vec<Reason> =
            tree.members.iter().filter_map(|member| member.outcome.as_ref().err()).map(|why| why.reason).collect();
        assert_eq!(reasons, [Reason::Password, Reason::Password, Reason::Password, Reason::TooLarge]);
    }

    #[test]
    fn what_is_too_much_is_refused_with_its_reason() {
        let options = ExtractOptions { member_bytes: 10, ..ExtractOptions::new("/none".into(), Vec::new()) };
        let mut tree = Tree::new(&options);
        assert_eq!(tree.refusal(&options, 10), None);
        assert_eq!(tree.refusal(&options, 1).unwrap().reason, Reason::TooLarge);
        let mut late = Tree { cpu_ms: 0, ..self::tree() };
        assert_eq!(late.refusal(&options, 1).unwrap().reason, Reason::Timeout);
    }
}
