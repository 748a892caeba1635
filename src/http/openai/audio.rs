//! `POST /v1/audio/transcriptions`: a recording in, what is said in it out, in the formats that OpenAI's clients ask for. It goes to a
//! local speech server and nowhere else, and nothing of it is kept.

use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::multipart::Field;
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use serde::Serialize;
use strongroom_ingest::extract::{Audio, TranscribeError};
use strongroom_ingest::model::{Lane, Reason, Said, Transcript};
use utoipa::ToSchema;

use super::models::{ACCURATE, FAST, not_found};
use super::read::bad;
use crate::http::openapi::OpenAiRefusals;
use crate::http::problem::Problem;
use crate::http::recordings::{ScribeBody, in_seconds};
use crate::http::{Shared, blocking};
use crate::speech::Wish;

/// Bytes of a request: two hours of MP3, and a quarter of one without compression.
pub(super) const MOST: usize = 128 * 1024 * 1024;
/// Bytes of a field that is no file.
const MOST_OF_FIELD: usize = 16 * 1024;
/// So much is read and thrown away of a refused request, so that the client gets to read why.
const DRAINED: usize = 32 * 1024 * 1024;
const LONGEST_DRAIN: Duration = Duration::from_secs(10);

/// A recording to be written down.
#[derive(ToSchema)]
#[allow(dead_code)] // Only its shape is used.
pub(super) struct TranscriptionRequest {
    /// The recording: wav, mp3, m4a, flac or ogg.
    #[schema(content_media_type = "application/octet-stream", value_type = String, format = Binary)]
    file: Vec<u8>,
    /// `strongroom-fast` or `strongroom-accurate`; any other name leaves the choice to the rule of the configuration.
    model: Option<String>,
    /// The language that is spoken, such as `en`.
    language: Option<String>,
    /// `json`, `text`, `srt`, `verbose_json` or `vtt`; `json` if not given.
    response_format: Option<String>,
}

/// What is said in a recording.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TranscriptionBody {
    /// The words.
    text: String,
    /// `transcribe`
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<&'static str>,
    /// The language that was heard; only in `verbose_json`, where the server says.
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    /// Seconds that it lasts; only in `verbose_json`, where anybody says.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<f64>,
    /// When what is said; only in `verbose_json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    segments: Option<Vec<SegmentBody>>,
    /// Who wrote it down.
    strongroom: ScribeBody,
}

/// Something that is said.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SegmentBody {
    /// 0-based place.
    id: usize,
    /// Seconds until it begins.
    start: f64,
    /// Seconds until it ends.
    end: f64,
    /// The words.
    text: String,
}

/// The format of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Format {
    #[default]
    Json,
    Text,
    Srt,
    VerboseJson,
    Vtt,
}

/// A request's fields.
#[derive(Default)]
struct Asked {
    file: Option<(String, Option<String>, Bytes)>,
    wish: Wish,
    format: Format,
    /// The lane's name where one was named.
    model: String,
}

/// Writes down what is said in a recording, by a local speech server. Nothing of it is kept. Without one: 501 `no_speech`.
#[utoipa::path(
    post, path = "/v1/audio/transcriptions", tag = "openai", operation_id = "transcribe",
    request_body(content = TranscriptionRequest, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "What is said.", content(
            (TranscriptionBody = "application/json"), (String = "text/plain"), (String = "text/vtt"),
        )),
        OpenAiRefusals,
    ),
)]
pub(super) async fn transcribe(State(context): Shared, request: Request) -> Result<Response, Problem> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.to_ascii_lowercase();
    if !kind.starts_with("multipart/form-data") || !kind.contains("boundary=") {
        return Err(bad("file", "must come as `multipart/form-data`"));
    }
    let Some(speech) = context.door.speech.clone() else {
        drain(request.into_body()).await;
        let detail = "No speech server is configured (`[[speech]]`), so recordings can't be written down.";
        return Err(Problem::new(StatusCode::NOT_IMPLEMENTED, "no_speech", "There is no speech server", detail));
    };
    let limits = &context.door.limits;
    let full = || Problem::busy("Too many recordings are being written down; try again later.");
    let permit = tokio::time::timeout(limits.request, context.hearings.acquire()).await;
    let _permit = permit.map_err(|_| full())?.map_err(|_| full())?;
    let form = Multipart::from_request(request, &()).await.map_err(|_| bad("file", "must come as `multipart/form-data`"))?;
    let asked = tokio::time::timeout(limits.answer, read(form, limits.upload_idle)).await;
    let asked = asked.map_err(|_| Problem::timeout("The recording did not come in time."))??;
    if asked.wish.lane.is_some_and(|lane| !speech.has(lane)) {
        return Err(not_found(&asked.model));
    }
    let Some((name, media_type, bytes)) = asked.file else { return Err(bad("file", "is missing")) };
    let (pipeline, measured) = (context.door.pipeline.clone(), bytes.clone());
    let recording = blocking(move || match pipeline.measure(&name, media_type.as_deref(), &measured) {
        Ok(Ok(recording)) => Ok(recording),
        Ok(Err((reason, detail))) => Err(Problem::unreadable(Some(reason), Some(&detail))),
        Err(error) => Err(error.into()),
    })
    .await?;
    let length = bytes.len() as u64;
    let audio = Audio { bytes: Box::new(std::io::Cursor::new(bytes)), length, recording: &recording, place: "" };
    let transcript = speech.write_down(audio, &asked.wish).await.map_err(|error| match error {
        TranscribeError::Refused(why) => Problem::unreadable(Some(Reason::Unsupported), Some(&why)),
        TranscribeError::Unavailable(_) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Problem::new(status, "speech_unavailable", "No speech server answers", format!("{error}."))
        }
    })?;
    Ok(written(transcript, asked.format))
}

