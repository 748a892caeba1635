//! The chunker: chunks tile any text, and each is exactly its span of it. Pages end at form feeds, headings begin at `#`.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use strongroom_fuzz::chunk::{ChunkOptions, Chunker};
use strongroom_fuzz::model::{Extraction, Heading, Page};

static CHUNKERS: LazyLock<[Chunker; 2]> = LazyLock::new(|| {
    let small = ChunkOptions { max_chars: 60, max_tokens: 12 };
    [ChunkOptions::default(), small].map(|options| Chunker::new(options).expect("the limits are large enough"))
});

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data).into_owned();
    let mut pages = Vec::new();
    let mut start = 0;
    for (number, page) in (1..).zip(text.split_inclusive('\u{c}')) {
        let bytes = start..start + page.len();
        start = bytes.end;
        pages.push(Page { number: Some(number), bytes, engine: String::new(), quality: None });
    }
    let heading = |(at, _)| Heading { at, level: 1 + (at % 5) as u8, title: "heading".to_owned() };
    let headings = text.match_indices('#').map(heading).collect();
    let extraction = Extraction { text, pages, headings, ..Extraction::default() };
    for chunker in &*CHUNKERS {
        let mut rest = extraction.text.as_str();
        let mut at = 0;
        for chunk in chunker.chunk(&extraction) {
            assert_eq!(chunk.span.start, at);
            at = chunk.span.end;
            assert_eq!(at - chunk.span.start, chunk.text.chars().count() as u64);
            rest = rest.strip_prefix(chunk.text.as_str()).expect("chunks tile the text");
        }
        assert!(rest.is_empty());
    }
});
