//! One speech server: attested, then shown a recording.

use std::time::Duration;

use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use strongroom_ingest::extract::{Audio, TranscribeError};
use strongroom_ingest::model::{Lane, Scribe, Transcript};
use tokio::time::timeout;

use super::form::Form;
use super::reply;
use crate::answer::{AttestOptions, Attestor, GeneratorError, Reached};
use crate::egress::Egress;

/// Bytes of a transcript, at most: a day's worth with all that servers add to each word.
const MOST_BYTES: usize = 64 << 20;

/// Which server, and how long it may take.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Its name in the configuration.
    pub name: String,
    /// What it is good for.
    pub lane: Lane,
    /// What it must be to be used.
    pub attest: AttestOptions,
    /// How long it may take over one recording.
    pub timeout: Duration,
}

pub(super) struct Server {
    options: ServerOptions,
    attestor: Attestor,
}

impl Server {
    pub fn new(options: ServerOptions, egress: Egress) -> Self {
        Self { attestor: Attestor::new(super::CLIENT, options.attest.clone(), egress), options }
    }

    pub fn name(&self) -> &str {
        &self.options.name
    }

    pub fn lane(&self) -> Lane {
        self.options.lane
    }

    /// Finds out what it is now.
    pub async fn attest(&self) -> Result<Reached, GeneratorError> {
        self.attestor.attest().await
    }

    /// Shows it a recording.
    pub async fn hear(
        &self,
        reached: &Reached,
        audio: Audio<'_>,
        language: Option<&str>,
        chosen_by: &str,
    ) -> Result<Transcript, TranscribeError> {
        let ServerOptions { name, lane, attest, timeout: most } = &self.options;
        let mut fields = vec![("model", attest.model.as_str()), ("response_format", "verbose_json")];
        fields.push(("timestamp_granularities[]", "segment"));
        fields.extend(language.map(|language| ("language", language)));
        let form = Form::new(&fields, audio.recording.sound);
        let url = format!("{}/v1/audio/transcriptions", reached.root);
        let mut request = reached.client.request(Method::POST, &url).header(CONTENT_TYPE, form.media_type());
        if let Some(key) = &attest.key {
            request = request.bearer_auth(key);
        }
        let (length, pieces) = form.body(audio.bytes, audio.length);
        let request = reached.client.with_body(request, length, pieces);
        let asked = async {
            let response = reached.client.send(request).await.map_err(|error| self.unavailable(error))?;
            let status = response.status();
            let body = response.body(MOST_BYTES).await;
            if status != StatusCode::OK {
                return Err(self.refused(status));
            }
            body.map_err(|error| self.unavailable(error))
        };
        let slow = || self.unavailable(format!("it took longer than {} s", most.as_secs()));
        let body = timeout(*most, asked).await.map_err(|_| slow())??;
        let heard = reply::read(&body, audio.recording.length_ms)
            .ok_or_else(|| self.unavailable("its answer is no transcript: check `url` and `model`"))?;
        let found = &reached.found;
        let scribe = Scribe {
            lane: *lane,
            chosen_by: chosen_by.to_owned(),
            name: name.clone(),
            model: attest.model.clone(),
            endpoint: found.endpoint.to_string(),
            server: found.server.clone(),
            process: found.process.clone(),
            digest: found.digest.clone(),
            language: heard.language,
            length_ms: heard.length_ms,
        };
        Ok(Transcript { said: heard.said, scribe })
    }

    fn unavailable(&self, why: impl std::fmt::Display) -> TranscribeError {
        TranscribeError::Unavailable(format!("{}: {why}", self.options.name))
    }

    /// What a refusal means. Its text may hold anything, and is not repeated.
    fn refused(&self, status: StatusCode) -> TranscribeError {
        match status.as_u16() {
            400 | 415 | 422 => TranscribeError::Refused(format!(
                "it is a sound recording, and the speech server {} cannot make anything of it ({status})",
                self.options.name
            )),
            413 => TranscribeError::Refused(format!(
                "it is a sound recording that is too long for the speech server {} ({status})",
                self.options.name
            )),
            401 | 403 => self.unavailable("it refuses its key: set `api_key_env`"),
            404 => self.unavailable("it has no such model or address: check `model` and `url`"),
            429 | 503 => self.unavailable(format!("it is busy ({status})")),
            300..400 => self.unavailable(format!("it redirects ({status}), which is not followed: check `url`")),
            _ => self.unavailable(format!("it answered {status}")),
        }
    }
}
