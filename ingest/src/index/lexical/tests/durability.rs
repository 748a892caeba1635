//! What the folder holds after a restart, a crash, a purge, and what is said when its files are damaged.

use std::path::PathBuf;

use super::*;

#[test]
fn watermark_and_contents_outlive_the_process() {
    let dir = tempfile::tempdir().unwrap();
    {
        let index = LexicalIndex::open(dir.path()).unwrap();
        assert_eq!(index.watermark(), Seq(0));
        index.apply(vec![insert(1, "", &["lease"])], Seq(7)).unwrap();
        index.rest().unwrap();
        index.rest().unwrap();
        index.apply(vec![insert(2, "", &["rent"])], Seq(9)).unwrap();
        assert_eq!(index.watermark(), Seq(9));
    }
    let index = LexicalIndex::open(dir.path()).unwrap();
    assert_eq!((index.watermark(), chunks(&search(&index, "rent"))), (Seq(9), vec![200]));
    index.apply(vec![], Seq(12)).unwrap();
    drop(index);
    let index = LexicalIndex::open(dir.path()).unwrap();
    assert_eq!((index.watermark(), index.contents().unwrap().len()), (Seq(12), 2));
}

#[test]
fn what_was_not_committed_never_happened() {
    let (dir, index) = index_of(vec![insert(1, "", &["lease"])]);
    index.rest().unwrap();
    {
        let writer: tantivy::IndexWriter = index.index.writer_with_num_threads(1, 15_000_000).unwrap();
        let chunk = LexicalChunk { chunk: ChunkId(200), text: "rent".to_owned(), head: None };
        writer.add_document(index.fields.entry(VersionId(2), &chunk)).unwrap();
        writer.delete_term(tantivy::Term::from_field_u64(index.fields.version, 1));
    }
    drop(index);
    let index = LexicalIndex::open(dir.path()).unwrap();
    assert_eq!((index.watermark(), index.contents().unwrap()), (Seq(1), vec![(ChunkId(100), VersionId(1))]));
    index.apply(vec![insert(2, "", &["rent"])], Seq(2)).unwrap();
    assert_eq!(chunks(&search(&index, "rent")), [200]);
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let visible = |path: &PathBuf| !path.file_name().unwrap().to_string_lossy().starts_with('.');
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(visible).collect()
}

#[test]
fn many_commits_leave_few_segments_and_no_unused_files() {
    let (dir, index) = index_of(vec![]);
    for version in 1..40 {
        index.apply(vec![insert(version, "", &["lease", "rent"])], Seq(version)).unwrap();
    }
    index.rest().unwrap();
    let segments = index.snapshot().searcher.segment_readers().len();
    assert!(segments <= 4, "{segments} segments");
    assert!(files(dir.path()).len() <= segments * 8 + 1, "{} files", files(dir.path()).len());
    assert_eq!(search(&index, "rent").documents.len(), 39);
}

#[test]
fn collecting_leaves_no_byte_of_what_was_deleted() {
    let (dir, index) = index_of(vec![insert(1, "canaryhead", &["canarybody lease"]), insert(2, "", &["lease"])]);
    let first: BTreeSet<_> = files(dir.path()).into_iter().collect();
    // Word lists are automata, in which no word can be seen as bytes: they are asked, and then nothing else may be left.
    let holds_canary = || {
        let snapshot = index.snapshot();
        let holds = |field, word: &str| {
            let term = tantivy::Term::from_field_text(field, word);
            let term_of = |reader: &tantivy::SegmentReader| reader.inverted_index(field).unwrap().get_term_info(&term);
            snapshot.searcher.segment_readers().iter().any(|reader| term_of(reader).unwrap().is_some())
        };
        let fields = index.fields;
        holds(fields.exact, "canarybody") || holds(fields.stem, "canarybodi") || holds(fields.head, "canaryhead")
    };
    index.apply(vec![delete(1)], Seq(2)).unwrap();
    index.collect().unwrap();
    assert!(!holds_canary());
    let left = files(dir.path());
    assert!(left.iter().all(|file| file.ends_with("meta.json") || !first.contains(file)), "{left:?}");
    assert!(left.len() <= 8, "{left:?}");
    assert_eq!((index.watermark(), chunks(&search(&index, "lease"))), (Seq(2), vec![200]));
    index.collect().unwrap();
    drop(index);
    assert_eq!(LexicalIndex::open(dir.path()).unwrap().watermark(), Seq(2));
}

