//! The catalog's promises, tried on a real file: what each transaction leaves behind, and what it refuses.

mod members;
mod recordings;

use super::*;
use crate::index::records::DocumentFilter;
use crate::model::{Chunk, DocumentId, DocumentState, Fingerprint, Reason, Seq, Sha256, Span, TextHash, VersionId};

struct Desk {
    catalog: Catalog,
    folder: tempfile::TempDir,
}

fn desk() -> Desk {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::open(&folder.path().join("catalog.db")).unwrap();
    Desk { catalog, folder }
}

fn observed(path: &str, content: &str) -> Observed {
    Observed {
        path: path.into(),
        sha256: sha(content),
        bytes: content.len() as u64,
        modified_ns: 1_000,
        inode: 1,
        declared_type: None,
        unreadable: None,
    }
}

fn sha(content: &str) -> Sha256 {
    let mut bytes = [7; 32];
    for (place, byte) in content.bytes().enumerate() {
        bytes[place % 32] ^= byte;
    }
    Sha256(bytes)
}

fn version(content: &str) -> NewVersion {
    let mut at = 0;
    let mut chunks = Vec::new();
    for (ordinal, text) in content.split_inclusive('.').enumerate() {
        let end = at + text.chars().count() as u64;
        let chunk = Chunk {
            ordinal: ordinal as u32,
            page: Some(1),
            heading_path: String::new(),
            span: Span { start: at, end },
            text: text.into(),
        };
        chunks.push(NewChunk { hash: hash(text), chunk });
        at = end;
    }
    let vectors = chunks.iter().map(|new| (new.hash, vec![1.0, 0.0])).collect();
    NewVersion {
        sha256: sha(content),
        extractor: "test".into(),
        title: None,
        media_type: "text/plain".into(),
        engines: "test".into(),
        pages: None,
        missing_pages: Vec::new(),
        chunks,
        fingerprint: Some(Fingerprint("model-a".into())),
        vectors,
        ..NewVersion::default()
    }
}

fn hash(text: &str) -> TextHash {
    let mut bytes = [0_u8; 16];
    for (place, byte) in text.trim().bytes().enumerate() {
        bytes[place % 16] = u8::wrapping_add(byte, u8::wrapping_mul(bytes[place % 16], 31));
    }
    TextHash(bytes)
}

impl Desk {
    fn see(&self, path: &str, content: &str) -> Registered {
        self.catalog.observe(&[observed(path, content)]).unwrap()[0]
    }

    /// Seen, read, and in both indexes.
    fn index(&self, path: &str, content: &str) -> DocumentId {
        let seen = self.see(path, content);
        let committed = self.catalog.commit(seen.id, &version(content)).unwrap();
        let Committed::At(seq) = committed else { panic!("not committed: {committed:?}") };
        assert_eq!(self.catalog.flip(seq).unwrap(), 1);
        seen.id
    }

    fn state(&self, path: &str) -> DocumentState {
        self.catalog.document(path).unwrap().unwrap().state
    }

    fn visible(&self, filter: &DocumentFilter) -> Vec<String> {
        let scope = self.catalog.scope(filter, Seq(u64::MAX)).unwrap();
        let all = self.catalog.documents(None, None, 100).unwrap().documents;
        let allowed = all.into_iter().filter(|one| one.version.is_some_and(|version| scope.allows(version)));
        allowed.map(|one| one.path).collect()
    }
}

#[test]
fn a_version_is_searchable_once_both_indexes_have_it_and_not_before() {
    let desk = desk();
    let seen = desk.see("a.txt", "One. Two.");
    assert!(seen.created && !seen.unchanged);
    let Committed::At(seq) = desk.catalog.commit(seen.id, &version("One. Two.")).unwrap() else { panic!() };
    assert_eq!(desk.state("a.txt"), DocumentState::Pending);
    assert_eq!(desk.catalog.flip(Seq(seq.0 - 1)).unwrap(), 0);
    assert_eq!(desk.catalog.scope(&DocumentFilter::default(), Seq(0)).unwrap().except, [VersionId(1)]);
    assert_eq!(desk.catalog.flip(seq).unwrap(), 1);
    assert_eq!(desk.state("a.txt"), DocumentState::Indexed);
    assert_eq!(desk.catalog.scope(&DocumentFilter::default(), Seq(0)).unwrap().except, []);
    assert_eq!(desk.catalog.text(VersionId(1)).unwrap(), "One. Two.");
}

