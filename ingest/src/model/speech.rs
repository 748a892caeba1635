//! The vocabulary of recordings: what one is, who wrote down what is said in it, and where that lies in time.

use std::str::FromStr;

use super::{ParseError, Span};

const MINUTE_MS: u64 = 60_000;

/// What holds the sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sound {
    /// RIFF.
    Wav,
    /// MPEG layer III.
    Mp3,
    /// AAC or ALAC in MPEG-4.
    M4a,
    /// FLAC.
    Flac,
    /// Vorbis, Opus or Speex in Ogg.
    Ogg,
}

impl Sound {
    /// The ending of such a file's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Mp3 => "mp3",
            Self::M4a => "m4a",
            Self::Flac => "flac",
            Self::Ogg => "ogg",
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Wav => "audio/wav",
            Self::Mp3 => "audio/mpeg",
            Self::M4a => "audio/mp4",
            Self::Flac => "audio/flac",
            Self::Ogg => "audio/ogg",
        }
    }
}

impl FromStr for Sound {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let all = [Self::Wav, Self::Mp3, Self::M4a, Self::Flac, Self::Ogg];
        all.into_iter().find(|sound| sound.as_str() == text).ok_or(ParseError("kind of recording"))
    }
}

/// What a recording's own headers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// What holds the sound.
    pub sound: Sound,
    /// How long it is, in milliseconds; none where its headers do not say.
    pub length_ms: Option<u64>,
    /// Its title.
    pub title: Option<String>,
    /// Who is heard, by its own metadata.
    pub artist: Option<String>,
}

/// Which of two kinds of speech server writes a recording down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// The one that is done soon.
    Fast,
    /// The one that mishears less.
    Accurate,
}

impl Lane {
    /// The word that the API, the catalog and the configuration use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Accurate => "accurate",
        }
    }
}

impl FromStr for Lane {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "fast" => Ok(Self::Fast),
            "accurate" => Ok(Self::Accurate),
            _ => Err(ParseError("lane")),
        }
    }
}

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// When it begins, in milliseconds.
    pub start_ms: u64,
    /// When it ends.
    pub end_ms: u64,
    /// The words.
    pub text: String,
}

/// What is said in a recording, and who wrote it down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    /// In order of time.
    pub said: Vec<Said>,
    /// By whom.
    pub scribe: Scribe,
}

/// Who wrote a recording down: recorded with what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scribe {
    /// The lane.
    pub lane: Lane,
    /// What chose the lane: `request`, `folder`, `length`, or `only` where there is no other.
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
    /// The weights, as `sha256:…`; none where nobody knows them.
    pub digest: Option<String>,
    /// The language that it heard, as it says.
    pub language: Option<String>,
    /// How long the recording is, in milliseconds, where it is known.
    pub length_ms: Option<u64>,
}

/// Where a piece of a transcript lies, in its text and in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// In the text.
    pub span: Span,
    /// When it begins, in milliseconds.
    pub start_ms: u64,
    /// When it ends.
    pub end_ms: u64,
}

/// The page of a transcript that begins with what is said at a time: a minute is a page.
pub fn page_at(start_ms: u64) -> u32 {
    // Whatever a server says, nothing is recorded for longer than the number holds.
    u32::try_from(start_ms / MINUTE_MS + 1).unwrap_or(u32::MAX)
}

/// A time in a recording for people: `00:12:05`.
pub fn clock(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back_and_times_are_for_people() {
        for sound in [Sound::Wav, Sound::Mp3, Sound::M4a, Sound::Flac, Sound::Ogg] {
            assert_eq!(sound.as_str().parse(), Ok(sound));
        }
        for lane in [Lane::Fast, Lane::Accurate] {
            assert_eq!(lane.as_str().parse(), Ok(lane));
        }
        assert_eq!((clock(3_725_900).as_str(), page_at(59_999), page_at(60_000)), ("01:02:05", 1, 2));
    }
}
