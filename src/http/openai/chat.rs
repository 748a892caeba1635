//! `POST /v1/chat/completions`: the last user message is a question to the model's collections; earlier turns are its context.

use std::convert::Infallible;

use axum::Json as Reply;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use utoipa::ToSchema;

use super::chunks::{Chunks, Completion, completion};
use super::read::{Body, bad};
use super::{models, tasks};
use crate::answer::{Completed, Role, Turn};
use crate::ask::Task;
use crate::http::Shared;
use crate::http::access::Access;
use crate::http::asking::{Asking, Running, Told, completed};
use crate::http::openapi::OpenAiRefusals;
use crate::http::problem::Problem;
use crate::http::search::check_question;

/// Messages in one request.
const MOST_MESSAGES: usize = 10_000;
/// Earlier turns that are looked at.
const TURNS: usize = 40;

/// A conversation. Fields that are not listed are passed over.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct ChatRequest {
    /// `strongroom` or `strongroom/<collection>`.
    model: String,
    /// The conversation, oldest first.
    messages: Vec<Message>,
    /// Whether the answer comes as server-sent events.
    #[serde(default)]
    stream: Option<bool>,
    /// What is streamed beside the answer.
    #[serde(default)]
    stream_options: Option<StreamOptions>,
}

/// What is streamed beside the answer.
#[derive(Debug, Deserialize, ToSchema)]
struct StreamOptions {
    /// Whether a chunk at the end tells the tokens.
    #[serde(default)]
    include_usage: Option<bool>,
}

/// One message.
#[derive(Debug, Deserialize, ToSchema)]
struct Message {
    /// `system`, `developer`, `user`, `assistant`, `tool` or `function`.
    role: String,
    /// The words; none where the message only calls tools.
    #[serde(default)]
    content: Option<Content>,
}

/// The words of a message.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum Content {
    /// As one text.
    Text(String),
    /// In parts; those that are no text are passed over.
    Parts(Vec<Part>),
}

/// A part of a message.
#[derive(Debug, Deserialize, ToSchema)]
struct Part {
    /// The text, if it is one.
    #[serde(default)]
    text: Option<String>,
}

/// Answers the last message of a conversation from documents.
///
/// In a stream, chunks with `event` tell how far it is, and at the end each source with the words quoted, as Open WebUI
/// shows them; their `delta` is empty. No words come before the first of them has a source.
#[utoipa::path(
    post, path = "/v1/chat/completions", tag = "openai", operation_id = "chatCompletion",
    params(("X-KB-Task" = Option<String>, Header, description = "Names a task of Open WebUI's own, such as `title_generation`: \
        it goes to the language model without documents. A first line `### Task:` says the same.")),
    request_body = ChatRequest,
    responses(
        (status = 200, description = "The answer. `strongroom` in it holds the citations.", content(
            (Completion = "application/json"), (String = "text/event-stream"),
        )),
        OpenAiRefusals,
    ),
)]
pub(super) async fn chat_completion(
    State(context): Shared,
    access: Access,
    headers: HeaderMap,
    Body(request): Body<ChatRequest>,
) -> Result<Response, Problem> {
    let collections = models::meant(&context, &access, &request.model).await?;
    let mut turns = turns(&request.messages)?;
    let streams = request.stream.unwrap_or(false);
    let usage = request.stream_options.is_some_and(|options| options.include_usage.unwrap_or(false));
    let chunks = Chunks::new(request.model, usage, context.door.public_url.clone());
    let Some(last) = turns.iter().rposition(|turn| turn.role == Role::User) else {
        return Err(bad("messages", "must hold a message of the role `user` with text"));
    };
    if let Some(task) = tasks::Task::of(&headers, &turns[last].text) {
        let completed = completed(&context, &access, collections, turns.clone()).await?.map(|(completed, _)| completed);
        return Ok(task_done(&task, &turns, completed, chunks, streams));
    }
    turns.truncate(last + 1);
    let question = turns.pop().map(|turn| turn.text).unwrap_or_default();
    check_question("messages", &question)?;
    turns.drain(..turns.len().saturating_sub(TURNS));
    let asking = Asking { collections: Some(collections), text: question, task: Task::ASK, history: turns, binding: streams };
    let running = Running::begin(&context, &access, asking).await?;
    if streams {
        return Ok(streamed(running, chunks));
    }
    Ok(Reply(completion(&chunks, *running.whole().await?)).into_response())
}

