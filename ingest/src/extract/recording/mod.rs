//! Recordings: told by their contents, measured by their headers. What is said in them is written down by others.

mod hollow;
mod transcript;

use lofty::config::{ParseOptions, ParsingMode};
use lofty::file::{AudioFile, FileType, TaggedFileExt};
use lofty::probe::Probe;
use lofty::tag::Accessor;

use super::Unreadable;
use super::detect::Hints;
use super::wire::Answer;
use super::writer::one_line;
use crate::model::{Reason, Recording, Sound};

pub(super) use hollow::{Gap, KEPT, hollow_out};
pub(super) use transcript::extraction;

use hollow::Hollow;

/// Of what a recording says of itself, at most so many characters are kept.
const LONGEST_TITLE: usize = 300;
/// The second frame of an MP3 file is looked for, for two bytes begin many things.
const LAYER_III_KBITS: [[u32; 15]; 2] = [
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];
const LAYER_III_HERTZ: [u32; 3] = [44_100, 48_000, 32_000];

/// What kind of recording bytes are; none if they are something else.
pub(super) fn sound_of(bytes: &[u8], hints: Hints<'_>) -> Option<Sound> {
    let head = &bytes[..bytes.len().min(1024)];
    match head {
        [b'R', b'I', b'F', b'F' | b'X', _, _, _, _, b'W', b'A', b'V', b'E', ..]
        | [b'R', b'F', b'6', b'4', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Some(Sound::Wav),
        [b'f', b'L', b'a', b'C', ..] => Some(Sound::Flac),
        [b'O', b'g', b'g', b'S', 0, ..] => {
            let holds = |mark: &[u8]| head.windows(mark.len()).any(|window| window == mark);
            let heard = [&b"\x01vorbis"[..], b"OpusHead", b"Speex   ", b"\x7fFLAC"].iter().any(|mark| holds(mark));
            (heard && !holds(b"\x80theora")).then_some(Sound::Ogg)
        }
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => {
            let by_brand = [&b"M4A "[..], b"M4B "].iter().any(|own| brand.starts_with(own));
            let said = hints.extension == "m4a" || matches!(hints.media_type, Some("audio/mp4" | "audio/x-m4a" | "audio/m4a"));
            (by_brand || said).then_some(Sound::M4a)
        }
        [b'I', b'D', b'3', 2..=4, _, _, a, b, c, d, ..] => {
            let length = [a, b, c, d].iter().fold(0, |length, byte| length << 7 | usize::from(**byte & 0x7f));
            match bytes.get(10 + length..).unwrap_or_default() {
                [b'f', b'L', b'a', b'C', ..] => Some(Sound::Flac),
                // AAC without a container.
                [0xff, second, ..] if second & 0xf6 == 0xf0 => None,
                _ => Some(Sound::Mp3),
            }
        }
        _ => {
            let second = frame_length(bytes).and_then(|length| bytes.get(length..))?;
            frame_length(second).map(|_| Sound::Mp3)
        }
    }
}

/// How long the frame of MPEG layer III is that begins here; none where none does.
fn frame_length(bytes: &[u8]) -> Option<usize> {
    let [0xff, second, third, _, ..] = bytes else { return None };
    if second & 0xe6 != 0xe2 {
        return None;
    }
    // 3 is version 1, 2 is version 2, 0 is version 2.5, 1 is none.
    let version = second >> 3 & 3;
    let kbits = *LAYER_III_KBITS[usize::from(version != 3)].get(usize::from(third >> 4))?;
    let hertz = LAYER_III_HERTZ.get(usize::from(third >> 2 & 3))? >> [2, 0, 1, 0][usize::from(version)];
    let samples = if version == 3 { 144_000 } else { 72_000 };
    let length = samples * kbits / hertz + u32::from(third >> 1 & 1);
    (version != 1 && kbits > 0).then_some(length as usize)
}

/// Says what a recording is. Never an extraction: nobody in here can listen.
pub(super) fn read(bytes: &[u8], gap: Gap, sound: Sound) -> Answer {
    let recording = measured(bytes, gap, sound);
    let why = Unreadable::new(Reason::Unsupported, "it is a sound recording, and no speech server is configured");
    Err(Unreadable { recording: Some(recording), ..why })
}

/// What the headers say. A recording whose headers are odd may still be one that a speech server can play.
fn measured(bytes: &[u8], gap: Gap, sound: Sound) -> Recording {
    let kind = match sound {
        Sound::Wav => FileType::Wav,
        Sound::Mp3 => FileType::Mpeg,
        Sound::M4a => FileType::Mp4,
        Sound::Flac => FileType::Flac,
        Sound::Ogg if holds_early(bytes, b"OpusHead") => FileType::Opus,
        Sound::Ogg if holds_early(bytes, b"Speex   ") => FileType::Speex,
        Sound::Ogg => FileType::Vorbis,
    };
    let options = ParseOptions::new().read_cover_art(false).parsing_mode(ParsingMode::Relaxed);
    let mut recording = Recording { sound, length_ms: None, title: None, artist: None };
    let Ok(file) = Probe::with_file_type(Hollow::new(bytes, gap), kind).options(options).read() else { return recording };
    let length = u64::try_from(file.properties().duration().as_millis()).ok();
    recording.length_ms = length.filter(|length| *length > 0);
    if let Some(tag) = file.primary_tag().or_else(|| file.first_tag()) {
        let short = |text: &str| one_line(text).chars().filter(|c| !c.is_control()).take(LONGEST_TITLE).collect::<String>();
        let kept = |text: Option<std::borrow::Cow<'_, str>>| text.map(|text| short(&text)).filter(|text| !text.is_empty());
        recording.title = kept(tag.title());
        recording.artist = kept(tag.artist());
    }
    recording
}

fn holds_early(bytes: &[u8], mark: &[u8]) -> bool {
    bytes[..bytes.len().min(256)].windows(mark.len()).any(|window| window == mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_HINTS: Hints<'static> = Hints { extension: "", media_type: None };

    /// So many milliseconds of silence, 8,000 samples a second.
    pub(super) fn wav(milliseconds: u32) -> Vec<u8> {
        let samples = milliseconds * 8;
        let mut bytes = b"RIFF".to_vec();
        bytes.extend((36 + samples * 2).to_le_bytes());
        bytes.extend(b"WAVEfmt ");
        bytes.extend(16_u32.to_le_bytes());
        bytes.extend([1, 0, 1, 0]);
        bytes.extend(8000_u32.to_le_bytes());
        bytes.extend(16_000_u32.to_le_bytes());
        bytes.extend([2, 0, 16, 0]);
        bytes.extend(b"data");
        bytes.extend((samples * 2).to_le_bytes());
        bytes.resize(bytes.len() + samples as usize * 2, 0);
        bytes
    }

    /// Frames of 64 kbit/s and 44,100 samples a second, as they stand in a file without a tag.
    fn mp3(frames: usize) -> Vec<u8> {
        let mut frame = vec![0xff, 0xfb, 0x50, 0xc4];
        frame.resize(208, 0);
        frame.repeat(frames)
    }

    #[test]
    fn kinds_are_told_by_their_first_bytes() {
        let tagged = |rest: &[u8]| [b"ID3\x04\0\0\0\0\0\x02xx", rest].concat();
        for (bytes, expected) in [
            (wav(1), Some(Sound::Wav)),
            (mp3(3), Some(Sound::Mp3)),
            (mp3(1), None),
            (tagged(b"\xff\xfb\x50\xc4"), Some(Sound::Mp3)),
            (tagged(b"fLaC"), Some(Sound::Flac)),
            (tagged(b"\xff\xf1\x50\xc4"), None),
            (b"fLaC\0\0\0\x22".to_vec(), Some(Sound::Flac)),
            (b"OggS\0\x02.......................\x01\x1e\x01vorbis".to_vec(), Some(Sound::Ogg)),
            (b"OggS\0\x02.......................\x01\x13OpusHead".to_vec(), Some(Sound::Ogg)),
            (b"OggS\0\x02.......................\x01\x2a\x80theora".to_vec(), None),
            (b"\0\0\0\x1cftypM4A \0\0\0\0".to_vec(), Some(Sound::M4a)),
            (b"\0\0\0\x1cftypisom\0\0\0\0".to_vec(), None),
            (b"\xff\xfeh\0e\0l\0l\0o\0".to_vec(), None),
            (b"\xff\xd8\xff\xe0\0\x10JFIF".to_vec(), None),
            (b"words".to_vec(), None),
        ] {
            assert_eq!(sound_of(&bytes, NO_HINTS), expected, "{:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(40)]));
        }
        let said = Hints { extension: "m4a", media_type: None };
        assert_eq!(sound_of(b"\0\0\0\x1cftypmp42\0\0\0\0", said), Some(Sound::M4a));
    }

    #[test]
    fn length_comes_from_the_headers_and_odd_ones_say_none() {
        let length = |bytes: &[u8], sound| measured(bytes, Gap::default(), sound).length_ms;
        assert_eq!(length(&wav(61_500), Sound::Wav), Some(61_500));
        assert!((1000..1100).contains(&length(&mp3(40), Sound::Mp3).unwrap()));
        assert_eq!(length(b"fLaC and nothing more", Sound::Flac), None);
        assert_eq!(length(b"", Sound::M4a), None);
        let fixture = |name: &str| std::fs::read(format!("{}/fixtures/recordings/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let files = ["call.mp3", "call.flac", "call.m4a", "opus.ogg", "vorbis.ogg"];
        for (name, sound) in files.into_iter().zip([Sound::Mp3, Sound::Flac, Sound::M4a, Sound::Ogg, Sound::Ogg]) {
            let bytes = fixture(name);
            assert_eq!(sound_of(&bytes, NO_HINTS), Some(sound), "{name}");
            let found = measured(&bytes, Gap::default(), sound);
            assert!(found.length_ms.is_some_and(|length| (950..1200).contains(&length)), "{name}: {found:?}");
            assert_eq!((found.title.as_deref(), found.artist.as_deref()), (Some("A call"), Some("Ada")), "{name}");
        }
        let why = read(&wav(2000), Gap::default(), Sound::Wav).unwrap_err();
        assert_eq!((why.reason, why.recording.unwrap().length_ms), (Reason::Unsupported, Some(2000)));
    }
}