#[test]
fn the_old_version_answers_until_the_new_one_does() {
    let desk = desk();
    let id = desk.index("a.txt", "Old text.");
    let old = desk.catalog.document("a.txt").unwrap().unwrap().version;
    desk.see("a.txt", "New text.");
    assert_eq!(desk.catalog.document("a.txt").unwrap().unwrap().version, old);
    let Committed::At(seq) = desk.catalog.commit(id, &version("New text.")).unwrap() else { panic!() };
    assert_eq!(desk.catalog.document("a.txt").unwrap().unwrap().version, old);
    desk.catalog.flip(seq).unwrap();
    let new = desk.catalog.document("a.txt").unwrap().unwrap();
    assert_eq!(new.version, Some(VersionId(2)));
    // The old one is told to the indexes as gone, and excluded until they have heard.
    let kinds: Vec<_> = desk.catalog.changes(Seq(0), 10).unwrap().iter().map(|row| (row.version.0, row.kind)).collect();
    assert_eq!(kinds, [(1, ChangeKind::Insert), (2, ChangeKind::Insert), (1, ChangeKind::Delete)]);
    assert_eq!(desk.catalog.scope(&DocumentFilter::default(), seq).unwrap().except, [VersionId(1)]);
}

#[test]
fn a_new_version_that_cannot_be_read_hides_the_old_one() {
    let desk = desk();
    let id = desk.index("a.txt", "Old text.");
    desk.see("a.txt", "broken");
    let why = Unreadable { reason: Reason::Damaged, detail: "cut short".into() };
    assert!(matches!(desk.catalog.commit_unreadable(id, sha("broken"), &why).unwrap(), Committed::At(_)));
    let document = desk.catalog.document("a.txt").unwrap().unwrap();
    assert_eq!((document.state, document.reason, document.version), (DocumentState::Unreadable, Some(Reason::Damaged), None));
    assert_eq!(desk.catalog.counts().unwrap().unreadable, 1);
}

#[test]
fn what_was_read_of_other_bytes_is_not_kept() {
    let desk = desk();
    let seen = desk.see("a.txt", "First.");
    desk.see("a.txt", "Second.");
    assert_eq!(desk.catalog.commit(seen.id, &version("First.")).unwrap(), Committed::Stale);
    desk.catalog.remove(&["a.txt".into()]).unwrap();
    assert_eq!(desk.catalog.commit(seen.id, &version("Second.")).unwrap(), Committed::Stale);
    assert!(desk.catalog.expected_contents().unwrap().is_empty());
}

#[test]
fn the_same_bytes_again_are_unchanged_and_under_another_path_need_no_reading() {
    let desk = desk();
    desk.index("a.txt", "One. Two.");
    assert!(desk.see("a.txt", "One. Two.").unchanged);
    let twin = desk.see("b.txt", "One. Two.");
    let Some(Committed::At(seq)) = desk.catalog.commit_copy(twin.id, sha("One. Two."), "test").unwrap() else { panic!() };
    desk.catalog.flip(seq).unwrap();
    let version = desk.catalog.document("b.txt").unwrap().unwrap().version.unwrap();
    assert_eq!(desk.catalog.text(version).unwrap(), "One. Two.");
    let scope = desk.catalog.scope(&DocumentFilter::default(), Seq(u64::MAX)).unwrap();
    let twins = desk.catalog.twins(&[hash("One.")], &scope).unwrap();
    assert_eq!(twins[&hash("One.")].iter().map(|one| one.path.as_str()).collect::<Vec<_>>(), ["a.txt", "b.txt"]);
    assert!(desk.catalog.commit_copy(twin.id, sha("other"), "test").unwrap() == Some(Committed::Stale));
}

#[test]
fn a_rename_keeps_the_document_and_its_vectors() {
    let desk = desk();
    let id = desk.index("a.txt", "One.");
    let moved = desk.catalog.rename(&[("a.txt".into(), observed("sub/b.txt", "One."))]).unwrap();
    assert_eq!(moved, [id]);
    assert!(desk.catalog.document("a.txt").unwrap().is_none());
    let fingerprint = Fingerprint("model-a".into());
    assert!(desk.catalog.without_vector(&[hash("One.")], &fingerprint).unwrap().is_empty());
    let Some(Committed::At(seq)) = desk.catalog.commit_copy(id, sha("One."), "test").unwrap() else { panic!() };
    desk.catalog.flip(seq).unwrap();
    assert_eq!(desk.state("sub/b.txt"), DocumentState::Indexed);
}

