//! A local language model behind an OpenAI-compatible server (llama.cpp, vLLM, Ollama, LM Studio), asked by streaming chat
//! completions.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::events::Events;
use super::rewrite::Rewriter;
use super::{Cancel, GenerateRequest, Generated, Generator, GeneratorError, GeneratorInfo, Role, Turn, Usage, prompt};
use crate::egress::{Client, ClientOptions, Egress, EgressError, Redirects, Response};

/// How long making a connection may take: it is near.
const CONNECT: Duration = Duration::from_secs(5);
/// An answer may take this long in all, however lively it is.
const LONGEST: Duration = Duration::from_secs(1800);
/// Bytes of an answer that is not streamed, at most.
const MOST_BYTES: usize = 4 << 20;
/// Below this many tokens it makes no sense to try again with fewer passages.
const LEAST_ROOM: usize = 400;
/// Some models think aloud before they answer; nobody asked for that.
const THINKING: (&str, &str) = ("<think>", "</think>");

/// Which model, and how it is asked.
pub struct ChatOptions {
    /// Its name in the configuration.
    pub name: String,
    /// Its name there.
    pub model: String,
    /// Base URL of its API, without a slash at the end.
    pub url: String,
    /// Its key.
    pub key: Option<String>,
    /// Tokens that it takes in at once, its answer included.
    pub context: usize,
    /// Tokens that an answer may have.
    pub answer_tokens: usize,
    /// How long it may be silent.
    pub silence: Duration,
}

/// One model.
pub struct ChatModel {
    options: ChatOptions,
    client: Client,
}

/// What a model wrote when it was asked without passages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completed {
    /// The text.
    pub text: String,
    /// What it cost.
    pub usage: Usage,
}

/// The client that all models are asked through.
///
/// # Errors
/// If it cannot be made.
pub fn chat_client(egress: &Egress) -> Result<Client, EgressError> {
    egress.client(ClientOptions {
        name: "generator",
        redirects: Redirects::None,
        connect: CONNECT,
        // Each model has a patience of its own, which is shorter.
        pause: LONGEST,
        https_only: false,
    })
}

impl ChatModel {
    /// A model that is asked through `client`.
    pub fn new(options: ChatOptions, client: Client) -> Self {
        Self { options, client }
    }

