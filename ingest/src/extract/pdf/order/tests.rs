//! Lines as the engine gives them, and where their pieces stand.

use pdf_oxide::geometry::Rect;

use super::*;

fn span(text: &str, x: f32, y: f32) -> TextSpan {
    let width = text.chars().count() as f32 * 6.0;
    TextSpan { text: text.into(), bbox: Rect::new(x, y, width, 12.0), font_size: 12.0, ..TextSpan::default() }
}

#[test]
fn a_line_with_a_footnote_mark_comes_back_before_the_next() {
    let mut mark = span("1", 336.0, 554.0);
    mark.font_size = 7.0;
    let spans = [
        span("The Millennium Act", 144.0, 554.0),
        mark,
        span(" was signed by", 340.0, 554.0),
        span("President Clinton.", 108.0, 541.0),
    ];
    let repaired = repair("President Clinton.\nThe Millennium Act1 was signed by\n\nNext", &spans);
    assert_eq!(repaired.as_deref(), Some("The Millennium Act1 was signed by\nPresident Clinton.\n\nNext"));
}

#[test]
fn a_line_that_was_torn_is_whole_again() {
    let spans = [
        span("!", 144.0, 407.0),
        span("Title II, the Online", 180.0, 407.0),
        span("treaties.", 180.0, 420.0),
        span("Act", 180.0, 393.0),
        span(", creates limitations", 198.0, 393.0),
        span("copyright infringement", 180.0, 380.0),
    ];
    let text = "!\ntreaties.\nTitle II, the Online\nAct\ncopyright infringement\n, creates limitations";
    let expected = "treaties.\n! Title II, the Online\nAct, creates limitations\ncopyright infringement";
    assert_eq!(repair(text, &spans).as_deref(), Some(expected));
}

#[test]
fn two_lines_taken_for_one_are_parted() {
    let spans = [
        span("has been omitted.", 100.0, 140.0),
        span("A complete understanding of", 210.0, 140.0),
        span("provision of the Act requires reference", 100.0, 127.0),
    ];
    let text = "has been omitted.\nprovision of the Act requires reference A complete understanding of\n\nNext";
    let expected = "has been omitted. A complete understanding of\nprovision of the Act requires reference\n\nNext";
    assert_eq!(repair(text, &spans).as_deref(), Some(expected));
}

#[test]
fn columns_and_cells_stay_as_they_are() {
    let spans = [
        span("left one", 50.0, 100.0),
        span("left two", 50.0, 88.0),
        span("right one", 300.0, 100.0),
        span("right two", 300.0, 88.0),
    ];
    assert_eq!(repair("left one\nleft two\nright one\nright two", &spans), None);
}
