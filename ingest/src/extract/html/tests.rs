//! Small pages, and hostile ones.

use super::*;

#[test]
fn a_page_becomes_readable_text() {
    let page = "<html><head><title> My\n page </title><style>p{}</style></head><body><h1>Fees</h1>\
        <p>Pay   <b>ten</b>, or<br>more.</p><ul><li>one<li><p>two</p><ol><li>deep</ol></ul>\
        <table><tr><th>A<th>B<tr><td><p>1</p><td>2</table><script>alert('<div>')</script>\
        <h2>Second <i>part</i></h2>x&amp;y <a>z</a><a>w</a>s<pre>a\n  b</pre></body>";
    let extraction = read(page.as_bytes(), None).unwrap();
    assert_eq!(
        extraction.text,
        "Fees\n\nPay ten, or\nmore.\n\n- one\n- two\n  1. deep\n\nA | B\n1 | 2\n\nSecond part\n\nx&y z ws\n\na\n  b"
    );
    assert_eq!(extraction.title.as_deref(), Some("My page"));
    let headings: Vec<(u8, &str)> =
        extraction.headings.iter().map(|heading| (heading.level, &extraction.text[heading.at..heading.at + 4])).collect();
    assert_eq!(headings, [(1, "Fees"), (2, "Seco")]);
}

#[test]
fn headings_are_in_order_though_one_lies_within_another() {
    let extraction = read(b"<h1>Outer <div><h2>inner</h2></div></h1><p>text", None).unwrap();
    let titles: Vec<(u8, &str)> = extraction.headings.iter().map(|heading| (heading.level, heading.title.as_str())).collect();
    assert_eq!(titles, [(1, "Outer inner"), (2, "inner")]);
}

#[test]
fn a_declared_encoding_is_used() {
    let page = b"<html><meta http-equiv='Content-Type' content='text/html; charset=iso-8859-5'><p>\xbf\xe0\xd8\xd2\xd5\xe2";
    assert_eq!(read(page, None).unwrap().text, "Привет");
}

#[test]
fn a_million_levels_are_refused_quickly() {
    let page = "<div>".repeat(1_000_000);
    assert_eq!(read(page.as_bytes(), None).unwrap_err().reason, Reason::Bomb);
    let flat = "<p>word<br>".repeat(10_000);
    assert!(read(flat.as_bytes(), None).is_ok());
}

#[test]
fn a_page_without_text_is_empty() {
    assert_eq!(read(b"<html><img src=x></html>", None).unwrap_err().reason, Reason::Empty);
}
