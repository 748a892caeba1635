//! Answers in the shape of chat completions: whole, or as the chunks of a stream, with their sources.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::now;
use crate::answer::{Answer, Citation, Held, Usage};
use crate::ask::Asked;
use crate::http::answers::AnswerResponse;
use crate::http::problem::Problem;
use crate::http::{shape, source};

/// An answer in the shape of a chat completion.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Completion {
    /// Its id.
    id: String,
    /// `chat.completion`
    object: &'static str,
    /// Seconds since 1970.
    created: i64,
    /// The model, as it was called.
    model: String,
    /// The one answer.
    choices: Vec<Choice>,
    /// Tokens taken and given; 0 where no language model was asked.
    usage: UsageBody,
    /// The answer as `POST /api/v1/answers` gives it, with its citations; none for tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    strongroom: Option<AnswerResponse>,
}

/// The one answer.
#[derive(Debug, Serialize, ToSchema)]
struct Choice {
    /// 0
    index: u32,
    /// What was answered.
    message: Reply,
    /// Always null.
    #[schema(value_type = Option<Object>)]
    logprobs: Option<Value>,
    /// `stop`
    finish_reason: &'static str,
}

/// What was answered.
#[derive(Debug, Serialize, ToSchema)]
struct Reply {
    /// `assistant`
    role: &'static str,
    /// The text, with `[n]` where a source belongs.
    content: String,
    /// Always null.
    refusal: Option<String>,
    /// Where each `[n]` stands and what it names.
    annotations: Vec<Annotation>,
}

/// A place of the text with its source.
#[derive(Debug, Serialize, ToSchema)]
struct Annotation {
    /// `url_citation`
    #[serde(rename = "type")]
    kind: &'static str,
    /// The source.
    url_citation: UrlCitation,
}

/// A source.
#[derive(Debug, Serialize, ToSchema)]
struct UrlCitation {
    /// First character of `[n]`.
    start_index: usize,
    /// One past its last.
    end_index: usize,
    /// The document's title.
    title: String,
    /// Document and page, as an address.
    url: String,
}

/// Tokens taken and given.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
struct UsageBody {
    /// Taken.
    prompt_tokens: u64,
    /// Given.
    completion_tokens: u64,
    /// Both.
    total_tokens: u64,
}

impl From<Usage> for UsageBody {
    fn from(usage: Usage) -> Self {
        let Usage { prompt, completion } = usage;
        Self { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion }
    }
}

/// What all chunks of one answer share.
pub(super) struct Chunks {
    id: String,
    created: i64,
    model: String,
    usage: bool,
    base: Option<String>,
}

