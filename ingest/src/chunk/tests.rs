//! What every set of chunks must hold, and how real text is cut.

use std::sync::OnceLock;

use proptest::prelude::*;

use super::*;
use crate::model::{Heading, Page};

fn chunker() -> &'static Chunker {
    static CHUNKER: OnceLock<Chunker> = OnceLock::new();
    CHUNKER.get_or_init(|| Chunker::new(ChunkOptions::default()).unwrap())
}

fn document(pages: &[&str]) -> Extraction {
    let mut extraction = Extraction { media_type: "text/plain".into(), ..Extraction::default() };
    for (index, page) in pages.iter().enumerate() {
        let start = extraction.text.len();
        extraction.text.push_str(page);
        let number = (pages.len() > 1).then_some(index as u32 + 1);
        extraction.pages.push(Page { number, bytes: start..extraction.text.len(), engine: "test".into(), quality: None });
    }
    extraction
}

fn slice(text: &str, span: Span) -> String {
    text.chars().skip(span.start as usize).take((span.end - span.start) as usize).collect()
}

fn check(chunker: &Chunker, extraction: &Extraction) -> Vec<Chunk> {
    let chunks = chunker.chunk(extraction);
    let joined: String = chunks.iter().map(|chunk| chunk.text.as_str()).collect();
    assert!(joined == extraction.text, "chunks must tile the text");
    let mut at = 0;
    for (index, chunk) in chunks.iter().enumerate() {
        assert_eq!(chunk.ordinal as usize, index);
        assert_eq!(chunk.span.start, at);
        at = chunk.span.end;
        let trimmed = chunk.text.trim();
        assert!(trimmed.chars().count() <= chunker.limits.chars, "too many characters: {}", trimmed.chars().count());
        let tokens = chunker.pieces.count(trimmed);
        assert!(tokens <= chunker.limits.tokens, "too many word pieces: {tokens} in {trimmed:?}");
        assert!(index == 0 || chunk.page > chunks[index - 1].page || chunk.text.starts_with(|c: char| !c.is_whitespace()));
    }
    assert_eq!(at as usize, extraction.text.chars().count());
    chunks
}

const CLAUSE: &str =
    "The Licensee shall pay to the Licensor, Acme Corp. of Delaware, the fee named in Exhibit No. 5 within thirty days. ";

#[test]
fn empty_text_has_no_chunks() {
    assert!(check(chunker(), &document(&[])).is_empty());
    assert!(check(chunker(), &document(&["", ""])).is_empty());
    assert_eq!(check(chunker(), &document(&[" \n\n "])).len(), 1);
}

#[test]
fn limits_too_small_to_hold_are_refused() {
    assert!(Chunker::new(ChunkOptions { max_chars: 0, max_tokens: 254 }).is_err());
    assert!(Chunker::new(ChunkOptions { max_chars: 10, max_tokens: 7 }).is_err());
}

#[test]
fn long_prose_is_cut_at_sentence_ends_into_full_chunks() {
    let chunks = check(chunker(), &document(&[&CLAUSE.repeat(100)]));
    for chunk in &chunks {
        assert!(chunk.text.ends_with("days. ") && chunk.text.starts_with("The Licensee"), "{:?}", chunk.text);
    }
    assert!(chunks.len() <= 13, "{} chunks are not filled well", chunks.len());
}

#[test]
fn what_is_left_is_halved_rather_than_leaving_a_crumb() {
    let chunks = check(chunker(), &document(&[&CLAUSE.repeat(10)]));
    assert_eq!(chunks.len(), 2);
    let lengths: Vec<usize> = chunks.iter().map(|chunk| chunk.text.len()).collect();
    assert!(lengths[0].abs_diff(lengths[1]) < 150, "{lengths:?}");
}

#[test]
fn paragraphs_are_preferred_to_sentences() {
    let paragraph = CLAUSE.repeat(3);
    let text = format!("{paragraph}\n\n{paragraph}\n\n{paragraph}\n\n{paragraph}");
    for chunk in check(chunker(), &document(&[&text])) {
        assert!(chunk.text.ends_with("\n\n") || chunk.text.ends_with("days. "));
        assert_eq!(chunk.text.trim().split("\n\n").last().map(|last| last.trim().len()), Some(paragraph.trim().len()));
    }
}

#[test]
fn no_chunk_spans_two_pages_and_blank_pages_join_their_neighbour() {
    let extraction = document(&[" \n", "First page.\n\n", "\u{c}", "  Third page.", "\n"]);
    let chunks = check(chunker(), &extraction);
    let seen: Vec<(Option<u32>, &str)> = chunks.iter().map(|chunk| (chunk.page, chunk.text.as_str())).collect();
    assert_eq!(seen, [(Some(2), " \nFirst page.\n\n\u{c}"), (Some(4), "  Third page.\n")]);
}

#[test]
fn a_section_begins_a_chunk_and_names_it() {
    let first = format!("# One\n\n{}\n\n", CLAUSE.repeat(5));
    let text = format!("{first}## Two\n\n{}", CLAUSE.repeat(7));
    let mut extraction = document(&[&text]);
    extraction.headings =
        vec![Heading { at: 0, level: 1, title: "One".into() }, Heading { at: first.len(), level: 2, title: "Two".into() }];
    let chunks = check(chunker(), &extraction);
    assert!(chunks[1].text.starts_with("## Two\n\nThe Licensee"), "{:?}", chunks[1].text);
    assert_eq!(chunks[0].heading_path, "One");
    assert_eq!(chunks[1].heading_path, "One › Two");
    extraction.headings[1].level = 1;
    assert_eq!(check(chunker(), &extraction)[1].heading_path, "Two");
}