    /// Asks, and hands out what comes. Blocks; there must be a runtime around, but not on this thread.
    fn ask(&self, turns: &[Turn], cancel: &Cancel, sink: &mut dyn FnMut(&str)) -> Result<Completed, GeneratorError> {
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|_| GeneratorError::Failed("it is asked outside of a running server".into()))?;
        runtime.block_on(async {
            tokio::select! {
                biased;
                // Dropping the request closes its connection, which is how such servers learn that they may stop.
                () = cancel.cancelled() => Err(GeneratorError::Cancelled),
                asked = timeout(LONGEST, self.stream(turns, sink)) => asked.unwrap_or_else(|_| Err(self.silent())),
            }
        })
    }

    async fn stream(&self, turns: &[Turn], sink: &mut dyn FnMut(&str)) -> Result<Completed, GeneratorError> {
        let body = json!({
            "model": self.options.model,
            "messages": turns.iter().map(message).collect::<Vec<_>>(),
            "stream": true,
            "stream_options": { "include_usage": true },
            "temperature": 0,
            "max_tokens": self.options.answer_tokens,
        });
        let mut request = self.client.request(Method::POST, &format!("{}/chat/completions", self.options.url)).json(&body);
        if let Some(key) = &self.options.key {
            request = request.bearer_auth(key);
        }
        let sent = timeout(self.options.silence, self.client.send(request)).await.map_err(|_| self.silent())?;
        let response = sent.map_err(|error| GeneratorError::Unreachable(error.to_string()))?;
        if response.status() != StatusCode::OK {
            return Err(self.refused(response).await);
        }
        let streams =
            response.headers().get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let mut written = Written::default();
        if streams {
            self.read(response, &mut written, sink).await?;
        } else {
            // It does not stream, or it is something else altogether.
            let body = timeout(self.options.silence, response.body(MOST_BYTES)).await.map_err(|_| self.silent())?;
            written.whole(&body.map_err(broke_off)?, sink)?;
        }
        let mut completed = Completed { text: written.text, usage: written.usage.unwrap_or_default() };
        if written.usage.is_none() {
            let tokens: usize = turns.iter().map(|turn| prompt::tokens(&turn.text)).sum();
            completed.usage = Usage { prompt: tokens as u64, completion: prompt::tokens(&completed.text) as u64 };
        }
        Ok(completed)
    }

    async fn read(
        &self,
        mut response: Response,
        written: &mut Written,
        sink: &mut dyn FnMut(&str),
    ) -> Result<(), GeneratorError> {
        // Nothing that keeps to `max_tokens` is as long.
        let most = self.options.answer_tokens.saturating_mul(32).saturating_add(MOST_BYTES);
        let mut events = Events::default();
        while !written.done {
            let chunk = timeout(self.options.silence, response.chunk()).await.map_err(|_| self.silent())?;
            let Some(chunk) = chunk.map_err(broke_off)? else { break };
            let fits = events.push(&chunk, |data| written.event(data, sink))?;
            if !fits || written.text.len() > most {
                return Err(GeneratorError::Failed("its answer does not end".into()));
            }
        }
        if written.done || written.finished {
            written.flush(sink);
            return Ok(());
        }
        Err(GeneratorError::Failed("its answer broke off".into()))
    }

    /// What a refusal means. Its text may quote the prompt, so it is looked at and not repeated.
    async fn refused(&self, response: Response) -> GeneratorError {
        let status = response.status();
        let body = timeout(self.options.silence, response.body(64 * 1024)).await;
        let body = body.ok().and_then(Result::ok).unwrap_or_default();
        let said = String::from_utf8_lossy(&body).to_lowercase();
        let is_length = ["context", "too long", "too large", "maximum", "exceed"].iter().any(|word| said.contains(word));
        match status.as_u16() {
            413 => GeneratorError::TooLong,
            400 | 422 | 500 if is_length && said.contains("token") || said.contains("context_length") => {
                GeneratorError::TooLong
            }
            400 | 422 if is_length => GeneratorError::TooLong,
            401 | 403 => GeneratorError::Failed("it refuses its key: set `api_key_env`".into()),
            404 => GeneratorError::Failed("it has no such model or address: check `model` and `url`".into()),
            429 | 503 => GeneratorError::Unreachable(format!("it is busy ({status})")),
            300..400 => GeneratorError::Failed(format!("it redirects ({status}), which is not followed: check `url`")),
            _ => GeneratorError::Failed(format!("it answered {status}")),
        }
    }

    fn silent(&self) -> GeneratorError {
        GeneratorError::Silent(self.options.silence.as_secs())
    }
}

impl Generator for ChatModel {
    fn info(&self) -> GeneratorInfo {
        GeneratorInfo { name: self.options.name.clone(), model: self.options.model.clone(), local: true }
    }

    fn generate(&self, request: &GenerateRequest<'_>, sink: &mut dyn FnMut(&str)) -> Result<Generated, GeneratorError> {
        let mut room = self.options.context.saturating_sub(self.options.answer_tokens);
        loop {
            let prompt = prompt::grounded(request, room);
            if prompt.given.is_empty() {
                // Without a passage there is nothing that it could answer from.
                return Ok(Generated { left_out: request.passages.len(), ..Generated::default() });
            }
            let mut rewriter = Rewriter::new(request.passages, &prompt.given);
            let asked = self.ask(&prompt.messages, request.cancel, &mut |piece| rewriter.push(piece, sink));
            match asked {
                // Its tokens are smaller than we thought, or its context is. Nothing was written yet.
                Err(GeneratorError::TooLong) if room / 2 >= LEAST_ROOM => room /= 2,
                Err(error) => return Err(error),
                Ok(completed) => {
                    let (text, quotes) = rewriter.finish(sink);
                    let left_out = request.passages.len() - prompt.given.len();
                    return Ok(Generated { text, quotes, left_out, usage: completed.usage });
                }
            }
        }
    }

    fn complete(&self, turns: &[Turn], cancel: &Cancel) -> Option<Result<Completed, GeneratorError>> {
        Some(self.ask(turns, cancel, &mut |_| ()))
    }
}

fn message(turn: &Turn) -> Value {
    let role = match turn.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    json!({ "role": role, "content": turn.text })
}

fn broke_off(error: EgressError) -> GeneratorError {
    GeneratorError::Failed(format!("its answer broke off: {error}"))
}

