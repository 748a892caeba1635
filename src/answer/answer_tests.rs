//! Tests of answers on small texts: what is quoted, what is not found, what is verified.

use strongroom_ingest::model::{CollectionId, DocumentId};

use super::*;
use crate::retrieve::Explain;

pub(super) fn hit(document: u128, path: &str, start: u64, text: &str, score: f32) -> Hit {
    Hit {
        collection: CollectionId(1),
        collection_name: "acme".to_owned(),
        document: DocumentRef { id: DocumentId(document), path: path.to_owned(), title: path.to_owned() },
        version: VersionId(document as u64),
        page: Some(3),
        heading_path: String::new(),
        span: Span { start, end: start + text.chars().count() as u64 },
        text: text.to_owned(),
        moments: Vec::new(),
        score,
        also_in: Vec::new(),
        explain: None,
    }
}

fn lease() -> Vec<Hit> {
    vec![
        hit(
            1,
            "leases/acme-office.pdf",
            100,
            "4. Termination. Either party may terminate this lease by giving ninety (90) days’ written notice. \
             The tenant shall return all keys. Notices are sent by courier.",
            0.8,
        ),
        hit(
            1,
            "leases/acme-office.pdf",
            900,
            "2. Rent. The monthly rent is €4,500, payable in advance on the first day of each month. Parking is free.",
            0.5,
        ),
        hit(2, "nda.txt", 0, "This Agreement is governed by the laws of the State of Delaware.", 0.4),
    ]
}

fn answer(question: &str, passages: &[Hit]) -> Answer {
    let mut streamed = String::new();
    let generated = Extracts
        .generate(
            &GenerateRequest { question, passages, walls: &[], history: &[], job: Job::ASK, cancel: &Cancel::never() },
            &mut |piece| {
                if let Piece::Words(words) = piece {
                    streamed.push_str(words)
                }
            },
        )
        .unwrap();
    assert_eq!(streamed, generated.text, "what is streamed is what is answered");
    cite(generated, Kind::Ask, passages, Extracts.info(), |hit, span| {
        let skip = (span.start - hit.span.start) as usize;
        Ok::<_, ()>(Some(hit.text.chars().skip(skip).take((span.end - span.start) as usize).collect()))
    })
    .unwrap()
}

#[test]
fn the_sentence_that_answers_is_quoted_word_for_word() {
    let passages = lease();
    for (question, expect) in [
        ("How many days notice to terminate the lease?", "ninety (90) days’ written notice."),
        ("What is the monthly rent?", "€4,500"),
        ("Which laws govern the agreement?", "State of Delaware."),
        ("When is the rent payable?", "first day of each month."),
    ] {
        let answer = answer(question, &passages);
        assert!(answer.grounded && answer.text.contains(expect), "{question}: {}", answer.text);
        for citation in &answer.citations {
            assert!(citation.verified);
            assert!(answer.text.contains(&format!("{} [{}]", citation.quote, citation.n)));
        }
    }
    let first = &answer("What is the monthly rent?", &passages).citations[0];
    assert_eq!((first.n, first.page, first.document.path.as_str()), (1, Some(3), "leases/acme-office.pdf"));
    assert_eq!(first.span.end - first.span.start, first.quote.chars().count() as u64);
}

#[test]
fn what_the_documents_do_not_say_is_not_found() {
    let passages = lease();
    for question in [
        "What is the CEO's favourite pizza?",
        "How much is the penalty for late delivery of aircraft?",
        "Who won the world cup in 1998?",
        "What is the interest rate on overdue loans?",
        "Are pets allowed in the office?",
        "Is there an arbitration clause?",
        "",
        "what is it",
    ] {
        let answer = answer(question, &passages);
        assert!(!answer.grounded, "{question}: {}", answer.text);
        assert_eq!((answer.text.as_str(), answer.citations.len()), (NOT_FOUND, 0));
    }
    assert!(!answer("What is the monthly rent?", &[]).grounded);
}

#[test]
fn a_quote_that_is_no_longer_stored_is_no_answer() {
    let passages = lease();
    let request = GenerateRequest {
        question: "What is the monthly rent?",
        passages: &passages,
        walls: &[],
        history: &[],
        job: Job::ASK,
        cancel: &Cancel::never(),
    };
    let generated = Extracts.generate(&request, &mut |_| ()).unwrap();
    let altered =
        cite(generated.clone(), Kind::Ask, &passages, Extracts.info(), |_, _| Ok::<_, ()>(Some("The monthly rent".to_owned())));
    assert!(!altered.unwrap().grounded);
    let gone = cite(generated.clone(), Kind::Ask, &passages, Extracts.info(), |_, _| Ok::<_, ()>(None));
    assert!(!gone.unwrap().grounded);
    assert_eq!(cite(generated, Kind::Ask, &passages, Extracts.info(), |_, _| Err(7)).unwrap_err(), 7);
}

#[test]
fn a_generator_cannot_cite_what_it_was_not_given() {
    let passages = lease();
    let quotes = vec![Quote { passage: 9, bytes: 0..1, pointer: None }, Quote { passage: 0, bytes: 0..100_000, pointer: None }];
    let generated = Generated { text: "Surely so [1][2].".to_owned(), quotes, ..Generated::default() };
    let answer = cite(generated, Kind::Ask, &passages, Extracts.info(), |_, _| Ok::<_, ()>(Some(String::new()))).unwrap();
    assert!(!answer.grounded && answer.citations.is_empty());
}

#[test]
fn spans_count_characters() {
    let passages = [hit(1, "ü.txt", 50, "Größe: »ja«. Die Miete für das Büro beträgt 900 € im Monat.", 1.0)];
    let answer = answer("Miete Büro", &passages);
    assert_eq!(answer.citations[0].quote, "Die Miete für das Büro beträgt 900 € im Monat.");
    assert_eq!(answer.citations[0].span, Span { start: 63, end: 109 });
}

#[test]
fn drafts_of_one_contract_are_quoted_once() {
    let one = "The monthly rent of the office is €4,500.";
    let passages = [hit(1, "a.txt", 0, one, 1.0), hit(2, "b.txt", 0, &format!("{one} Amen to that."), 0.9)];
    assert_eq!(answer("What is the monthly rent?", &passages).citations.len(), 1);
}

#[test]
fn a_passage_that_means_the_same_needs_fewer_words() {
    let text = "The obligations of confidentiality survive for five years after disclosure of the information.";
    let question = "For how many years must confidentiality obligations be kept by a recipient?";
    let mut passages = [hit(1, "nda.txt", 0, text, 1.0)];
    assert!(!answer(question, &passages).grounded);
    for (cosine, grounded) in [(0.4, false), (0.7, true)] {
        passages[0].explain = Some(Explain { dense_score: Some(cosine), ..Explain::default() });
        assert_eq!(answer(question, &passages).grounded, grounded, "cosine {cosine}");
    }
    passages[0].text = "Parking is free for everybody in the yard behind the office building.".to_owned();
    assert!(!answer(question, &passages).grounded, "a cosine alone is no support");
}
