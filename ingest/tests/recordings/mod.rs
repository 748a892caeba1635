//! Recordings in a real worker process.

use std::io::{self, Read};

use strongroom_ingest::extract::{ExtractOptions, Extractor, Source};

use super::options;

/// The file is longer than a worker's memory: only its beginning and its end are kept.
pub fn one_may_be_longer_than_that() {
    let limited = ExtractOptions { memory_bytes: 400 << 20, max_file_bytes: 1 << 30, ..options(&["worker"]) };
    let samples: u32 = 600 << 20;
    let head = [
        b"RIFF",
        &(36 + samples).to_le_bytes()[..],
        b"WAVEfmt \x10\0\0\0\x01\0\x02\0\x44\xac\0\0\x10\xb1\x02\0\x04\0\x10\0data",
    ];
    let head = [&head.concat()[..], &samples.to_le_bytes()].concat();
    let len = head.len() as u64 + u64::from(samples);
    let mut bytes = head.chain(io::repeat(0).take(samples.into()));
    let source = Source { bytes: &mut bytes, len, name: "a.wav", media_type: None, passwords: &[], hearing: None };
    let recording = Extractor::new(limited).extract(source).unwrap().outcome.unwrap_err().recording.unwrap();
    assert_eq!(recording.length_ms.map(|length| length / 1000), Some(u64::from(samples) / 176_400));
}
