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
