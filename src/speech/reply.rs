//! What a speech server answers: the words, and when they are said.

use serde::Deserialize;
use serde_json::Value;
use strongroom_ingest::model::Said;

/// Longest name of a language that is kept.
const LONGEST_LANGUAGE: usize = 32;

/// What it heard.
#[derive(Debug, PartialEq)]
pub(super) struct Heard {
    pub said: Vec<Said>,
    pub language: Option<String>,
    pub length_ms: Option<u64>,
}

/// `verbose_json`, as far as it is used.
#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    language: Option<String>,
    /// A number, or one written as text.
    #[serde(default)]
    duration: Value,
    #[serde(default)]
    segments: Option<Vec<Segment>>,
}

#[derive(Deserialize)]
struct Segment {
    #[serde(default)]
    start: f64,
    #[serde(default)]
    end: f64,
    #[serde(default)]
    text: String,
}

/// Reads an answer; none if it is no such thing. `length_ms` is what the recording's own headers say: without times of its own the
/// whole is said from the beginning to the end.
pub(super) fn read(body: &[u8], length_ms: Option<u64>) -> Option<Heard> {
    let body: Body = serde_json::from_slice(body).ok()?;
    let seconds = body.duration.as_f64().or_else(|| body.duration.as_str()?.parse().ok());
    let length_ms = length_ms.or(seconds.map(milliseconds));
    let said = match body.segments {
        Some(segments) if !segments.is_empty() => segments
            .into_iter()
            .map(|Segment { start, end, text }| Said { start_ms: milliseconds(start), end_ms: milliseconds(end), text })
            .collect(),
        // What says nothing at all is no transcript, whatever its status.
        segments => {
            let text = body.text.or(segments.map(|_| String::new()))?;
            vec![Said { start_ms: 0, end_ms: length_ms.unwrap_or(0), text }]
        }
    };
    let language = body.language.map(|language| {
        let plain = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_');
        language.chars().filter(plain).take(LONGEST_LANGUAGE).collect::<String>()
    });
    Some(Heard { said, language: language.filter(|language| !language.is_empty()), length_ms })
}

fn milliseconds(seconds: f64) -> u64 {
    // What is negative or no number becomes 0, what is too large the largest.
    (seconds * 1000.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_have_their_times_and_a_bare_text_has_the_whole() {
        let body = br#"{"task":"transcribe","language":"english","duration":"3.5","text":"a b",
            "segments":[{"id":0,"start":0.25,"end":1.5,"text":" a"},{"id":1,"start":-1,"end":3.5,"text":" b","tokens":[1]}]}"#;
        let heard = read(body, None).unwrap();
        let times: Vec<_> = heard.said.iter().map(|said| (said.start_ms, said.end_ms)).collect();
        assert_eq!(times, [(250, 1500), (0, 3500)]);
        assert_eq!((heard.language.as_deref(), heard.length_ms), (Some("english"), Some(3500)));
        let heard = read(br#"{"text":"all of it"}"#, Some(9000)).unwrap();
        assert_eq!(heard.said, [Said { start_ms: 0, end_ms: 9000, text: "all of it".into() }]);
        assert_eq!(read(br#"{"segments":[]}"#, None).unwrap().said[0].text, "");
        for other in [&b"WEBVTT"[..], b"[]", b"{}", br#"{"error":"busy"}"#] {
            assert!(read(other, None).is_none());
        }
    }
}
