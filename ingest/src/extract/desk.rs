//! What a format's reader gets beside the bytes: what the sender said of the file, and whom to ask.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;

use encoding_rs::Encoding;

use super::parent::too_long_text;
use super::recording::{Gap, KEPT, hollow_out, sound_of};
use super::wire::{self, Answer, LONGEST_NAME, Request};
use super::{Tool, Unreadable};
use crate::model::Extraction;

/// A reader's way to the parent. In tests there is no parent: members are kept, tools say nothing.
pub(super) struct Desk {
    request: Request,
    file_bytes: u64,
    gap: Gap,
    /// Whether something inside the file was handed in that nobody wanted.
    refused: bool,
    link: Link,
}

enum Link {
    Parent(UnixStream),
    #[cfg(any(test, fuzzing))]
    Nobody(Vec<(String, Result<Vec<u8>, Unreadable>)>),
}

impl Desk {
    pub(super) fn new(socket: UnixStream, request: Request) -> Self {
        Self { request, file_bytes: 0, gap: Gap::default(), refused: false, link: Link::Parent(socket) }
    }

    /// A desk in no worker, for a reader's own tests.
    #[cfg(any(test, fuzzing))]
    pub(super) fn alone(extension: &str) -> Self {
        let request = Request { extension: extension.to_owned(), output_bytes: 1 << 26, members: true, ..Request::default() };
        Self { request, file_bytes: 0, gap: Gap::default(), refused: false, link: Link::Nobody(Vec::new()) }
    }

    /// Gives it passwords to know.
    #[cfg(any(test, fuzzing))]
    pub(super) fn know(&mut self, passwords: &[&str]) {
        self.request.passwords = passwords.iter().map(|password| (*password).to_owned()).collect();
    }

    /// The members that a reader gave, with their bytes or why there are none.
    #[cfg(any(test, fuzzing))]
    pub(super) fn members(&self) -> &[(String, Result<Vec<u8>, Unreadable>)] {
        match &self.link {
            Link::Nobody(members) => members,
            Link::Parent(_) => &[],
        }
    }

    /// What was asked for.
    pub(super) fn request(&self) -> &Request {
        &self.request
    }