impl Chunks {
    /// `usage`: whether a chunk at the end tells the tokens. `base`: where browsers reach the server, for links to documents.
    pub fn new(model: String, usage: bool, base: Option<String>) -> Self {
        let id = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), now());
        Self { id: format!("chatcmpl-{id:016x}"), created: now(), model, usage, base }
    }

    /// A text without sources, whole.
    pub fn plain(&self, text: &str, usage: Usage) -> Completion {
        let message = Reply { role: "assistant", content: text.to_owned(), refusal: None, annotations: Vec::new() };
        Completion {
            id: self.id.clone(),
            object: "chat.completion",
            created: self.created,
            model: self.model.clone(),
            choices: vec![Choice { index: 0, message, logprobs: None, finish_reason: "stop" }],
            usage: usage.into(),
            strongroom: None,
        }
    }

    fn chunk(&self, delta: Value, finish: Option<&str>) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": [{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }],
        })
    }

    /// The first chunk.
    pub fn role(&self) -> String {
        self.chunk(json!({ "role": "assistant", "content": "" }), None).to_string()
    }

    /// The next words.
    pub fn words(&self, words: &str) -> String {
        self.chunk(json!({ "content": words }), None).to_string()
    }

    /// An event for Open WebUI. Clients that look at choices find one that says nothing.
    fn event(&self, kind: &str, data: Value) -> String {
        let mut chunk = self.chunk(json!({}), None);
        chunk["event"] = json!({ "type": kind, "data": data });
        chunk.to_string()
    }

    /// How far it is, for people.
    pub fn status(&self, description: &str, done: bool) -> String {
        self.event("status", json!({ "description": description, "done": done }))
    }

    /// That a generator cannot begin yet.
    pub fn held(&self, generator: &str, why: Held, seconds: u64) -> String {
        let text = match why {
            Held::Waking => format!("Waking {generator} ({seconds} s)"),
            Held::Queued => format!("Waiting for {generator}: others came first ({seconds} s)"),
        };
        self.status(&text, false)
    }

    /// That so many passages were found.
    pub fn found(&self, passages: usize) -> String {
        let plural = if passages == 1 { "" } else { "s" };
        self.status(&format!("Found {passages} passage{plural}"), true)
    }

    /// The last chunks, after the words.
    pub fn sources_and_end(&self, asked: &Asked) -> Vec<String> {
        let answer = &asked.answer;
        let mut chunks = Vec::new();
        for (at, citation) in answer.citations.iter().enumerate() {
            chunks.push(self.event("source", self.source(citation, &answer.citations[..at])));
        }
        if answer.grounded && answer.generator.name == "extracts" {
            // People should know that nobody thought about these sentences.
            chunks.push(self.status("Quoted word for word from the documents; no language model wrote this", true));
        }
        chunks.extend(self.end(answer.work.usage));
        chunks
    }

    /// The end of a stream.
    pub fn end(&self, usage: Usage) -> Vec<String> {
        let mut chunks = vec![self.chunk(json!({}), Some("stop")).to_string()];
        if self.usage {
            let mut last = self.chunk(json!({}), None);
            last["choices"] = json!([]);
            last["usage"] = json!(UsageBody::from(usage));
            chunks.push(last.to_string());
        }
        chunks.push("[DONE]".to_owned());
        chunks
    }

    /// The end of a stream that failed.
    pub fn failed(&self, problem: &Problem) -> Vec<String> {
        vec![shape::openai(problem).to_string(), "[DONE]".to_owned()]
    }
}

/// An answer with its sources, whole.
pub(super) fn completion(chunks: &Chunks, asked: Asked) -> Completion {
    let mut completion = chunks.plain(&asked.answer.text, asked.answer.work.usage);
    completion.choices[0].message.annotations = chunks.annotations(&asked.answer);
    completion.strongroom = Some(AnswerResponse::of(asked, false));
    completion
}

impl Chunks {
    fn annotations(&self, answer: &Answer) -> Vec<Annotation> {
        let mut annotations = Vec::new();
        for citation in &answer.citations {
            let mark = format!("[{}]", citation.n);
            for (at, _) in answer.text.match_indices(&mark) {
                let start_index = answer.text[..at].chars().count();
                let (title, url) = (source::name(&citation.document), self.place(citation));
                let url_citation = UrlCitation { start_index, end_index: start_index + mark.len(), title, url };
                annotations.push(Annotation { kind: "url_citation", url_citation });
            }
        }
        annotations.sort_by_key(|annotation| annotation.url_citation.start_index);
        annotations
    }

    fn place(&self, citation: &Citation) -> String {
        source::place(self.base.as_deref(), &citation.collection, &citation.document.path, citation.page)
    }

    /// A source as Open WebUI keeps and shows it. It takes sources of one name or place for one and then counts `[n]` wrongly,
    /// so the second quote of a document is told apart from those `before` it.
    fn source(&self, citation: &Citation, before: &[Citation]) -> Value {
        let (mut place, mut name) = (self.place(citation), source::name(&citation.document));
        let same = before.iter().filter(|other| source::name(&other.document) == name).count();
        if same > 0 {
            let sign = if place.contains('#') { '&' } else { '#' };
            place.push_str(&format!("{sign}quote={}", citation.n));
            name.push_str(&format!(" ({})", same + 1));
        }
        json!({
            "source": { "id": citation.n.to_string(), "name": name, "url": place },
            "document": [citation.quote],
            "metadata": [{
                "source": place,
                "name": name,
                // 0-based here, and only here: Open WebUI counts so.
                "page": citation.page.map(|page| page.saturating_sub(1)),
                "external": true,
                "collection": citation.collection,
                "start": citation.span.start,
                "end": citation.span.end,
                "verified": citation.verified,
            }],
            "distances": [citation.score],
        })
    }
}