#[test]
fn a_purge_leaves_no_byte_of_what_was_deleted() {
    let desk = desk();
    desk.index("a.txt", "The quick canary sang loudly.");
    desk.index("b.txt", "Something else stays here.");
    desk.catalog.remove(&["a.txt".into()]).unwrap();
    let upto = desk.catalog.last_change().unwrap();
    let purged = desk.catalog.purge(upto).unwrap();
    assert_eq!((purged.versions, purged.chunks, purged.vectors), (1, 1, 1));
    assert!(desk.catalog.truncate_log().unwrap());
    for entry in std::fs::read_dir(desk.folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(12).any(|window| window == b"quick canary"));
    }
    assert_eq!(desk.catalog.text(VersionId(2)).unwrap(), "Something else stays here.");
    // Ids of what is gone are not used again.
    desk.index("c.txt", "Third.");
    let contents = desk.catalog.expected_contents().unwrap();
    assert_eq!(contents.iter().map(|(chunk, version)| (chunk.0, version.0)).collect::<Vec<_>>(), [(2, 2), (3, 3)]);
}

#[test]
fn vectors_of_another_model_are_refused_until_every_chunk_has_one() {
    let desk = desk();
    let id = desk.index("a.txt", "One.");
    let other = Fingerprint("model-b".into());
    desk.see("a.txt", "Two.");
    let foreign = NewVersion { fingerprint: Some(other.clone()), ..version("Two.") };
    assert_eq!(desk.catalog.commit(id, &foreign).unwrap(), Committed::OtherModel);
    assert!(!desk.catalog.flip_vectors(2, &other, 2).unwrap());
    let lacking = desk.catalog.unembedded(&other, crate::model::ChunkId(0), 10).unwrap();
    let vectors: Vec<_> = lacking.iter().map(|one| (one.hash, vec![0.0, 1.0])).collect();
    desk.catalog.add_vectors(&other, &vectors).unwrap();
    assert!(desk.catalog.flip_vectors(2, &other, 2).unwrap());
    assert_eq!(desk.catalog.fingerprint().unwrap(), Some(other));
}

#[test]
fn filters_are_exact_and_take_thousands_of_paths() {
    let desk = desk();
    for path in ["a.txt", "sub/a%b_c.md", "sub/b.txt", "mail.eml!/a.txt"] {
        desk.index(path, &format!("Text of {path}"));
    }
    let paths = |paths: &[&str]| DocumentFilter {
        paths: Some(paths.iter().map(|path| (*path).into()).collect()),
        ..Default::default()
    };
    assert_eq!(desk.visible(&paths(&["a.txt", "no-such"])), ["a.txt"]);
    assert_eq!(desk.visible(&paths(&["mail.eml"])), ["mail.eml!/a.txt"]);
    assert!(desk.visible(&paths(&[])).is_empty());
    let mut many: Vec<String> = (0..40_000).map(|number| format!("n{number}")).collect();
    many.push("sub/b.txt".into());
    assert_eq!(desk.visible(&DocumentFilter { paths: Some(many), ..Default::default() }), ["sub/b.txt"]);
    let prefix = |prefix: &str| DocumentFilter { path_prefix: Some(prefix.into()), ..Default::default() };
    assert_eq!(desk.visible(&prefix("sub/a%")), ["sub/a%b_c.md"]);
    assert!(desk.visible(&prefix("sub/a_")).is_empty());
    let types = DocumentFilter { types: Some(vec!["md".into()]), ..Default::default() };
    assert_eq!(desk.visible(&types), ["sub/a%b_c.md"]);
}

#[test]
fn a_file_that_is_no_catalog_is_told_as_damaged_and_a_newer_one_by_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("catalog.db");
    std::fs::write(&file, vec![b'x'; 8192]).unwrap();
    assert!(matches!(Catalog::open(&file), Err(IndexError::Damaged(_))));
    let newer = desk();
    newer.catalog.writer.lock().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Catalog::open(&newer.folder.path().join("catalog.db")), Err(IndexError::Format { found: 99, .. })));
}