#[test]
fn a_heading_is_not_left_at_the_end_of_a_chunk() {
    let first = format!("{}\n\n", CLAUSE.repeat(8).trim());
    let text = format!("{first}Payment\n\n{}", CLAUSE.repeat(8));
    let mut extraction = document(&[&text]);
    extraction.headings = vec![Heading { at: first.len(), level: 1, title: "Payment".into() }];
    let chunks = check(chunker(), &extraction);
    assert!(chunks[1].text.starts_with("Payment"), "{:?}", chunks[1].text);
}

#[test]
fn text_without_spaces_is_cut_all_the_same() {
    for unit in ["a", "a1-", "字", "ひらがな", "字。", "가", "e\u{301}", "\u{301}", "👩‍👩‍👧", "ก็"] {
        let chunks = check(chunker(), &document(&[&unit.repeat(20_000)]));
        assert!(chunks.len() >= 20, "{unit}: {}", chunks.len());
    }
}

#[test]
fn a_character_as_long_as_the_text_takes_linear_time() {
    // Quadratic time would be minutes.
    check(chunker(), &document(&[&"\u{301}".repeat(1_000_000)]));
}

#[test]
fn chinese_is_cut_after_full_stops() {
    for chunk in check(chunker(), &document(&[&"合同双方应当按照约定全面履行自己的义务。".repeat(200)])) {
        assert!(chunk.text.ends_with('。'));
    }
}

#[test]
fn sentences_of_any_script_end_chunks() {
    for sentence in [
        "「契約は終了した。」甲は乙に通知しなければならない！",
        "हम इस अनुबंध की शर्तों से सहमत हैं। ",
        "يلتزم الطرفان بأحكام هذا العقد؟ ",
        "دونوں فریق اس معاہدے کے پابند ہیں۔ ",
        "ሁለቱም ወገኖች በዚህ ውል ተስማምተዋል። ",
        "Стороны договорились о нижеследующем… ",
    ] {
        let ends: Vec<char> = "！。」।؟۔።…".chars().collect();
        for chunk in check(chunker(), &document(&[&sentence.repeat(200)])) {
            assert!(chunk.text.trim_end().ends_with(ends.as_slice()), "{:?}", chunk.text);
            assert!(!chunk.text.starts_with('」'), "{:?}", chunk.text);
        }
    }
}

#[test]
fn pages_that_do_not_tile_the_text_are_ignored() {
    let mut extraction = document(&["One. ", "Two."]);
    extraction.pages.pop();
    assert_eq!(check(chunker(), &extraction).len(), 1);
}

fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\n".to_owned()),
        Just("\n\n".to_owned()),
        Just("\r\n".to_owned()),
        Just("\u{c}".to_owned()),
        Just("[SEP] ".to_owned()),
        Just("。".to_owned()),
        "[A-Za-z]{1,12}[.,;]? ",
        "[!-~]{1,150}",
        "\\PC{0,40}",
        "[\u{300}-\u{36f}\u{3040}-\u{30ff}\u{ac00}-\u{ad00}]{0,120}",
        ".{0,20}",
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// Chunkers with limits so small that every rule is met in short texts.
fn small_chunkers() -> &'static [Chunker] {
    static CHUNKERS: OnceLock<Vec<Chunker>> = OnceLock::new();
    CHUNKERS.get_or_init(|| {
        let limits = [(1, 8), (7, 60), (40, 8), (50, 12), (200, 30), (60, 60)];
        limits.map(|(max_chars, max_tokens)| Chunker::new(ChunkOptions { max_chars, max_tokens }).unwrap()).into()
    })
}

/// What a reader sees as single characters, of several parts each, among spaces and full stops.
fn clusters() -> impl Strategy<Value = String> {
    let cluster = prop::sample::select(vec![
        "e\u{301}",
        "👩‍👩‍👧",
        "🇩🇪",
        "각",
        "\u{1100}\u{1161}\u{11a8}",
        "ก็",
        "क्षि",
        "が",
        "か\u{3099}",
        "字",
        "。",
        "𠮷",
        "a",
        "\r\n",
        " ",
        ". ",
    ]);
    proptest::collection::vec(cluster, 0..400).prop_map(|clusters| clusters.concat())
}

proptest! {
    #[test]
    fn no_character_is_parted(text in clusters(), max_chars in 20_usize..200) {
        use unicode_segmentation::UnicodeSegmentation;
        let chunker = Chunker::new(ChunkOptions { max_chars, max_tokens: 254 }).unwrap();
        let borders: std::collections::HashSet<usize> = text.grapheme_indices(true).map(|(at, _)| at).collect();
        let mut at = 0;
        for chunk in check(&chunker, &document(&[&text])) {
            prop_assert!(borders.contains(&at), "{at} in {text:?}");
            at += chunk.text.len();
        }
    }

    #[test]
    fn chunks_tile_any_text(pages in proptest::collection::vec(any_text(), 1..4), which in 0_usize..6) {
        let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
        let extraction = document(&pages);
        for chunk in check(&small_chunkers()[which], &extraction) {
            prop_assert_eq!(slice(&extraction.text, chunk.span), chunk.text);
        }
    }
}