/// What was said, with the roles that matter here.
fn turns(messages: &[Message]) -> Result<Vec<Turn>, Problem> {
    if messages.is_empty() || messages.len() > MOST_MESSAGES {
        return Err(bad("messages", "must hold 1 to 10,000 messages"));
    }
    let mut turns = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let role = match message.role.as_str() {
            "system" | "developer" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            // What tools gave is no part of a conversation over documents.
            "tool" | "function" => continue,
            _ => return Err(bad(&format!("messages[{at}].role"), "must be system, developer, user, assistant or tool")),
        };
        let text = match &message.content {
            None => String::new(),
            Some(Content::Text(text)) => text.clone(),
            Some(Content::Parts(parts)) => {
                let texts: Vec<&str> = parts.iter().filter_map(|part| part.text.as_deref()).collect();
                texts.join("\n")
            }
        };
        if !text.trim().is_empty() {
            turns.push(Turn { role, text });
        }
    }
    Ok(turns)
}

/// A task of the client's own: the language model does it as it is told, without documents.
fn task_done(task: &tasks::Task, turns: &[Turn], completed: Option<Completed>, chunks: Chunks, streams: bool) -> Response {
    let text = turns.iter().rev().find(|turn| turn.role == Role::User).map(|turn| turn.text.clone()).unwrap_or_default();
    let (text, usage) = match completed {
        Some(completed) if task.is_served_by(&completed.text) => (completed.text, completed.usage),
        _ => (task.without_model(&text), crate::answer::Usage::default()),
    };
    if !streams {
        return Reply(chunks.plain(&text, usage)).into_response();
    }
    let mut events = vec![chunks.role(), chunks.words(&text)];
    events.extend(chunks.end(usage));
    sse(stream::iter(events.into_iter().map(|data| Ok::<_, Infallible>(Event::default().data(data)))))
}

/// The answer as chunks, as it is written.
fn streamed(running: Running, chunks: Chunks) -> Response {
    let first = [chunks.role(), chunks.status("Searching the documents", false), chunks.found(running.found())];
    let first: Vec<String> = first.into();
    let state = (first.into_iter(), Some(running), chunks, false);
    let events = stream::unfold(state, |(mut ready, mut running, chunks, mut held)| async move {
        loop {
            if let Some(data) = ready.next() {
                return Some((Ok::<_, Infallible>(Event::default().data(data)), (ready, running, chunks, held)));
            }
            let told = running.as_mut()?.next().await;
            let is_held = matches!(told, Told::Held(..));
            let (mut next, ends) = match told {
                Told::Words(words) => (vec![chunks.words(&words)], false),
                Told::Held(generator, why, seconds) => (vec![chunks.held(&generator, why, seconds)], false),
                // Words are held back until they count, so there is nothing to take back.
                Told::Anew => (Vec::new(), false),
                Told::End(Ok(asked)) => (chunks.sources_and_end(&asked), true),
                Told::End(Err(problem)) => (chunks.failed(&problem), true),
            };
            if std::mem::replace(&mut held, is_held) && !is_held {
                // What was begun for people is ended for them.
                next.insert(0, chunks.status("Writing the answer", true));
            }
            ready = next.into_iter();
            if ends {
                running = None;
            }
        }
    });
    sse(events)
}

fn sse(events: impl futures_util::Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: serde_json::Value) -> Result<Vec<Turn>, Problem> {
        turns(&serde_json::from_value::<Vec<Message>>(json).unwrap())
    }

    #[test]
    fn parts_are_joined_and_what_is_no_text_is_passed_over() {
        let turns = read(serde_json::json!([
            { "role": "developer", "content": "be short" },
            { "role": "assistant", "content": null, "tool_calls": [{}] },
            { "role": "tool", "tool_call_id": "x", "content": "42" },
            { "role": "user", "name": "me", "content": [
                { "type": "text", "text": "When does" }, { "type": "image_url", "image_url": { "url": "data:," } },
                { "type": "text", "text": "it end?" },
            ] },
        ]))
        .unwrap();
        let said: Vec<(Role, &str)> = turns.iter().map(|turn| (turn.role, turn.text.as_str())).collect();
        assert_eq!(said, [(Role::System, "be short"), (Role::User, "When does\nit end?")]);
        let odd = read(serde_json::json!([{ "role": "pirate", "content": "x" }])).unwrap_err();
        assert_eq!(odd.body("r").fields, ["messages[0].role"]);
        assert!(read(serde_json::json!([])).is_err());
    }
}
