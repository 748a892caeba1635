//! Unpacks the compressed Rich Text that Outlook keeps bodies in. The method is in [MS-OXRTFCP].

/// What the window holds before the first byte.
const BEGINNING: &[u8] = b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \
\\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx";
const WINDOW: usize = 4096;
/// Length of what comes before the packed bytes: sizes, method, checksum.
const HEADER: usize = 16;
const PACKED: &[u8] = b"LZFu";
const PLAIN: &[u8] = b"MELA";

/// The Rich Text; none where the method is unknown. What is cut short gives what there is.
pub(super) fn unpacked(bytes: &[u8], most_bytes: usize) -> Option<Vec<u8>> {
    let method = bytes.get(8..12)?;
    let body = bytes.get(HEADER..)?;
    if method == PLAIN {
        return Some(body.to_vec());
    }
    if method != PACKED {
        return None;
    }
    let mut window = [b' '; WINDOW];
    window[..BEGINNING.len()].copy_from_slice(BEGINNING);
    let mut place = BEGINNING.len();
    let mut out = Vec::new();
    let mut input = body.iter().copied();
    'all: while let Some(control) = input.next() {
        for bit in 0..8 {
            if out.len() >= most_bytes {
                break 'all;
            }
            if control & (1 << bit) == 0 {
                let Some(byte) = input.next() else { break 'all };
                out.push(byte);
                window[place] = byte;
                place = (place + 1) % WINDOW;
                continue;
            }
            let (Some(high), Some(low)) = (input.next(), input.next()) else { break 'all };
            let reference = u16::from_be_bytes([high, low]);
            let from = usize::from(reference >> 4);
            // A reference to the place that is written next is the end.
            if from == place {
                break 'all;
            }
            for step in 0..usize::from(reference & 0xf) + 2 {
                let byte = window[(from + step) % WINDOW];
                out.push(byte);
                window[place] = byte;
                place = (place + 1) % WINDOW;
            }
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_unpacks() {
        // Section 4.1.1 of [MS-OXRTFCP].
        let packed = [
            0x2d, 0, 0, 0, 0x2b, 0, 0, 0, 0x4c, 0x5a, 0x46, 0x75, 0xf1, 0xc5, 0xc7, 0xa7, 0x03, 0x00, 0x0a, 0x00, 0x72, 0x63,
            0x70, 0x67, 0x31, 0x32, 0x35, 0x42, 0x32, 0x0a, 0xf3, 0x20, 0x68, 0x65, 0x6c, 0x09, 0x00, 0x20, 0x62, 0x77, 0x05,
            0xb0, 0x6c, 0x64, 0x7d, 0x0a, 0x80, 0x0f, 0xa0,
        ];
        assert_eq!(BEGINNING.len(), 207);
        let expected = b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n";
        assert_eq!(unpacked(&packed, 1000).unwrap(), expected);
        assert_eq!(unpacked(&packed[..30], 1000).unwrap(), &expected[..unpacked(&packed[..30], 1000).unwrap().len()]);
        assert_eq!(unpacked(b"short", 10), None);
    }
}
