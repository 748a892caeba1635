//! A long recording of which only the beginning and the end are kept: all that its headers can say stands there, and hours of sound
//! need not fit into a worker's memory.

use std::io::{self, Read, Seek, SeekFrom};

/// Bytes kept at the beginning and at the end.
pub(in crate::extract) const KEPT: usize = 16 << 20;

/// What lies between the two, if anything was left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::extract) struct Gap {
    /// Where it begins.
    pub at: usize,
    /// Bytes left out.
    pub length: u64,
}

/// Takes out what grew between the first `kept` bytes and the last.
pub(in crate::extract) fn hollow_out(bytes: &mut Vec<u8>, gap: &mut Gap, kept: usize) {
    // Seldom enough to cost nothing.
    if bytes.len() >= 3 * kept {
        let end = bytes.len() - kept;
        bytes.drain(kept..end);
        gap.at = kept;
        gap.length += (end - kept) as u64;
    }
}

/// Reads such bytes as if the gap were zeros.
pub(super) struct Hollow<'a> {
    bytes: &'a [u8],
    gap: Gap,
    at: u64,
}

impl<'a> Hollow<'a> {
    pub fn new(bytes: &'a [u8], gap: Gap) -> Self {
        Self { bytes, gap, at: 0 }
    }

    fn length(&self) -> u64 {
        self.bytes.len() as u64 + self.gap.length
    }
}

impl Read for Hollow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (begin, end) = (self.gap.at as u64, self.gap.at as u64 + self.gap.length);
        let filled = if self.at >= begin && self.at < end {
            let zeros = buffer.len().min(usize::try_from(end - self.at).unwrap_or(usize::MAX));
            buffer[..zeros].fill(0);
            zeros
        } else {
            let (from, to) = match self.at < begin {
                true => (self.at, begin),
                false => (self.at.min(self.length()) - self.gap.length, self.bytes.len() as u64),
            };
            // Both lie within the bytes, which are in memory.
            (&self.bytes[from as usize..to as usize]).read(buffer)?
        };
        self.at += filled as u64;
        Ok(filled)
    }
}

impl Seek for Hollow<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, offset) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::End(offset) => (self.length(), offset),
            SeekFrom::Current(offset) => (self.at, offset),
        };
        self.at = base.checked_add_signed(offset).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_reads_as_zeros_and_everything_else_as_it_was() {
        let whole: Vec<u8> = (1..=90).collect();
        let (mut bytes, mut gap) = (Vec::new(), Gap::default());
        for piece in whole.chunks(7) {
            bytes.extend_from_slice(piece);
            hollow_out(&mut bytes, &mut gap, 10);
        }
        assert_eq!(bytes.len() as u64 + gap.length, 90);
        assert!(bytes.len() < 40 && gap.at == 10, "{gap:?}");
        let mut all = Vec::new();
        let mut hollow = Hollow::new(&bytes, gap);
        hollow.read_to_end(&mut all).unwrap();
        let gone = 10..10 + gap.length as usize;
        let expected: Vec<u8> = (0..90).map(|at| if gone.contains(&at) { 0 } else { whole[at] }).collect();
        assert_eq!(all, expected);
        for (to, expected) in [(SeekFrom::Start(3), 4), (SeekFrom::End(-1), 90), (SeekFrom::Start(gone.start as u64), 0)] {
            hollow.seek(to).unwrap();
            let mut byte = [9];
            hollow.read_exact(&mut byte).unwrap();
            assert_eq!(byte, [expected], "{to:?}");
        }
        hollow.seek(SeekFrom::Start(1000)).unwrap();
        assert_eq!(hollow.read(&mut [0]).unwrap(), 0);
        assert!(hollow.seek(SeekFrom::Current(-2000)).is_err());
        let plain = Hollow::new(&whole, Gap::default()).read_to_end(&mut all);
        assert_eq!(plain.unwrap(), 90);
    }
}
