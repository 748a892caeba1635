//! What recordings look like in JSON: when something is said, and who wrote it down. Times are seconds.

use serde::Serialize;
use strongroom_ingest::model::{Moment, Scribe, clock};
use utoipa::ToSchema;

/// When something is said.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TimeBody {
    /// Seconds from the recording's beginning until it begins.
    #[schema(example = 725.2)]
    pub start: f64,
    /// Until it ends.
    #[schema(example = 760.0)]
    pub end: f64,
    /// The same for people.
    #[schema(example = "00:12:05-00:12:40")]
    pub clock: String,
    /// Its pieces in order, each with its own time.
    pub moments: Vec<MomentBody>,
}

/// When a piece of a recording's text is said.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MomentBody {
    /// Its first character in the document's text.
    pub start: u64,
    /// One past its last character.
    pub end: u64,
    /// Seconds until it begins.
    pub from: f64,
    /// Seconds until it ends.
    pub to: f64,
}

impl TimeBody {
    /// None where nothing is said at a time of its own.
    pub fn of(moments: &[Moment]) -> Option<Self> {
        let (start, end) = seconds(moments)?;
        let pieces = moments.iter().map(|moment| MomentBody {
            start: moment.span.start,
            end: moment.span.end,
            from: in_seconds(moment.start_ms),
            to: in_seconds(moment.end_ms),
        });
        Some(Self { start, end, clock: clocks(moments)?, moments: pieces.collect() })
    }
}

/// When the first of some moments begins and the last ends.
pub(super) fn seconds(moments: &[Moment]) -> Option<(f64, f64)> {
    let (start, end) = milliseconds(moments)?;
    Some((in_seconds(start), in_seconds(end)))
}

/// The same for people: `00:12:05-00:12:40`.
pub(super) fn clocks(moments: &[Moment]) -> Option<String> {
    let (start, end) = milliseconds(moments)?;
    Some(format!("{}-{}", clock(start), clock(end)))
}

fn milliseconds(moments: &[Moment]) -> Option<(u64, u64)> {
    let end = moments.iter().map(|moment| moment.end_ms).max()?;
    Some((moments.first()?.start_ms, end))
}

pub(super) fn in_seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1000.0
}

/// Who wrote a recording down.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ScribeBody {
    /// `fast` or `accurate`.
    #[schema(example = "accurate")]
    pub lane: &'static str,
    /// What chose the lane: `request`, `folder`, `length`, or `only` where no other is configured.
    #[schema(example = "length")]
    pub chosen_by: String,
    /// The speech server's name in the configuration.
    pub name: String,
    /// Its model.
    pub model: String,
    /// Address and port that it was asked at.
    pub endpoint: String,
    /// What serves it, as it says itself.
    pub server: String,
    /// The process that listens there, where the system tells.
    pub process: Option<String>,
    /// The weights, as `sha256:…`; null where nobody reports them and no file is named.
    pub digest: Option<String>,
    /// The language that it heard, as it says.
    pub language: Option<String>,
    /// Seconds that the recording lasts; null where nobody says.
    pub duration: Option<f64>,
}

impl From<Scribe> for ScribeBody {
    fn from(scribe: Scribe) -> Self {
        Self {
            lane: scribe.lane.as_str(),
            chosen_by: scribe.chosen_by,
            name: scribe.name,
            model: scribe.model,
            endpoint: scribe.endpoint,
            server: scribe.server,
            process: scribe.process,
            digest: scribe.digest,
            language: scribe.language,
            duration: scribe.length_ms.map(in_seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use strongroom_ingest::model::Span;

    use super::*;

    #[test]
    fn a_time_goes_from_the_first_moment_to_the_last() {
        let moment = |start, start_ms, end_ms| Moment { span: Span { start, end: start + 5 }, start_ms, end_ms };
        let time = TimeBody::of(&[moment(0, 58_000, 61_250), moment(6, 61_500, 66_000)]).unwrap();
        assert_eq!((time.start, time.end, time.clock.as_str()), (58.0, 66.0, "00:00:58-00:01:06"));
        assert_eq!((time.moments[1].start, time.moments[1].from), (6, 61.5));
        assert!(TimeBody::of(&[]).is_none());
    }
}
