//! Answers in the shape of chat completions: whole, or as the chunks of a stream, with their sources.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::now;
use crate::answer::{Citation, Usage};
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
}

impl Chunks {
    /// `usage`: whether a chunk at the end tells the tokens.
    pub fn new(model: String, usage: bool) -> Self {
        let id = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), now());
        Self { id: format!("chatcmpl-{id:016x}"), created: now(), model, usage }
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

    /// That so many passages were found.
    pub fn found(&self, passages: usize) -> String {
        let plural = if passages == 1 { "" } else { "s" };
        self.status(&format!("Found {passages} passage{plural}"), true)
    }

    /// The last chunks, after the words.
    pub fn sources_and_end(&self, asked: &Asked) -> Vec<String> {
        let answer = &asked.answer;
        let mut chunks: Vec<String> = answer.citations.iter().map(|citation| self.event("source", event(citation))).collect();
        if answer.grounded && answer.generator.name == "extracts" {
            // People should know that nobody thought about these sentences.
            chunks.push(self.status("Quoted word for word from the documents; no language model wrote this", true));
        }
        chunks.extend(self.end(answer.usage));
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
    let mut completion = chunks.plain(&asked.answer.text, asked.answer.usage);
    completion.choices[0].message.annotations = annotations(&asked.answer.text, &asked.answer.citations);
    completion.strongroom = Some(asked.into());
    completion
}

fn annotations(text: &str, citations: &[Citation]) -> Vec<Annotation> {
    let mut annotations = Vec::new();
    for citation in citations {
        let mark = format!("[{}]", citation.n);
        for (at, _) in text.match_indices(&mark) {
            let start_index = text[..at].chars().count();
            let title = source::name(&citation.document);
            let url_citation = UrlCitation { start_index, end_index: start_index + mark.len(), title, url: place(citation) };
            annotations.push(Annotation { kind: "url_citation", url_citation });
        }
    }
    annotations.sort_by_key(|annotation| annotation.url_citation.start_index);
    annotations
}

fn place(citation: &Citation) -> String {
    source::place(None, &citation.collection, &citation.document.path, citation.page)
}

/// A source as Open WebUI keeps and shows it. Each has an id and a place of its own, or two quotes of one page would be one.
fn event(citation: &Citation) -> Value {
    let (place, name) = (place(citation), source::name(&citation.document));
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

#[cfg(test)]
mod tests {
    use strongroom_ingest::index::DocumentRef;
    use strongroom_ingest::model::{DocumentId, Span, VersionId};

    use super::*;
    use crate::answer::{Answer, GeneratorInfo};

    fn asked() -> Asked {
        let citation = Citation {
            n: 1,
            collection: "acme".into(),
            document: DocumentRef { id: DocumentId(2), path: "a b.pdf".into(), title: "Lease".into() },
            version: VersionId(4),
            page: Some(12),
            span: Span { start: 7, end: 13 },
            quote: "ninety".into(),
            verified: true,
            score: 0.5,
        };
        let generator = GeneratorInfo { name: "small".into(), model: "tiny".into(), local: true };
        let answer = Answer {
            text: "Über ninety [1] and [1].".into(),
            citations: vec![citation],
            grounded: true,
            generator,
            left_out: 0,
            usage: Usage { prompt: 3, completion: 2 },
        };
        Asked { answer, unreadable: 0, tried: Vec::new() }
    }

    #[test]
    fn a_whole_answer_says_where_its_sources_stand() {
        let body = serde_json::to_value(completion(&Chunks::new("strongroom/acme".into(), false), asked())).unwrap();
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
    fn a_stream_ends_with_its_sources_the_usage_and_done() {
        let chunks = Chunks::new("strongroom".into(), true).sources_and_end(&asked());
        assert_eq!(chunks.last().map(String::as_str), Some("[DONE]"));
        let read: Vec<Value> = chunks[..chunks.len() - 1].iter().map(|chunk| serde_json::from_str(chunk).unwrap()).collect();
        let source = &read[0]["event"];
        assert_eq!((&source["type"], &source["data"]["document"]), (&json!("source"), &json!(["ninety"])));
        assert_eq!(source["data"]["metadata"][0]["page"], 11);
        assert_eq!(read[1]["choices"][0]["finish_reason"], "stop");
        assert_eq!((&read[2]["choices"], &read[2]["usage"]["prompt_tokens"]), (&json!([]), &json!(3)));
    }
}
