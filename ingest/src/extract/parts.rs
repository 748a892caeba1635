//! Parts of zip packages, read with limits: what a package says of its parts' sizes is never believed.

use std::collections::HashMap;
use std::io::{self, BufReader, Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use super::Unreadable;
use crate::model::Reason;

/// A part of a document may unfold to this many bytes.
pub(super) const PART_BYTES: u64 = 128 << 20;
/// All parts that are read of one document may unfold to this many bytes.
const ALL_BYTES: u64 = 512 << 20;
/// No stream of the deflate method unfolds to more than this many times its length.
const DEFLATE_RATIO: u64 = 1032;
/// A package may have this many parts.
const MOST_PARTS: usize = 100_000;

/// An opened package.
pub(super) struct Parts<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    /// Parts by their names in lower case: writers differ in the case they use.
    names: HashMap<String, usize>,
    left: u64,
}

impl<'a> Parts<'a> {
    /// Opens the package that `bytes` are.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|_| damaged())?;
        if archive.len() > MOST_PARTS {
            return Err(Unreadable::new(Reason::Bomb, format!("it has more than {MOST_PARTS} parts")));
        }
        let mut names = HashMap::new();
        for index in 0..archive.len() {
            if let Some(Ok(name)) = archive.name_for_index(index) {
                names.entry(normal(&name)).or_insert(index);
            }
        }
        Ok(Self { archive, names, left: ALL_BYTES })
    }

    /// Whether there is a part of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.contains_key(&normal(name))
    }

    /// Whether any part's name begins so.
    pub(super) fn has_below(&self, folder: &[u8]) -> bool {
        self.names.keys().any(|name| name.as_bytes().starts_with(folder))
    }

    /// Names of all parts below a folder, in order.
    pub(super) fn below(&self, folder: &str) -> Vec<String> {
        let folder = normal(folder);
        let mut names: Vec<String> = self.names.keys().filter(|name| name.starts_with(&folder)).cloned().collect();
        names.sort();
        names
    }

    /// A part to be read as a stream; none if there is none. It ends with an error at the limit.
    pub(super) fn stream(&mut self, name: &str) -> Result<Option<BufReader<Limited<'_, impl Read>>>, Unreadable> {
        let Some(index) = self.names.get(&normal(name)).copied() else { return Ok(None) };
        let part = self.archive.by_index(index).map_err(|error| match error {
            ZipError::UnsupportedArchive(what) if what == ZipError::PASSWORD_REQUIRED => {
                Unreadable::new(Reason::Password, "it needs a password")
            }
            ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) => {
                Unreadable::new(Reason::Unsupported, "it is packed in a way that is not read")
            }
            _ => damaged(),
        })?;
        let limit = PART_BYTES.min(self.left);
        Ok(Some(BufReader::with_capacity(1 << 16, Limited { part, left: limit, all: &mut self.left })))
    }

    /// How long a part is, counted up to just above `most`: what it says of itself counts for nothing.
    pub(super) fn length_upto(&mut self, name: &str, most: u64) -> Result<u64, Unreadable> {
        let Some(index) = self.names.get(&normal(name)).copied() else { return Ok(0) };
        let part = self.archive.by_index(index).map_err(|_| damaged())?;
        // What is packed so well as to be a bomb is packed small: the rest need not be unpacked to be known.
        if part.compressed_size().saturating_mul(DEFLATE_RATIO) <= most {
            return Ok(part.size().min(most));
        }
        io::copy(&mut part.take(most + 1), &mut io::sink()).map_err(|error| unreadable(&error))
    }

    /// A whole part; none if there is none.
    pub(super) fn bytes(&mut self, name: &str) -> Result<Option<Vec<u8>>, Unreadable> {
        let Some(mut stream) = self.stream(name)? else { return Ok(None) };
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
        Ok(Some(bytes))
    }
}

/// A part's bytes up to the limit.
pub(super) struct Limited<'a, R> {
    part: R,
    left: u64,
    all: &'a mut u64,
}

impl<R: Read> Read for Limited<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let filled = self.part.read(buffer)? as u64;
        if filled > self.left {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.left -= filled;
        *self.all = self.all.saturating_sub(filled);
        Ok(filled as usize)
    }
}

/// What an error while a part is read means for the document.
pub(super) fn unreadable(error: &io::Error) -> Unreadable {
    match error.kind() {
        io::ErrorKind::FileTooLarge => Unreadable::new(Reason::TooLarge, "one of its parts is larger than allowed"),
        _ => damaged(),
    }
}

pub(super) fn damaged() -> Unreadable {
    Unreadable::new(Reason::Damaged, "its parts do not hold together")
}

fn normal(name: &str) -> String {
    name.replace('\\', "/").trim_start_matches('/').to_ascii_lowercase()
}

/// Makes small packages for tests.
#[cfg(any(test, fuzzing))]
#[allow(clippy::unwrap_used, reason = "only tests call it, and writing to memory does not fail")]
pub(super) fn package(parts: &[(&str, &[u8])]) -> Vec<u8> {
    use std::io::Write as _;
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_whatever_their_case_and_read_up_to_the_limit() {
        let bytes = package(&[("Word/Document.xml", b"<a/>"), ("word/media/x.png", b"x"), ("zeros", &vec![0; 1 << 20])]);
        let mut parts = Parts::open(&bytes).unwrap();
        assert_eq!(parts.bytes("/word/document.XML").unwrap().as_deref(), Some(&b"<a/>"[..]));
        assert_eq!(parts.bytes("none").unwrap(), None);
        assert_eq!(parts.below("word/"), ["word/document.xml", "word/media/x.png"]);
        parts.left = 1000;
        assert_eq!(parts.bytes("zeros").unwrap_err().reason, Reason::TooLarge);
        assert_eq!(Parts::open(b"PK\x03\x04 nothing").err().unwrap().reason, Reason::Damaged);
    }
}