    /// Receives the file. Of a long recording only the beginning and the end.
    pub(super) fn receive(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let expected = usize::try_from(self.request.file_bytes).unwrap_or(usize::MAX).saturating_add(1);
        // Growing step by step would take twice the room in the end.
        let reserve =
            |bytes: &mut Vec<u8>, more| bytes.try_reserve_exact(more).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory));
        reserve(bytes, expected.min(KEPT))?;
        let hints = self.request.hints();
        let (mut gap, mut is_recording) = (Gap::default(), None);
        let looked = |bytes: &mut Vec<u8>| {
            if bytes.len() < KEPT {
                return Ok(());
            }
            if is_recording.is_none() {
                is_recording = Some(sound_of(bytes, hints).is_some());
                if is_recording == Some(false) {
                    reserve(bytes, expected.saturating_sub(bytes.len()))?;
                }
            }
            if is_recording == Some(true) {
                hollow_out(bytes, &mut gap, KEPT);
            }
            Ok(())
        };
        match &mut self.link {
            Link::Parent(socket) => wire::read_pieces(socket, bytes, looked)?,
            #[cfg(any(test, fuzzing))]
            Link::Nobody(_) => {}
        }
        self.gap = gap;
        self.file_bytes = bytes.len() as u64 + gap.length;
        Ok(())
    }

    /// What was left out of the file's bytes.
    pub(super) fn gap(&self) -> Gap {
        self.gap
    }

    /// The encoding that the file's sender told of.
    pub(super) fn told(&self) -> Option<&'static Encoding> {
        self.request.charset.as_deref().and_then(|label| Encoding::for_label(label.as_bytes()))
    }

    /// Passwords that may open the file. They go into no answer.
    pub(super) fn passwords(&self) -> Vec<String> {
        self.request.passwords.clone()
    }

    /// Gives an answer; the last one counts. One that counts only if reading on ends this process is given early. False if
    /// nobody listens any more.
    pub(super) fn answer(&mut self, answer: Answer) -> bool {
        let limit = self.request.output_bytes;
        let answer = match answer {
            Ok(extraction) if extraction.text.len() as u64 > limit => Err(too_long_text(self.file_bytes, limit)),
            other => other,
        };
        match &mut self.link {
            Link::Parent(socket) => wire::write_answer(socket, &answer, cpu_ms()).and_then(|()| socket.flush()).is_ok(),
            #[cfg(any(test, fuzzing))]
            Link::Nobody(_) => true,
        }
    }

    /// Gives what is known before members are handed in. It counts if handing them in is what ends this process, and says so.
    pub(super) fn answer_so_far(&mut self, extraction: &Extraction) -> bool {
        let note = "reading it ended before all that is inside it was reached";
        self.answer(Ok(Extraction { note: Some(note.to_owned()), ..extraction.clone() }))
    }

    /// What people should know of how members were received.
    pub(super) fn note(&self) -> Option<String> {
        self.refused.then(|| "what is inside it lies too deep in other files and was not read".to_owned())
    }

    /// Gives bytes found inside the file to the parent, which has another worker read them. `name` is a label below the file's
    /// own path and never a path of a file system; parts are separated by `/`. False if no more members are taken.
    pub(super) fn member(&mut self, name: &str, media_type: Option<&str>, bytes: &[u8]) -> bool {
        let name = label(name);
        self.refused |= !self.request.members;
        match &mut self.link {
            Link::Parent(socket) => self.request.members && wire::write_member(socket, &name, media_type, bytes).is_ok(),
            #[cfg(any(test, fuzzing))]
            Link::Nobody(members) => {
                members.push((name, Ok(bytes.to_vec())));
                true
            }
        }
    }

    /// Tells of something inside the file whose bytes can't be had. False if no more members are taken.
    pub(super) fn lost_member(&mut self, name: &str, why: Unreadable) -> bool {
        let name = label(name);
        match &mut self.link {
            Link::Parent(socket) => self.request.members && wire::write_lost_member(socket, &name, &why).is_ok(),
            #[cfg(any(test, fuzzing))]
            Link::Nobody(members) => {
                members.push((name, Err(why)));
                true
            }
        }
    }

    /// Whether the parent can run the tool.
    pub(super) fn has(&self, tool: Tool) -> bool {
        self.request.tools.contains(&tool)
    }

    /// Has a tool read bytes: its text, or none if there is no such tool or it could not.
    pub(super) fn ask(&mut self, tool: Tool, bytes: &[u8]) -> Option<String> {
        if !self.has(tool) {
            return None;
        }
        match &mut self.link {
            Link::Parent(socket) => {
                wire::write_question(socket, tool, bytes).ok()?;
                wire::read_reply(socket, self.request.output_bytes).ok()?
            }
            #[cfg(any(test, fuzzing))]
            Link::Nobody(_) => None,
        }
    }
}

/// Processor time of this process, in milliseconds.
fn cpu_ms() -> u64 {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    u64::try_from(spent.tv_sec).unwrap_or(0) * 1000 + u64::try_from(spent.tv_nsec).unwrap_or(0) / 1_000_000
}

/// A member's name as a label: one line, parts separated by single `/`, nothing that climbs, not too long, never empty.
pub(super) fn label(name: &str) -> String {
    let clean: String = name.chars().map(|c| if c == '\\' { '/' } else { c }).filter(|c| !c.is_control()).collect();
    // `!/` stands between a file and what is inside it.
    let parts = clean
        .split('/')
        .map(|part| part.trim().trim_end_matches('!'))
        .filter(|part| !part.is_empty() && !matches!(*part, "." | ".."));
    let mut label = parts.collect::<Vec<_>>().join("/");
    while label.len() > LONGEST_NAME {
        label.pop();
    }
    if label.is_empty() { "unnamed".to_owned() } else { label }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_no_paths() {
        for (name, expected) in [
            ("a.pdf", "a.pdf"),
            ("../../etc/passwd", "etc/passwd"),
            ("C:\\x\\y.doc", "C:/x/y.doc"),
            ("/abs//b\n.txt", "abs/b.txt"),
            ("..", "unnamed"),
            ("", "unnamed"),
        ] {
            assert_eq!(label(name), expected);
        }
        assert!(label(&"ü".repeat(2000)).len() <= LONGEST_NAME);
    }
}
