//! Open WebUI's pipeline filter: passages of the configured collections are added to every chat, whatever model answers it. Off
//! unless the configuration names collections.

use axum::Json as Reply;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::models;
use super::read::{Body, bad};
use crate::http::access::Access;
use crate::http::openapi::OpenAiRefusals;
use crate::http::problem::Problem;
use crate::http::{Context, Shared, blocking, source};
use crate::retrieve::Hit;

/// The filter's id in the list of models.
pub(super) const ID: &str = "strongroom-filter";
/// Passages that are added.
const PASSAGES: usize = 6;

/// A chat on its way to a model, or back.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Filtered {
    /// The chat's request or answer, which is given back.
    #[schema(value_type = Object)]
    body: Value,
}

/// Adds passages to a chat on its way to a model.
#[utoipa::path(
    post, path = "/v1/{id}/filter/inlet", tag = "openai", operation_id = "filterInlet",
    params(("id" = String, Path, description = "`strongroom-filter`")),
    request_body = Filtered,
    responses((status = 200, description = "`body`, with passages under `files`.", body = Object), OpenAiRefusals),
)]
pub(super) async fn filter_inlet(
    State(context): Shared,
    access: Access,
    Path(id): Path<String>,
    Body(Filtered { mut body }): Body<Filtered>,
) -> Result<Reply<Value>, Problem> {
    check(&context, &id)?;
    if !body.is_object() {
        return Err(bad("body", "must be an object"));
    }
    let is_task = body.pointer("/metadata/task").is_some_and(|task| !task.is_null() && task != "");
    let Some(question) = question(&body).filter(|_| !is_task) else { return Ok(Reply(body)) };
    let readable = models::readable(&context, &access).await?;
    let mut collections = context.door.filter.clone();
    collections.retain(|name| readable.iter().any(|(known, _)| known == name));
    let ask = context.door.ask.within(access.reach());
    let found = blocking(move || ask.grounds(Some(&collections), &question, PASSAGES)).await?;
    if !found.hits.is_empty() {
        let docs: Vec<Value> = found.hits.iter().map(|hit| passage(context.door.public_url.as_deref(), hit)).collect();
        let file = json!({ "type": "doc", "id": "strongroom", "name": "Strongroom", "context": "full", "docs": docs });
        match &mut body["files"] {
            Value::Array(files) => files.push(file),
            files => *files = json!([file]),
        }
    }
    Ok(Reply(body))
}

/// Gives a chat back as it is on its way from a model.
#[utoipa::path(
    post, path = "/v1/{id}/filter/outlet", tag = "openai", operation_id = "filterOutlet",
    params(("id" = String, Path, description = "`strongroom-filter`")),
    request_body = Filtered,
    responses((status = 200, description = "`body`, unchanged.", body = Object), OpenAiRefusals),
)]
pub(super) async fn filter_outlet(
    State(context): Shared,
    Path(id): Path<String>,
    Body(Filtered { body }): Body<Filtered>,
) -> Result<Reply<Value>, Problem> {
    check(&context, &id)?;
    Ok(Reply(body))
}

fn check(context: &Context, id: &str) -> Result<(), Problem> {
    if id == ID && !context.door.filter.is_empty() { Ok(()) } else { Err(models::not_found(id)) }
}

/// The last thing that the user said, if it can be searched for.
fn question(body: &Value) -> Option<String> {
    let messages = body["messages"].as_array()?;
    let last = messages.iter().rev().find(|message| message["role"] == "user")?;
    let text = match &last["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n"),
        _ => return None,
    };
    let text: String = text.trim().chars().take(20_000).collect();
    (!text.is_empty()).then_some(text)
}

fn passage(base: Option<&str>, hit: &Hit) -> Value {
    json!({
        "content": hit.text,
        "metadata": {
            "source": source::source(base, hit),
            "name": source::name(&hit.document),
            "page": hit.page.map(|page| page.saturating_sub(1)),
            "external": true,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_thing_said_is_the_question() {
        let said = |content: Value| {
            question(&json!({ "messages": [{ "role": "user", "content": content }, { "role": "assistant", "content": "x" }] }))
        };
        assert_eq!(said(json!(" When? ")).as_deref(), Some("When?"));
        assert_eq!(said(json!([{ "type": "text", "text": "When?" }, { "type": "image_url" }])).as_deref(), Some("When?"));
        assert_eq!((said(json!(" ")), question(&json!({}))), (None, None));
    }
}
