//! A local language model behind an OpenAI-compatible server (llama.cpp, vLLM, LM Studio, MLX) or an Ollama, asked by streaming
//! chats: attested before each answer, and never shown one collection's prompt beside another's.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Digest;
use strongroom_ingest::model::{CollectionId, Sha256};
use tokio::time::timeout;

use super::attest::{AttestOptions, Isolation, Kind, Reached};
use super::events::Events;
use super::prompt::{self, Prompt};
use super::roster::Entry;
use super::stream::Written;
use super::wake::WakeOptions;
use super::way::{Right, Way, within};
use super::{
    Cancel, GenerateRequest, Generated, Generator, GeneratorError, GeneratorInfo, Job, Piece, Role, Schema, Turn, Usage,
};
use crate::egress::{Egress, EgressError, RequestBuilder, Response};

/// Bytes of an answer that is not streamed, at most.
const MOST_BYTES: usize = 4 << 20;
/// Tokens that a model takes in where neither it nor the configuration says.
const CONTEXT: usize = 4096;
/// Tokens that a chat template adds to each message, at most.
const TEMPLATE: usize = 12;
/// How often a prompt is cut anew to what the model itself counts.
const CUTS: usize = 3;

/// Which model, and how it is asked.
pub struct ChatOptions {
    /// What it must be to be used.
    pub attest: AttestOptions,
    /// Tokens that it takes in at once, its answer included; none where it says so itself.
    pub context: Option<usize>,
    /// Tokens that an answer may have.
    pub answer_tokens: usize,
    /// How long it may be silent.
    pub silence: Duration,
    /// Whether it may serve several collections though it cannot keep their prompts apart.
    pub shared_cache: bool,
    /// Counts the tokens of a text as they are counted for every model, here and in clouds.
    pub count: Arc<dyn Fn(&str) -> usize + Send + Sync>,
    /// Requests that it is given at the same time.
    pub at_once: usize,
    /// How it is woken; none where it does not sleep.
    pub wake: Option<WakeOptions>,
}

/// One model.
pub struct ChatModel {
    options: ChatOptions,
    way: Way,
    /// Makes salts that nobody else can guess; none where the system gives no random bytes.
    secret: Option<[u8; 16]>,
    /// The collections that a model serves which cannot keep prompts apart: the first ones asked about.
    serves: Mutex<Option<Vec<CollectionId>>>,
}

/// What a model wrote when it was asked without passages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completed {
    /// The text.
    pub text: String,
    /// What it cost, as the server says, or by a guess where it does not.
    pub usage: Usage,
    /// The same by one tokenizer for all models.
    pub measured: Usage,
}

/// A model that may be asked about some collections now.
#[derive(Clone)]
pub(super) struct Attested {
    reached: Reached,
    /// Tokens that a prompt may have.
    pub room: usize,
    context: usize,
    /// Tokens that an answer may have.
    pub answer_tokens: usize,
    salt: Option<String>,
    _right: Arc<Right>,
}

impl ChatModel {
    /// A model that is reached through clients of `egress`.
    pub fn new(options: ChatOptions, egress: Egress) -> Self {
        let way = Way::new(options.attest.clone(), options.wake.clone(), options.at_once, egress);
        let mut secret = [0; 16];
        let random = rustls::crypto::ring::default_provider().secure_random.fill(&mut secret);
        Self { options, way, secret: random.ok().map(|()| secret), serves: Mutex::default() }
    }

    /// The model as it is listed for people.
    pub fn entry(&self, kind: &'static str) -> Entry {
        self.way.entry(self.options.attest.name.clone(), kind, self.options.attest.model.clone())
    }

    /// Waits for its turn, finds out what it is then, and whether it may be asked about these collections.
    async fn attested(
        &self,
        walls: &[CollectionId],
        answer_tokens: Option<usize>,
        sink: &mut dyn FnMut(Piece<'_>),
    ) -> Result<Attested, GeneratorError> {
        let (reached, right) = self.way.go(sink).await?;
        let (found, kind) = (&reached.found, reached.kind);
        if found.isolation == Isolation::None && !self.options.shared_cache {
            let mut serves = self.serves.lock().unwrap_or_else(PoisonError::into_inner);
            if serves.get_or_insert_with(|| walls.to_vec()) != walls {
                let why = "it cannot keep what it remembers of prompts apart, and has served another collection: \
                           `shared_cache = true` allows that";
                return Err(GeneratorError::Refused(why.into()));
            }
        }
        let said = found.context.unwrap_or(usize::MAX);
        // An Ollama takes in as much as it is told to, and says what its model could.
        let context =
            self.options.context.unwrap_or(if kind == Kind::Ollama { CONTEXT } else { found.context.unwrap_or(CONTEXT) });
        let context = context.min(said);
        let salt = if found.isolation == Isolation::Salted { Some(self.salt(walls)?) } else { None };
        let answer_tokens = answer_tokens.unwrap_or(self.options.answer_tokens).min(context / 2).max(1);
        let room = context.saturating_sub(answer_tokens);
        Ok(Attested { reached, room, context, answer_tokens, salt, _right: Arc::new(right) })
    }

    fn salt(&self, walls: &[CollectionId]) -> Result<String, GeneratorError> {
        let no_random = || GeneratorError::Failed("this system gives no random bytes to keep collections apart with".into());
        let mut hasher = sha2::Sha256::new();
        hasher.update(self.secret.ok_or_else(no_random)?);
        walls.iter().for_each(|id| hasher.update(id.to_string()));
        Ok(Sha256(hasher.finalize().into()).to_string())
    }

    /// Runs something that waits for the model. Blocks; there must be a runtime around, but not on this thread.
    fn wait<T>(&self, cancel: &Cancel, work: impl Future<Output = Result<T, GeneratorError>>) -> Result<T, GeneratorError> {
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|_| GeneratorError::Failed("it is asked outside of a running server".into()))?;
        runtime.block_on(async {
            tokio::select! {
                biased;
                // Dropping the request closes its connection, which is how such servers learn that they may stop.
                () = cancel.cancelled() => Err(GeneratorError::Cancelled),
                done = work => done,
            }
        })
    }

