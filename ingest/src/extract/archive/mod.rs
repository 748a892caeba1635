//! Zip archives: every file in them is a member; the archive's own text is the list of their names. And e-books, which are such
//! archives inside.

pub(super) mod epub;

use std::collections::HashSet;
use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use super::desk::Desk;
use super::parent::MEMBER_BYTES;
use super::parts::damaged;
use super::wire::Answer;
use super::writer::Writer;
use super::{Unreadable, desk};
use crate::model::Reason;

/// An archive may list this many files.
const MOST_FILES: usize = 20_000;
/// What unfolds to more than this many times its packed length, and is not small, is made to do harm.
const BOMB_RATIO: u64 = 300;
const SMALL: u64 = 16 << 20;
/// Files that systems leave in archives.
const LITTER: &[&str] = &["__macosx", ".ds_store", "thumbs.db", "desktop.ini"];

type Zip<'a> = ZipArchive<Cursor<&'a [u8]>>;

pub(super) fn read(bytes: &[u8], desk: &mut Desk) -> Answer {
    let mut archive = Zip::new(Cursor::new(bytes)).map_err(|_| damaged())?;
    if archive.len() > MOST_FILES {
        return Err(Unreadable::new(Reason::Bomb, format!("it lists more than {MOST_FILES} files")));
    }
    if archive.has_overlapping_files().map_err(|_| damaged())? {
        return Err(Unreadable::new(Reason::Bomb, "its files lie over one another"));
    }
    let files: Vec<(usize, String)> = (0..archive.len())
        .filter_map(|index| Some((index, name(&archive, index)?)))
        .filter(|(_, name)| !is_litter(name))
        .collect();
    let mut writer = Writer::new("zip", desk.request().output_bytes);
    let mut seen = HashSet::new();
    for (_, name) in files.iter().filter(|(_, name)| seen.insert(name)) {
        writer.paragraph(name);
    }
    let extraction = writer.finish("application/zip")?;
    desk.answer_so_far(&extraction);
    for (index, name) in &files {
        let wanted = match file(&mut archive, *index, &desk.passwords()) {
            Ok(bytes) => desk.member(name, None, &bytes),
            Err(why) => desk.lost_member(name, why),
        };
        if !wanted {
            break;
        }
    }
    Ok(extraction)
}

/// A file's name as a label; none for folders.
fn name(archive: &Zip<'_>, index: usize) -> Option<String> {
    let name = match archive.name_for_index(index)? {
        Ok(name) => name.into_owned(),
        Err(_) => format!("file {}", index + 1),
    };
    (!name.ends_with(['/', '\\'])).then(|| desk::label(&name))
}

fn is_litter(name: &str) -> bool {
    name.split('/').any(|part| LITTER.contains(&part.to_ascii_lowercase().as_str()))
}

/// A file's bytes, or why they can't be had.
fn file(archive: &mut Zip<'_>, index: usize, passwords: &[String]) -> Result<Vec<u8>, Unreadable> {
    match unpacked(archive, index, None) {
        Err(why) if why.reason == Reason::Password => {}
        other => return other,
    }
    for password in passwords {
        // The old cipher takes one wrong password of 256 for right; then the checksum tells.
        if let Ok(bytes) = unpacked(archive, index, Some(password)) {
            return Ok(bytes);
        }
    }
    Err(Unreadable::new(Reason::Password, "it needs a password"))
}

fn unpacked(archive: &mut Zip<'_>, index: usize, password: Option<&str>) -> Result<Vec<u8>, Unreadable> {
    let opened = match password {
        None => archive.by_index(index),
        Some(password) => archive.by_index_decrypt(index, password.as_bytes()),
    };
    let mut part = opened.map_err(|error| match error {
        ZipError::UnsupportedArchive(what) if what == ZipError::PASSWORD_REQUIRED => {
            Unreadable::new(Reason::Password, "it needs a password")
        }
        ZipError::InvalidPassword => Unreadable::new(Reason::Password, "it needs a password"),
        ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) => {
            Unreadable::new(Reason::Unsupported, "it is packed in a way that is not read")
        }
        _ => damaged(),
    })?;
    let packed = part.compressed_size();
    let limit = SMALL.max(packed.saturating_mul(BOMB_RATIO)).min(MEMBER_BYTES);
    let mut bytes = Vec::new();
    (&mut part).take(limit + 1).read_to_end(&mut bytes).map_err(|_| damaged())?;
    match bytes.len() as u64 {
        length if length <= limit => Ok(bytes),
        _ if limit == MEMBER_BYTES => Err(Unreadable::new(Reason::TooLarge, format!("it is larger than {MEMBER_BYTES} bytes"))),
        _ => Err(Unreadable::new(Reason::Bomb, format!("it unfolds to more than {BOMB_RATIO} times its length"))),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;
    use crate::extract::parts::package;

    #[test]
    fn files_are_members_under_names_that_are_no_paths() {
        let bytes = package(&[("../up/a.txt", b"one"), ("folder/", b""), ("__MACOSX/._a", b"x"), ("b.txt", b"two")]);
        let mut desk = Desk::alone("zip");
        assert_eq!(read(&bytes, &mut desk).unwrap().text, "up/a.txt\nb.txt");
        let members: Vec<(&str, &[u8])> =
            desk.members().iter().map(|(name, bytes)| (name.as_str(), bytes.as_deref().unwrap())).collect();
        assert_eq!(members, [("up/a.txt", &b"one"[..]), ("b.txt", b"two")]);
    }

    #[test]
    fn what_can_not_be_had_is_told_of() {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file("bomb", SimpleFileOptions::default()).unwrap();
        writer.write_all(&vec![0; 32 << 20]).unwrap();
        let bytes = writer.finish().unwrap().into_inner();
        let mut desk = Desk::alone("zip");
        read(&bytes, &mut desk).unwrap();
        assert_eq!(desk.members()[0].1.as_ref().unwrap_err().reason, Reason::Bomb);
        assert_eq!(read(&package(&[]), &mut Desk::alone("zip")).unwrap_err().reason, Reason::Empty);
        assert_eq!(read(b"PK\x03\x04 half", &mut Desk::alone("zip")).unwrap_err().reason, Reason::Damaged);
    }

    proptest! {
        #[test]
        fn a_broken_archive_gives_a_text_or_a_reason(place in 0..200_usize, byte: u8, cut in 0..300_usize) {
            let mut bytes = package(&[("a.txt", b"one"), ("b/c.txt", b"two two two two two two")]);
            let place = place % bytes.len();
            bytes[place] = byte;
            bytes.truncate(cut.max(4));
            let _ = read(&bytes, &mut Desk::alone("zip"));
            let _ = epub::read(&bytes, &mut Desk::alone("epub"));
        }
    }
}
