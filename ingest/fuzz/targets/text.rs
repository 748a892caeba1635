//! Web pages, Markdown, tables and plain text, and the offsets of their pages and headings: the first byte chooses the name's ending, the rest is the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_fuzz::extract::alone::{hold, name, read};

fuzz_target!(|data: &[u8]| {
    let Some((choice, file)) = data.split_first() else { return };
    if let Ok(extraction) = read(file.to_vec(), name(*choice)) {
        hold(&extraction);
    }
});