#[cfg(test)]
mod tests {
    use strongroom_ingest::index::DocumentRef;
    use strongroom_ingest::model::{DocumentId, Span, VersionId};

    use super::*;
    use crate::answer::{GeneratorInfo, Work};
    use crate::usage::Trail;

    fn asked() -> Asked {
        let citation = Citation {
            n: 1,
            collection: "acme".into(),
            document: DocumentRef { id: DocumentId(2), path: "a b.pdf".into(), title: "Lease".into() },
            version: VersionId(4),
            page: Some(12),
            span: Span { start: 7, end: 13 },
            quote: "ninety".into(),
            moments: Vec::new(),
            verified: true,
            score: 0.5,
            pointer: None,
        };
        let generator = GeneratorInfo { name: "small".into(), model: "tiny".into(), local: true, attested: None };
        let answer = Answer {
            text: "Über ninety [1] and [1].".into(),
            citations: vec![citation],
            grounded: true,
            generator,
            result: None,
            unsupported: Vec::new(),
            work: Work { usage: Usage { prompt: 3, completion: 2 }, ..Work::default() },
        };
        let (tried, passages, trail) = (Vec::new(), Vec::new(), Trail::default());
        Asked { answer, unreadable: 0, tried, passages, trail }
    }

    #[test]
    fn a_whole_answer_says_where_its_sources_stand() {
        let body = serde_json::to_value(completion(&Chunks::new("strongroom/acme".into(), false, None), asked())).unwrap();
        let message = &body["choices"][0]["message"];
        assert_eq!(
            message["annotations"][0]["url_citation"],
            json!({
                "start_index": 12, "end_index": 15, "title": "Lease", "url": "strongroom://acme/a%20b.pdf#page=12",
            })
        );
        assert_eq!(
            (&message["annotations"][1]["url_citation"]["start_index"], &body["usage"]["total_tokens"]),
            (&json!(20), &json!(5))
        );
        assert_eq!(body["strongroom"]["citations"][0]["quote"], "ninety");
    }

    #[test]
    fn two_quotes_of_one_document_stay_two_sources() {
        let mut asked = asked();
        let second = Citation { n: 2, ..asked.answer.citations[0].clone() };
        asked.answer.citations.push(second);
        let chunks = Chunks::new("strongroom".into(), false, None).sources_and_end(&asked);
        let read = |chunk: &String| serde_json::from_str::<Value>(chunk).unwrap()["event"]["data"]["metadata"][0].clone();
        assert_eq!((&read(&chunks[0])["name"], &read(&chunks[1])["name"]), (&json!("Lease"), &json!("Lease (2)")));
        assert_eq!(read(&chunks[1])["source"], "strongroom://acme/a%20b.pdf#page=12&quote=2");
    }

    #[test]
    fn a_stream_ends_with_its_sources_the_usage_and_done() {
        let chunks = Chunks::new("strongroom".into(), true, None).sources_and_end(&asked());
        assert_eq!(chunks.last().map(String::as_str), Some("[DONE]"));
        let read: Vec<Value> = chunks[..chunks.len() - 1].iter().map(|chunk| serde_json::from_str(chunk).unwrap()).collect();
        let source = &read[0]["event"];
        assert_eq!((&source["type"], &source["data"]["document"]), (&json!("source"), &json!(["ninety"])));
        assert_eq!(source["data"]["metadata"][0]["page"], 11);
        assert_eq!(read[1]["choices"][0]["finish_reason"], "stop");
        assert_eq!((&read[2]["choices"], &read[2]["usage"]["prompt_tokens"]), (&json!([]), &json!(3)));
    }
}
