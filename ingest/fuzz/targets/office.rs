//! The walkers of Office parts and the reader of Rich Text: the first byte chooses the format, the rest is its main part.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_fuzz::extract::alone::{hold, office, read};

fuzz_target!(|data: &[u8]| {
    let Some((choice, part)) = data.split_first() else { return };
    let (name, bytes) = office(*choice, part);
    if let Ok(extraction) = read(bytes, name) {
        hold(&extraction);
    }
});
