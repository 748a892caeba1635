//! Documents inside documents: they come, change and go with the one they are in, and are counted nowhere.

use super::*;

/// A member that was read, or why not.
fn member(name: &str, content: Result<&str, Reason>) -> NewMember {
    let outcome = match content {
        // Vectors are the document's affair.
        Ok(content) => Ok(NewVersion { vectors: Vec::new(), fingerprint: None, ..version(content) }),
        Err(reason) => Err(Unreadable { reason, detail: "why".into() }),
    };
    NewMember { name: name.into(), sha256: sha(content.unwrap_or("")), bytes: 7, outcome }
}

fn with_members(content: &str, members: Vec<NewMember>) -> NewVersion {
    let mut new = version(content);
    for inside in members.iter().filter_map(|member| member.outcome.as_ref().ok()) {
        new.vectors.extend(inside.chunks.iter().map(|chunk| (chunk.hash, vec![1.0, 0.0])));
    }
    NewVersion { members, ..new }
}

impl Desk {
    /// Reads a document with members; nothing of it answers yet.
    fn stage(&self, path: &str, content: &str, members: Vec<NewMember>) -> Seq {
        let seen = self.see(path, content);
        match self.catalog.commit(seen.id, &with_members(content, members)).unwrap() {
            Committed::At(seq) => seq,
            other => panic!("not committed: {other:?}"),
        }
    }

    fn hold(&self, path: &str, content: &str, members: Vec<NewMember>) {
        let seq = self.stage(path, content, members);
        assert!(self.catalog.flip(seq).unwrap() > 0);
    }

    /// Path, state and text of what is inside a document.
    fn inside(&self, path: &str) -> Vec<(String, DocumentState, Option<String>)> {
        let document = self.catalog.document(path).unwrap().unwrap();
        let text = |version: VersionId| self.catalog.text(version).unwrap();
        document.members.into_iter().map(|one| (one.path, one.state, one.version.map(text))).collect()
    }
}

fn read(path: &str, text: &str) -> (String, DocumentState, Option<String>) {
    (path.into(), DocumentState::Indexed, Some(text.into()))
}

#[test]
fn members_answer_with_their_document_and_are_counted_nowhere() {
    let desk = desk();
    let members = vec![member("a.txt", Ok("Inside.")), member("b.pdf", Err(Reason::Password))];
    let seq = desk.stage("mail.eml", "Outside.", members);
    assert_eq!(desk.inside("mail.eml")[0].1, DocumentState::Pending);
    // Its members and itself become searchable at once.
    assert_eq!(desk.catalog.flip(seq).unwrap(), 2);
    let locked = ("mail.eml!/b.pdf".to_owned(), DocumentState::Unreadable, None);
    assert_eq!(desk.inside("mail.eml"), [read("mail.eml!/a.txt", "Inside."), locked]);
    let counts = desk.catalog.counts().unwrap();
    assert_eq!((counts.indexed, counts.pending, counts.unreadable), (1, 0, 0));
    let coverage = desk.catalog.coverage().unwrap();
    assert_eq!((coverage.members, coverage.unreadable_members), (1, 1));
    assert_eq!(coverage.reasons, [(Reason::Password, 1)]);
    let listed: Vec<String> =
        desk.catalog.documents(None, None, 10).unwrap().documents.into_iter().map(|one| one.path).collect();
    assert_eq!(listed, ["mail.eml"]);
    let member = desk.catalog.document("mail.eml!/a.txt").unwrap().unwrap();
    assert!(member.is_member && member.members.is_empty());
}

#[test]
fn members_of_before_answer_until_the_new_ones_do_and_keep_their_ids() {
    let desk = desk();
    desk.hold("mail.eml", "One.", vec![member("a.txt", Ok("First.")), member("gone.txt", Ok("Gone."))]);
    let id = desk.catalog.document("mail.eml!/a.txt").unwrap().unwrap().id;
    let seq = desk.stage("mail.eml", "Two.", vec![member("a.txt", Ok("Second.")), member("new.txt", Ok("New."))]);
    let texts: Vec<_> = desk.inside("mail.eml").into_iter().map(|(path, _, text)| (path, text)).collect();
    assert_eq!(texts, [("mail.eml!/a.txt".into(), Some("First.".into())), ("mail.eml!/new.txt".into(), None)]);
    desk.catalog.flip(seq).unwrap();
    assert_eq!(desk.inside("mail.eml"), [read("mail.eml!/a.txt", "Second."), read("mail.eml!/new.txt", "New.")]);
    assert_eq!(desk.catalog.document("mail.eml!/a.txt").unwrap().unwrap().id, id);
    // What stood for the versions of before is told to the indexes as gone: parent, replaced, vanished.
    let changes = desk.catalog.changes(Seq(0), 100).unwrap();
    assert_eq!(changes.iter().filter(|change| change.kind == ChangeKind::Delete).count(), 3);
    assert_eq!(desk.catalog.expected_contents().unwrap().len(), 3);
}