/// Reads a refused request to its end, so that the client gets to read why it was refused.
async fn drain(mut body: Body) {
    let read = async {
        let mut left = DRAINED;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, |data| data.len());
            if length > left {
                break;
            }
            left -= length;
        }
    };
    // A client that is slower than this has to do without the reason.
    let _ = tokio::time::timeout(LONGEST_DRAIN, read).await;
}

/// The form's fields. Those that nobody here knows are passed over, for clients send many.
async fn read(mut form: Multipart, idle: Duration) -> Result<Asked, Problem> {
    let mut asked = Asked::default();
    while let Some(field) = in_time(idle, form.next_field()).await? {
        let name = field.name().unwrap_or_default().to_owned();
        if name == "file" {
            let file = field.file_name().unwrap_or_default().to_owned();
            let media_type =
                field.content_type().map(str::to_ascii_lowercase).filter(|kind| kind != "application/octet-stream");
            asked.file = Some((file, media_type, Bytes::from(all(field, idle, MOST).await?)));
            continue;
        }
        let text = all(field, idle, MOST_OF_FIELD).await?;
        let text = String::from_utf8(text).map_err(|_| bad("body", "has a field that is not UTF-8"))?;
        match name.as_str() {
            "model" => {
                asked.wish.lane = match text.as_str() {
                    FAST => Some(Lane::Fast),
                    ACCURATE => Some(Lane::Accurate),
                    _ => None,
                };
                asked.model = text;
            }
            "language" if !text.is_empty() => {
                if text.len() > 16 || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
                    return Err(bad("language", "must be a language's code, such as `en`"));
                }
                asked.wish.language = Some(text);
            }
            "response_format" => asked.format = format_of(&text)?,
            "stream" if text == "true" => return Err(bad("stream", "is not served here: the answer comes whole")),
            _ => {}
        }
    }
    Ok(asked)
}

fn format_of(text: &str) -> Result<Format, Problem> {
    Ok(match text {
        "json" => Format::Json,
        "text" => Format::Text,
        "srt" => Format::Srt,
        "verbose_json" => Format::VerboseJson,
        "vtt" => Format::Vtt,
        _ => return Err(bad("response_format", "must be `json`, `text`, `srt`, `verbose_json` or `vtt`")),
    })
}

async fn all(mut field: Field<'_>, idle: Duration, most: usize) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    while let Some(piece) = in_time(idle, field.chunk()).await? {
        if bytes.len() + piece.len() > most {
            return Err(Problem::too_large(most as u64));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

async fn in_time<T>(
    idle: Duration,
    work: impl Future<Output = Result<T, axum::extract::multipart::MultipartError>>,
) -> Result<T, Problem> {
    let done = tokio::time::timeout(idle, work).await.map_err(|_| Problem::timeout("No bytes came for too long."))?;
    done.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(MOST as u64),
        _ => bad("body", "is no whole `multipart/form-data`"),
    })
}

