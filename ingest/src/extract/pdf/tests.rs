//! Tiny PDFs, written here, through both engines.

use super::*;

/// A PDF of one font; each page is a content stream. `None` is a page whose content is missing.
fn pdf(pages: &[&str], extra: &str) -> Vec<u8> {
    let mut out = b"%PDF-1.4\n".to_vec();
    let mut offsets = Vec::new();
    let mut add = |out: &mut Vec<u8>, body: String| {
        offsets.push(out.len());
        let number = offsets.len();
        out.extend(format!("{number} 0 obj\n{body}\nendobj\n").into_bytes());
    };
    let kids: Vec<String> = (0..pages.len()).map(|index| format!("{} 0 R", 5 + 2 * index)).collect();
    add(&mut out, "<< /Type /Catalog /Pages 2 0 R >>".into());
    add(&mut out, format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), pages.len()));
    add(&mut out, "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".into());
    add(&mut out, "<< /Title (Lease of the Mill) >>".into());
    for (index, content) in pages.iter().enumerate() {
        let content_number = 6 + 2 * index;
        add(
            &mut out,
            format!(
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {content_number} 0 R \
                 /Resources << /Font << /F1 3 0 R >> >> >>"
            ),
        );
        add(&mut out, format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()));
    }
    let start = out.len();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", offsets.len() + 1);
    for offset in &offsets {
        table.push_str(&format!("{offset:010} 00000 n \n"));
    }
    let size = offsets.len() + 1;
    table.push_str(&format!("trailer\n<< /Size {size} /Root 1 0 R /Info 4 0 R {extra} >>\nstartxref\n{start}\n%%EOF\n"));
    out.extend(table.into_bytes());
    out
}

fn words(text: &str) -> String {
    format!("BT /F1 12 Tf 72 700 Td ({text}) Tj ET")
}

const PICTURE: &str = "q 500 0 0 700 50 50 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \u{7f} EI Q";

fn read_quietly(bytes: Vec<u8>) -> Answer {
    read(bytes, &mut Desk::alone("pdf"))
}

#[test]
fn pages_come_in_order_with_their_numbers() {
    let extraction = read_quietly(pdf(&[&words("The first page."), &words("The second page.")], "")).unwrap();
    assert_eq!(extraction.text, "The first page.\n\nThe second page.");
    let numbers: Vec<Option<u32>> = extraction.pages.iter().map(|page| page.number).collect();
    assert_eq!(numbers, [Some(1), Some(2)]);
    assert_eq!(&extraction.text[extraction.pages[1].bytes.clone()], "The second page.");
    assert_eq!(extraction.title.as_deref(), Some("Lease of the Mill"));
    assert!(extraction.missing_pages.is_empty());
}

#[test]
fn a_picture_among_pages_of_text_is_missing_and_a_blank_page_is_not() {
    let text = words("Words on a page.");
    let extraction = read_quietly(pdf(&[&text, PICTURE, "", &text], "")).unwrap();
    assert_eq!(extraction.missing_pages, [2]);
    assert_eq!(extraction.pages.len(), 4);
    assert_eq!(extraction.pages[3].bytes.end, extraction.text.len());
}

#[test]
fn no_text_has_its_reasons() {
    let reason = |bytes| read_quietly(bytes).unwrap_err().reason;
    assert_eq!(reason(pdf(&[PICTURE], "")), Reason::Scanned);
    assert_eq!(reason(pdf(&[""], "")), Reason::Empty);
    assert_eq!(reason(pdf(&[], "")), Reason::Empty);
    assert_eq!(reason(b"%PDF-1.4\nnothing here".to_vec()), Reason::Damaged);
}

#[test]
fn both_engines_read_a_plain_page() {
    let bytes = pdf(&[&words("Hello both."), &words("Not asked.")], "");
    assert_eq!(oxide::read(&bytes, &[]).ok().unwrap().0.pages[0], PageText::Text("Hello both.".into()));
    let second = second::read(&bytes, "", Some(&[0]));
    assert_eq!(second[0].as_deref().map(str::trim), Some("Hello both."));
    assert_eq!(second[1], None);
}