    /// The prompt as large as fits, by the model's own count where it gives one, else by a careful guess.
    pub(super) async fn prompt(&self, model: &Attested, request: &GenerateRequest<'_>, room: usize) -> Prompt {
        let mut prompt = prompt::grounded(request, room);
        let mut guess = room;
        for _ in 0..CUTS {
            let bytes: usize = prompt.messages.iter().map(|turn| turn.text.len() + TEMPLATE).sum();
            // No token is less than a byte, so there is nothing to count where so many fit.
            if prompt.given.is_empty() || prompt.given.len() == request.passages.len() && bytes <= room {
                break;
            }
            let Some(counted) = self.count(model, &prompt.messages).await else { break };
            let fits = counted <= room;
            if fits && (prompt.given.len() == request.passages.len() || counted * 10 > room * 9) {
                break;
            }
            // What was guessed is to what was counted as what may be guessed is to the room there is.
            let guessed: usize = prompt.messages.iter().map(|turn| prompt::tokens(&turn.text)).sum();
            let next = guessed.saturating_mul(room) / counted.max(1);
            // A little less, for passages are whole; and never more than was found not to fit.
            let next = next - next / 50;
            if fits && next <= guess {
                break;
            }
            let larger = prompt::grounded(request, next);
            if fits && larger.given.len() <= prompt.given.len() {
                break;
            }
            (prompt, guess) = (larger, next);
        }
        prompt
    }

    /// How many tokens the messages are, by the model's own tokenizer; none where it does not count.
    pub(super) async fn count(&self, model: &Attested, messages: &[Turn]) -> Option<usize> {
        let text: String = messages.iter().flat_map(|turn| [turn.text.as_str(), "\n"]).collect();
        let body = match model.reached.kind {
            Kind::LlamaCpp => json!({ "content": text }),
            Kind::Vllm => json!({ "model": self.options.attest.model, "prompt": text }),
            Kind::Ollama | Kind::Other => return None,
        };
        let request = self.request(model, &format!("{}/tokenize", model.reached.root)).json(&body);
        let response = timeout(self.options.silence, model.reached.client.send(request)).await.ok()?.ok()?;
        if response.status() != StatusCode::OK {
            return None;
        }
        let body = response.body(MOST_BYTES).await.ok()?;
        let counted: Counted = serde_json::from_slice(&body).ok()?;
        let tokens = counted.count.or(counted.tokens.map(|tokens| tokens.len()))?;
        Some(tokens + messages.len() * TEMPLATE)
    }