#[test]
fn a_member_that_can_not_be_read_any_more_answers_no_more() {
    let desk = desk();
    desk.hold("mail.eml", "One.", vec![member("a.txt", Ok("First."))]);
    let seq = desk.stage("mail.eml", "Two.", vec![member("a.txt", Err(Reason::Damaged))]);
    assert_eq!(desk.inside("mail.eml"), [("mail.eml!/a.txt".into(), DocumentState::Unreadable, None)]);
    desk.catalog.flip(seq).unwrap();
    assert_eq!(desk.inside("mail.eml")[0].1, DocumentState::Unreadable);
    desk.hold("mail.eml", "Three.", vec![member("a.txt", Ok("Again."))]);
    assert_eq!(desk.inside("mail.eml"), [read("mail.eml!/a.txt", "Again.")]);
    let record = desk.catalog.document("mail.eml!/a.txt").unwrap().unwrap();
    assert_eq!((record.reason, record.detail), (None, None));
}

#[test]
fn members_go_when_their_document_goes_or_can_not_be_read() {
    let desk = desk();
    desk.hold("mail.eml", "One.", vec![member("a.txt", Ok("First."))]);
    let seen = desk.see("mail.eml", "broken");
    let why = Unreadable { reason: Reason::Damaged, detail: "cut short".into() };
    desk.catalog.commit_unreadable(seen.id, sha("broken"), &why).unwrap();
    assert!(desk.inside("mail.eml").is_empty());
    assert!(desk.catalog.expected_contents().unwrap().is_empty());

    desk.hold("mail.eml", "Two.", vec![member("a.txt", Ok("First."))]);
    desk.catalog.remove(&["mail.eml".into()]).unwrap();
    assert!(desk.catalog.document("mail.eml!/a.txt").unwrap().is_none());
    assert!(desk.catalog.expected_contents().unwrap().is_empty());
    assert_eq!(desk.catalog.coverage().unwrap().members, 0);
}

#[test]
fn members_move_with_their_document() {
    let desk = desk();
    desk.hold("ä/old.zip", "One.", vec![member("x/a.txt", Ok("First.")), member("b.pdf", Err(Reason::Empty))]);
    let id = desk.catalog.document("ä/old.zip!/x/a.txt").unwrap().unwrap().id;
    desk.catalog.rename(&[("ä/old.zip".into(), observed("new.zip", "One."))]).unwrap();
    let paths: Vec<String> = desk.inside("new.zip").into_iter().map(|(path, ..)| path).collect();
    assert_eq!(paths, ["new.zip!/b.pdf", "new.zip!/x/a.txt"]);
    assert_eq!(desk.catalog.document("new.zip!/x/a.txt").unwrap().unwrap().id, id);
    // A document with members is read again, not copied: the indexes have to learn of each.
    assert_eq!(desk.catalog.commit_copy(desk.see("new.zip", "One.").id, sha("One."), "test").unwrap(), None);
}

#[test]
fn what_is_inside_something_inside_is_listed_with_the_outermost() {
    let desk = desk();
    let members = vec![
        member("old.zip!/deep.zip!/c.txt", Ok("Deepest.")),
        member("old.zip!/deep.zip", Ok("c.txt")),
        member("old.zip", Ok("deep.zip")),
    ];
    desk.hold("mail.eml", "One.", members);
    let paths: Vec<String> = desk.inside("mail.eml").into_iter().map(|(path, ..)| path).collect();
    assert_eq!(paths, ["mail.eml!/old.zip", "mail.eml!/old.zip!/deep.zip", "mail.eml!/old.zip!/deep.zip!/c.txt"]);
    // An archive of which there is the text but not what is inside can't stand for one that has it.
    let seen = desk.see("mail.eml!x/old.zip", "deep.zip");
    assert_eq!(desk.catalog.commit_copy(seen.id, sha("deep.zip"), "test").unwrap(), None);
    assert_eq!(desk.catalog.counts().unwrap().indexed, 1);
}

#[test]
fn a_file_that_stands_where_a_member_would_be_keeps_its_place() {
    let desk = desk();
    desk.index("mail.eml!/a.txt", "A file of its own.");
    desk.hold("mail.eml", "One.", vec![member("a.txt", Ok("Inside."))]);
    assert!(!desk.catalog.document("mail.eml!/a.txt").unwrap().unwrap().is_member);
    assert_eq!(desk.inside("mail.eml").len(), 1);
    desk.catalog.remove(&["mail.eml".into()]).unwrap();
    assert_eq!(desk.state("mail.eml!/a.txt"), DocumentState::Indexed);
}
