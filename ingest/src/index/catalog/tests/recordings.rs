//! Recordings in the catalog: who wrote them down and when what is said, kept with the version, copied with it, gone with it.

use super::*;
use crate::model::{Lane, Moment, Scribe};

fn scribe() -> Scribe {
    Scribe {
        lane: Lane::Accurate,
        chosen_by: "folder".into(),
        name: "whisper".into(),
        model: "large".into(),
        endpoint: "127.0.0.1:8000".into(),
        server: "a server".into(),
        process: Some("python (pid 7)".into()),
        digest: None,
        language: Some("en".into()),
        length_ms: Some(9000),
    }
}

/// Two sentences, the second at a minute.
fn recording(content: &str) -> NewVersion {
    let moment = |start, end, start_ms| Moment { span: Span { start, end }, start_ms, end_ms: start_ms + 1000 };
    let moments = vec![moment(0, 4, 500), moment(5, 9, 60_000)];
    NewVersion { moments, scribe: Some(scribe()), ..version(content) }
}

fn rows(desk: &Desk, table: &str) -> i64 {
    desk.catalog.writer.lock().query_row(&format!("SELECT COUNT(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn when_something_is_said_stays_with_its_version() {
    let desk = desk();
    let id = desk.see("a.mp3", "One. Two.").id;
    let Committed::At(seq) = desk.catalog.commit(id, &recording("One. Two.")).unwrap() else { panic!() };
    desk.catalog.flip(seq).unwrap();
    desk.index("b.txt", "Words.");
    let record = |path: &str| desk.catalog.document(path).unwrap().unwrap();
    assert_eq!((record("a.mp3").scribe, record("b.txt").scribe), (Some(scribe()), None));
    let found = |version: u64, start, end| {
        let spans = [(VersionId(version), Span { start, end }), (VersionId(2), Span { start: 0, end: 9 })];
        let [own, other] = desk.catalog.moments(&spans).unwrap().try_into().unwrap();
        assert!(other.is_empty(), "a text has no times");
        own.into_iter().map(|moment: Moment| moment.start_ms).collect::<Vec<_>>()
    };
    assert_eq!(found(1, 0, 9), [500, 60_000]);
    assert_eq!(found(1, 3, 5), [500]);
    assert!(found(1, 4, 5).is_empty());
    assert_eq!(found(1, 8, 20), [60_000]);

    // The same bytes elsewhere are copied, times and all.
    let twin = desk.see("c.mp3", "One. Two.").id;
    let Some(Committed::At(seq)) = desk.catalog.commit_copy(twin, sha("One. Two."), "test").unwrap() else { panic!() };
    desk.catalog.flip(seq).unwrap();
    assert_eq!((record("c.mp3").scribe, found(3, 0, 9)), (Some(scribe()), vec![500, 60_000]));
    assert_eq!((rows(&desk, "scribes"), rows(&desk, "moments")), (2, 4));

    desk.catalog.remove(&["a.mp3".into()]).unwrap();
    desk.catalog.purge(desk.catalog.last_change().unwrap()).unwrap();
    assert_eq!((rows(&desk, "scribes"), rows(&desk, "moments")), (1, 2));
    assert_eq!(found(3, 0, 9), [500, 60_000]);
}