    fn request(&self, model: &Attested, url: &str) -> RequestBuilder {
        let request = model.reached.client.request(Method::POST, url);
        match &self.options.attest.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// Asks, and hands out what comes.
    pub(super) async fn ask(
        &self,
        model: &Attested,
        turns: &[Turn],
        schema: Option<&Schema>,
        sink: &mut dyn FnMut(&str),
    ) -> Result<Completed, GeneratorError> {
        let (url, body) = self.body(model, turns, schema);
        let request = self.request(model, &url).json(&body);
        let sent = timeout(self.options.silence, model.reached.client.send(request)).await.map_err(|_| self.silent())?;
        let response = sent.map_err(|error| GeneratorError::Unreachable(error.to_string()))?;
        if response.status() != StatusCode::OK {
            return Err(self.refused(response).await);
        }
        let kind = response.headers().get("content-type").map(|kind| kind.as_bytes().to_vec()).unwrap_or_default();
        let mut written = Written::new(model.reached.found.isolation == Isolation::CacheOff);
        if kind.starts_with(b"text/event-stream") {
            let mut events = Events::of_events();
            self.read(response, &mut events, |data, written: &mut Written, sink| written.event(data, sink), &mut written, sink)
                .await?;
        } else if model.reached.kind == Kind::Ollama {
            let mut lines = Events::of_lines();
            self.read(response, &mut lines, |line, written: &mut Written, sink| written.line(line, sink), &mut written, sink)
                .await?;
        } else {
            // It does not stream, or it is something else altogether.
            let body = timeout(self.options.silence, response.body(MOST_BYTES)).await.map_err(|_| self.silent())?;
            written.whole(&body.map_err(broke_off)?, sink)?;
        }
        let count = |text: &str| (self.options.count)(text) as u64;
        let measured = Usage { prompt: turns.iter().map(|turn| count(&turn.text)).sum(), completion: count(&written.text) };
        let mut completed = Completed { text: written.text, usage: written.usage.unwrap_or_default(), measured };
        if written.usage.is_none() {
            let tokens: usize = turns.iter().map(|turn| prompt::tokens(&turn.text)).sum();
            completed.usage = Usage { prompt: tokens as u64, completion: prompt::tokens(&completed.text) as u64 };
        }
        Ok(completed)
    }

    /// Where a conversation is sent, and as what.
    fn body(&self, model: &Attested, turns: &[Turn], schema: Option<&Schema>) -> (String, Value) {
        let messages: Vec<Value> = turns.iter().map(message).collect();
        let name = &self.options.attest.model;
        if model.reached.kind == Kind::Ollama {
            // Only its own API is told how much it is to take in; asked by OpenAI's it cuts prompts without a word.
            let options = json!({ "num_ctx": model.context, "num_predict": model.answer_tokens, "temperature": 0 });
            let mut body = json!({ "model": name, "messages": messages, "stream": true, "options": options });
            if let Some(schema) = schema {
                body["format"] = schema.json().clone();
            }
            return (format!("{}/api/chat", model.reached.root), body);
        }
        let mut body = json!({
            "model": name,
            "messages": messages,
            "stream": true,
            "stream_options": { "include_usage": true },
            "temperature": 0,
            "max_tokens": model.answer_tokens,
        });
        // Servers that know this keep the model to the schema; the others pass it over, and what they give is checked all the same.
        if let Some(schema) = schema {
            let named = json!({ "name": "result", "schema": schema.json(), "strict": true });
            body["response_format"] = json!({ "type": "json_schema", "json_schema": named });
        }
        if model.reached.kind == Kind::LlamaCpp {
            body["cache_prompt"] = json!(false);
            // Has it say before the first word how much of the prompt it did not read anew.
            body["return_progress"] = json!(true);
        }
        if let Some(salt) = &model.salt {
            body["cache_salt"] = json!(salt);
        }
        (format!("{}/chat/completions", self.options.attest.url.trim_end_matches('/')), body)
    }

    async fn read(
        &self,
        mut response: Response,
        events: &mut Events,
        mut take: impl FnMut(&str, &mut Written, &mut dyn FnMut(&str)) -> Result<(), GeneratorError>,
        written: &mut Written,
        sink: &mut dyn FnMut(&str),
    ) -> Result<(), GeneratorError> {
        // Nothing that keeps to its limit is as long.
        let most = self.options.answer_tokens.saturating_mul(32).saturating_add(MOST_BYTES);
        while !written.done {
            let chunk = timeout(self.options.silence, response.chunk()).await.map_err(|_| self.silent())?;
            let Some(chunk) = chunk.map_err(broke_off)? else { break };
            let fits = events.push(&chunk, |data| take(data, written, sink))?;
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
        let attested = self.way.last();
        let (name, model) = (self.options.attest.name.clone(), self.options.attest.model.clone());
        GeneratorInfo { name, model, local: attested.is_some(), attested }
    }

    fn generate(&self, request: &GenerateRequest<'_>, sink: &mut dyn FnMut(Piece<'_>)) -> Result<Generated, GeneratorError> {
        self.wait(request.cancel, async {
            let model = self.attested(request.walls, request.job.answer_tokens, sink).await?;
            let sink = &mut |words: &str| sink(Piece::Words(words));
            let job = async {
                if let Some(schema) = request.job.schema {
                    self.structured(&model, request, schema, sink).await
                } else if request.job.whole && request.job.kind == super::Kind::Summarise {
                    self.summary(&model, request, sink).await
                } else {
                    self.grounded(&model, request, sink).await
                }
            };
            within(request.job.longest, job).await
        })
    }

    fn complete(&self, turns: &[Turn], walls: &[CollectionId], cancel: &Cancel) -> Option<Result<Completed, GeneratorError>> {
        Some(self.wait(cancel, async {
            let model = self.attested(walls, None, &mut |_| ()).await?;
            within(Job::ASK.longest, self.ask(&model, turns, None, &mut |_| ())).await
        }))
    }
}

/// What a tokenizer counts.
#[derive(Deserialize)]
struct Counted {
    #[serde(default)]
    count: Option<usize>,
    #[serde(default)]
    tokens: Option<Vec<Value>>,
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