#[test]
fn a_page_that_failed_is_taken_from_the_second_engine_only_if_it_is_text() {
    assert!(is_better("text", &PageText::Failed));
    assert!(!is_better(" \n", &PageText::Image));
    assert!(!is_better("\u{fffd}\u{fffd}", &PageText::Failed));
    assert!(!is_better("other", &PageText::Text("good text".into())));
}

#[test]
fn pages_are_cleaned() {
    let mut out = String::new();
    push_clean(&mut out, "\n a\tb \u{0}\r\n\nc\u{c}\n");
    assert_eq!(out, "a b \n\nc");
}

const LOCKED: [&[u8]; 2] =
    [include_bytes!("../../../fixtures/pdf/locked_aes256.pdf"), include_bytes!("../../../fixtures/pdf/locked_rc4.pdf")];
const ATTACHED: &[u8] = include_bytes!("../../../fixtures/pdf/attached.pdf");

fn read_with(bytes: &[u8], passwords: &[&str]) -> (Answer, Desk) {
    let mut desk = Desk::alone("pdf");
    desk.know(passwords);
    (read(bytes.to_vec(), &mut desk), desk)
}

#[test]
fn the_users_and_the_owners_password_open_a_document_and_others_do_not() {
    for (bytes, user) in LOCKED.into_iter().zip(["sluice", "mühle"]) {
        for passwords in [&["wrong", user][..], &["miller"]] {
            let (answer, desk) = read_with(bytes, passwords);
            assert_eq!(answer.unwrap().text, "The mill is let for ten years.");
            let (name, bytes) = &desk.members()[0];
            assert_eq!(
                (name.as_str(), bytes.as_deref().unwrap()),
                ("Pläne/Übersicht.txt", &b"The weir lies north of the mill."[..])
            );
        }
        for passwords in [&[][..], &["wrong", "", "ö"]] {
            assert_eq!(read_with(bytes, passwords).0.unwrap_err().reason, Reason::Password);
        }
    }
}

#[test]
fn attached_files_are_members_and_notes_are_text() {
    let (answer, desk) = read_with(ATTACHED, &[]);
    let extraction = answer.unwrap();
    assert_eq!(extraction.text, "See the plan attached.\n\nAsk the miller about the sluice.");
    assert_eq!(extraction.author.as_deref(), Some("M. Miller"));
    assert_eq!(extraction.written_at, Some(1_546_394_645));
    let members: Vec<(&str, usize)> =
        desk.members().iter().map(|(name, bytes)| (name.as_str(), bytes.as_ref().unwrap().len())).collect();
    assert_eq!(members, [("Pläne/Übersicht.txt", 32), ("costs.csv", 18), ("note.txt", 26)]);
}

#[test]
fn pages_are_scored_and_what_is_printed_on_each_is_taken_out() {
    let page = |n: usize, word: &str| {
        let line =
            format!("0 -14 Td (The {word} is due in any event, whether or not the {word} of another year was paid.) Tj ");
        format!(
            "BT /F1 12 Tf 72 740 Td (Lease of the Mill) Tj 0 -40 Td (The {word} shall be paid every year at the termi-) Tj \
             0 -14 Td (nation of the {word} quarter, and the {word} of the weir and of the race with it.) Tj {} \
             0 -400 Td (Page {n} of 4) Tj ET",
            line.repeat(5)
        )
    };
    let pages: Vec<String> = (1..).zip(["rent", "wheat", "toll", "fee"]).map(|(n, word)| page(n, word)).collect();
    let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
    let extraction = read_quietly(pdf(&pages, "")).unwrap();
    let text = |number: usize| extraction.text[extraction.pages[number].bytes.clone()].trim_end().to_owned();
    assert!(text(0).starts_with("Lease of the Mill\n"), "{}", text(0));
    assert!(!text(0).contains("Page") && text(1).starts_with("The wheat shall"), "{}", text(1));
    assert!(text(2).contains("termination") && text(2).ends_with("was paid."), "{}", text(2));
    assert!(extraction.pages.iter().all(|page| page.quality == Some(100)));
}
