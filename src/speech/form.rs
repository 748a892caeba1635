//! The form in which a recording is sent: read from its file as it goes, never held as a whole.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::{self, Read};

use futures_util::{StreamExt, stream};
use strongroom_ingest::model::Sound;

use crate::egress::Pieces;

/// Bytes that are read and sent at a time.
const PIECE: usize = 256 * 1024;

/// A multipart form with one file.
pub(super) struct Form {
    boundary: String,
    head: Vec<u8>,
}

impl Form {
    /// One with these fields and a file of that kind. The file's own name stays here.
    pub fn new(fields: &[(&str, &str)], sound: Sound) -> Self {
        // Nobody who made the recording could have known these digits.
        let random = || RandomState::new().hash_one("boundary");
        let boundary = format!("strongroom-{:016x}{:016x}", random(), random());
        let mut head = String::new();
        for (name, value) in fields {
            let value: String = value.chars().filter(|c| !c.is_control()).collect();
            head.push_str(&format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
        }
        head.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"recording.{}\"\r\nContent-Type: {}\r\n\r\n",
            sound.as_str(),
            sound.media_type()
        ));
        Self { boundary, head: head.into_bytes() }
    }

    /// The form's media type.
    pub fn media_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }

    /// The body's length around a file of so many bytes, and its pieces.
    pub fn body(self, bytes: Box<dyn Read + Send>, length: u64) -> (u64, Pieces) {
        let tail = format!("\r\n--{}--\r\n", self.boundary).into_bytes();
        let whole = (self.head.len() + tail.len()) as u64 + length;
        let file = stream::try_unfold((bytes, length), |(bytes, left)| next(bytes, left));
        let once = |piece| stream::once(std::future::ready(Ok(piece)));
        (whole, Box::pin(once(self.head).chain(file).chain(once(tail))))
    }
}

/// What is read and where to go on: bytes, and how many are left.
type Step = Option<(Vec<u8>, (Box<dyn Read + Send>, u64))>;

async fn next(mut bytes: Box<dyn Read + Send>, left: u64) -> io::Result<Step> {
    if left == 0 {
        return Ok(None);
    }
    let reading = tokio::task::spawn_blocking(move || {
        let mut piece = vec![0; usize::try_from(left).unwrap_or(PIECE).min(PIECE)];
        let filled = bytes.read(&mut piece)?;
        piece.truncate(filled);
        Ok::<_, io::Error>((piece, bytes))
    });
    let (piece, bytes) = reading.await.map_err(io::Error::other)??;
    if piece.is_empty() {
        // It is shorter than it was.
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let left = left - piece.len() as u64;
    Ok(Some((piece, (bytes, left))))
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;

    use super::*;

    #[tokio::test]
    async fn a_form_is_as_long_as_it_says() {
        let audio = vec![7; PIECE + 5];
        let form = Form::new(&[("model", "tiny\r\n.en"), ("language", "en")], Sound::Mp3);
        let boundary = form.boundary.clone();
        let (length, pieces) = form.body(Box::new(io::Cursor::new(audio.clone())), audio.len() as u64);
        let pieces: Vec<Vec<u8>> = pieces.try_collect().await.unwrap();
        let body = pieces.concat();
        assert_eq!((body.len() as u64, pieces.len()), (length, 4));
        let head = String::from_utf8(pieces[0].clone()).unwrap();
        assert!(head.starts_with(&format!("--{boundary}\r\n")) && head.contains("\r\n\r\ntiny.en\r\n"), "{head}");
        assert!(head.ends_with("filename=\"recording.mp3\"\r\nContent-Type: audio/mpeg\r\n\r\n"), "{head}");
        assert!(body.ends_with(format!("\r\n--{boundary}--\r\n").as_bytes()));
        let short = Form::new(&[], Sound::Wav).body(Box::new(&b"ab"[..]), 3).1;
        assert!(short.try_collect::<Vec<_>>().await.is_err());
    }
}
