//! Server-sent events as chat completions use them (`data:` lines), and objects a line as Ollama does, cut out of a stream of
//! bytes.

/// A longer line is no event of a language model.
const LONGEST_LINE: usize = 1 << 20;

/// Takes bytes, gives the data of whole lines.
pub(super) struct Events {
    line: Vec<u8>,
    /// What data begins with; what does not is no data.
    prefix: &'static str,
}

impl Events {
    /// Server-sent events.
    pub fn of_events() -> Self {
        Self { line: Vec::new(), prefix: "data:" }
    }

    /// Every line that holds something.
    pub fn of_lines() -> Self {
        Self { line: Vec::new(), prefix: "" }
    }

    /// Hands the data of every line that `bytes` end to `take`. False where a line is too long to be one.
    pub fn push<E>(&mut self, bytes: &[u8], mut take: impl FnMut(&str) -> Result<(), E>) -> Result<bool, E> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + piece.len() > LONGEST_LINE {
                return Ok(false);
            }
            self.line.extend_from_slice(piece);
            if self.line.ends_with(b"\n") {
                let line = String::from_utf8_lossy(&self.line).into_owned();
                self.line.clear();
                if let Some(data) = line.trim().strip_prefix(self.prefix).filter(|data| !data.is_empty()) {
                    take(data.trim_start())?;
                }
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_they_come() {
        let stream = ": hello\r\nevent: x\ndata: {\"a\":\"ü\"}\r\n\ndata:[DONE]\ndata: cut";
        for size in 1..20 {
            let (mut events, mut seen) = (Events::of_events(), Vec::new());
            for piece in stream.as_bytes().chunks(size) {
                let mut keep = |data: &str| {
                    seen.push(data.to_owned());
                    Ok::<_, ()>(())
                };
                events.push(piece, &mut keep).unwrap();
            }
            assert_eq!(seen, ["{\"a\":\"ü\"}", "[DONE]"]);
        }
        assert!(!Events::of_lines().push(&vec![b'x'; LONGEST_LINE + 1], |_| Ok::<_, ()>(())).unwrap());
    }
}