/// What came so far.
#[derive(Default)]
struct Written {
    text: String,
    /// What may be the beginning of thinking aloud, or is within it.
    held: String,
    past_thinking: bool,
    usage: Option<Usage>,
    /// Whether it said why it stopped.
    finished: bool,
    /// Whether it said that nothing more comes.
    done: bool,
}

/// One event of a stream, or the whole of an answer that is none.
#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Cost>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Option<Said>,
    #[serde(default)]
    message: Option<Said>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    content: Option<String>,
}

#[derive(Deserialize)]
struct Cost {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

impl Written {
    fn event(&mut self, data: &str, sink: &mut dyn FnMut(&str)) -> Result<(), GeneratorError> {
        if data == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        self.chunk(data.as_bytes(), sink)
    }

    fn whole(&mut self, body: &[u8], sink: &mut dyn FnMut(&str)) -> Result<(), GeneratorError> {
        self.chunk(body, sink)?;
        self.flush(sink);
        if self.text.is_empty() && !self.finished { Err(rubbish()) } else { Ok(()) }
    }

    fn chunk(&mut self, json: &[u8], sink: &mut dyn FnMut(&str)) -> Result<(), GeneratorError> {
        let chunk: Chunk = serde_json::from_slice(json).map_err(|_| rubbish())?;
        if chunk.error.is_some() {
            return Err(GeneratorError::Failed("it says that it failed".into()));
        }
        if let Some(Cost { prompt_tokens, completion_tokens }) = chunk.usage {
            self.usage = Some(Usage { prompt: prompt_tokens, completion: completion_tokens });
        }
        let Some(choice) = chunk.choices.into_iter().next() else { return Ok(()) };
        self.finished |= choice.finish_reason.is_some();
        if let Some(content) = choice.delta.or(choice.message).and_then(|said| said.content) {
            self.content(&content, sink);
        }
        Ok(())
    }

    fn content(&mut self, content: &str, sink: &mut dyn FnMut(&str)) {
        if self.past_thinking {
            self.text.push_str(content);
            sink(content);
            return;
        }
        self.held.push_str(content);
        let begun = self.held.trim_start();
        if let Some(thought) = begun.strip_prefix(THINKING.0) {
            if let Some((_, after)) = thought.split_once(THINKING.1) {
                self.held = after.trim_start().to_owned();
                self.flush(sink);
            }
        } else if !THINKING.0.starts_with(begun) {
            self.flush(sink);
        }
    }

    /// Hands out what was held, unless it is a thought that never ended.
    fn flush(&mut self, sink: &mut dyn FnMut(&str)) {
        let held = std::mem::take(&mut self.held);
        if !self.past_thinking && held.trim_start().starts_with(THINKING.0) {
            return;
        }
        self.past_thinking = true;
        if !held.is_empty() {
            self.text.push_str(&held);
            sink(&held);
        }
    }
}

fn rubbish() -> GeneratorError {
    GeneratorError::Failed("what it answered is no chat completion".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(deltas: &[&str]) -> String {
        let (mut written, mut out) = (Written::default(), String::new());
        for delta in deltas {
            let data = json!({ "choices": [{ "delta": { "content": delta } }] }).to_string();
            written.event(&data, &mut |piece: &str| out.push_str(piece)).unwrap();
        }
        written.flush(&mut |piece: &str| out.push_str(piece));
        assert_eq!(out, written.text);
        out
    }

    #[test]
    fn thinking_aloud_is_not_handed_out() {
        assert_eq!(written(&["<th", "ink>hmm [1]", " so</thi", "nk>\n\nNinety", " days"]), "Ninety days");
        assert_eq!(written(&["<", "b>x"]), "<b>x");
        assert_eq!(written(&["\n", "Ninety"]), "\nNinety");
        assert_eq!(written(&["<think>never ends"]), "");
    }

    #[test]
    fn what_is_no_completion_is_an_error_and_not_repeated() {
        for data in ["a secret", "[1,2]", r#"{"choices":3}"#, r#"{"error":{"message":"a secret"}}"#] {
            let error = Written::default().event(data, &mut |_| ()).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert!(Written::default().whole(b"{}", &mut |_| ()).is_err());
        let whole = br#"{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
        let mut read = Written::default();
        read.whole(whole, &mut |_| ()).unwrap();
        assert_eq!((read.text.as_str(), read.usage), ("Hi", Some(Usage { prompt: 3, completion: 1 })));
    }
}