/// What opening a copy of the index at `from` says after `harm` was done to the file named, for each of its files.
fn harmed(from: &Path, harm: impl Fn(&Path)) -> Vec<(String, Result<(), LexicalError>)> {
    let mut outcomes = Vec::new();
    for file in files(from) {
        let copy = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
        harm(&copy.path().join(file.file_name().unwrap()));
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        outcomes.push((name, LexicalIndex::open(copy.path()).map(drop)));
    }
    outcomes
}

/// Something bad done to the file at a path.
type Harm<'a> = &'a dyn Fn(&Path);

#[test]
fn damaged_files_are_told_at_once() {
    let (dir, index) = index_of((1..10).map(|version| insert(version, "h", &["lease of a house", "rent"])).collect());
    index.apply(vec![delete(2)], Seq(2)).unwrap();
    assert!(files(dir.path()).iter().any(|file| file.extension().is_some_and(|ending| ending == "del")));
    index.verify().unwrap();
    drop(index);
    let open = |path: &Path| fs::OpenOptions::new().write(true).open(path).unwrap();
    let harms: [(&str, Harm); 4] = [
        ("removed", &|path| fs::remove_file(path).unwrap()),
        ("emptied", &|path| fs::write(path, b"").unwrap()),
        ("cut", &|path| open(path).set_len(fs::metadata(path).unwrap().len() / 2).unwrap()),
        ("garbage", &|path| fs::write(path, b"garbage, and enough of it to be taken for something else").unwrap()),
    ];
    for (how, harm) in harms {
        for (name, outcome) in harmed(dir.path(), harm) {
            assert!(matches!(outcome, Err(LexicalError::Damaged(_))), "{name} {how}: {outcome:?}");
        }
    }
    assert!(LexicalIndex::open(dir.path()).is_ok());
}

#[test]
fn flipped_bits_are_found_by_verify_and_never_panic() {
    let (dir, index) = index_of(vec![insert(1, "h", &["lease of a house", "rent"])]);
    drop(index);
    for file in files(dir.path()) {
        if file.ends_with("meta.json") {
            continue;
        }
        let whole = fs::read(&file).unwrap();
        let mut flipped = whole.clone();
        flipped[0] ^= 0xff;
        fs::write(&file, &flipped).unwrap();
        match LexicalIndex::open(dir.path()) {
            Ok(index) => {
                let _ = index.search(&LexicalQuery { text: "\"lease of\" rent", scope: &Scope::default(), limit: 5 });
                assert!(matches!(index.verify(), Err(LexicalError::Damaged(_))), "{file:?}");
            }
            Err(error) => assert!(matches!(error, LexicalError::Damaged(_)), "{file:?}: {error}"),
        }
        fs::write(&file, &whole).unwrap();
    }
}

#[test]
fn another_schema_is_damage_and_an_interrupted_beginning_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut builder = Schema::builder();
    builder.add_u64_field("chunk", tantivy::schema::FAST);
    Index::create_in_dir(dir.path(), builder.build()).unwrap();
    assert!(matches!(LexicalIndex::open(dir.path()), Err(LexicalError::Damaged(_))));

    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(".managed.json"), b"[\"meta.json\"]").unwrap();
    assert_eq!(LexicalIndex::open(dir.path()).unwrap().watermark(), Seq(0));
}