/// The answer in the format that was asked for.
fn written(transcript: Transcript, format: Format) -> Response {
    let Transcript { said, scribe } = transcript;
    let said: Vec<Said> = said
        .into_iter()
        .map(|said| Said { text: said.text.split_whitespace().collect::<Vec<_>>().join(" "), ..said })
        .filter(|said| !said.text.is_empty())
        .collect();
    let text = || said.iter().map(|said| said.text.as_str()).collect::<Vec<_>>().join(" ");
    let plain = |kind: &'static str, text: String| ([(CONTENT_TYPE, kind)], text).into_response();
    match format {
        Format::Text => plain("text/plain; charset=utf-8", text() + "\n"),
        Format::Srt => {
            let cue = |(at, said): (usize, &Said)| format!("{}\n{}\n{}\n\n", at + 1, span(said, ','), said.text);
            plain("text/plain; charset=utf-8", said.iter().enumerate().map(cue).collect())
        }
        Format::Vtt => {
            // These would be markup there.
            let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let cues: String = said.iter().map(|said| format!("{}\n{}\n\n", span(said, '.'), escaped(&said.text))).collect();
            plain("text/vtt; charset=utf-8", format!("WEBVTT\n\n{cues}"))
        }
        Format::Json | Format::VerboseJson => {
            let verbose = format == Format::VerboseJson;
            let segment = |(id, said): (usize, &Said)| SegmentBody {
                id,
                start: in_seconds(said.start_ms),
                end: in_seconds(said.end_ms),
                text: said.text.clone(),
            };
            let body = TranscriptionBody {
                text: text(),
                task: verbose.then_some("transcribe"),
                language: scribe.language.clone().filter(|_| verbose),
                duration: scribe.length_ms.filter(|_| verbose).map(in_seconds),
                segments: verbose.then(|| said.iter().enumerate().map(segment).collect()),
                strongroom: ScribeBody::from(scribe),
            };
            Json(body).into_response()
        }
    }
}

/// `00:00:58,250 --> 00:01:06,000`
fn span(said: &Said, point: char) -> String {
    let time =
        |milliseconds: u64| format!("{}{point}{:03}", strongroom_ingest::model::clock(milliseconds), milliseconds % 1000);
    format!("{} --> {}", time(said.start_ms), time(said.end_ms))
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use strongroom_ingest::model::Scribe;

    use super::*;

    async fn text(format: Format) -> String {
        let scribe = Scribe {
            lane: Lane::Accurate,
            chosen_by: "length".into(),
            name: "small".into(),
            model: "tiny.en".into(),
            endpoint: "127.0.0.1:9".into(),
            server: "a server".into(),
            process: None,
            digest: None,
            language: Some("en".into()),
            length_ms: Some(3_725_900),
        };
        let say = |start_ms, end_ms, text: &str| Said { start_ms, end_ms, text: text.into() };
        let said = vec![say(0, 1500, " Good  morning. "), say(1500, 1600, " "), say(3_725_250, 3_725_900, "a < b")];
        let response = written(Transcript { said, scribe }, format);
        String::from_utf8(to_bytes(response.into_body(), 10_000).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn each_format_says_the_same() {
        assert_eq!(text(Format::Text).await, "Good morning. a < b\n");
        let srt = "1\n00:00:00,000 --> 00:00:01,500\nGood morning.\n\n2\n01:02:05,250 --> 01:02:05,900\na < b\n\n";
        assert_eq!(text(Format::Srt).await, srt);
        let vtt = "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nGood morning.\n\n01:02:05.250 --> 01:02:05.900\na &lt; b\n\n";
        assert_eq!(text(Format::Vtt).await, vtt);
        let json: serde_json::Value = serde_json::from_str(&text(Format::Json).await).unwrap();
        assert_eq!((&json["text"], &json["strongroom"]["lane"]), (&"Good morning. a < b".into(), &"accurate".into()));
        assert!(json.get("segments").is_none());
        let verbose: serde_json::Value = serde_json::from_str(&text(Format::VerboseJson).await).unwrap();
        assert_eq!((&verbose["segments"][1]["id"], &verbose["segments"][1]["start"]), (&1.into(), &3725.25.into()));
        assert_eq!((&verbose["duration"], &verbose["language"]), (&3725.9.into(), &"en".into()));
    }

    #[test]
    fn other_formats_are_refused() {
        assert_eq!(format_of("verbose_json").unwrap(), Format::VerboseJson);
        assert_eq!(format_of("diarized_json").unwrap_err().body("r").fields, ["response_format"]);
    }
}
