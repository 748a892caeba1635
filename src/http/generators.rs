//! `GET /api/v1/generators`: which local models answer, why one does not, and what was found out about them over time.

use axum::Json as Reply;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::answers::AttestedBody;
use super::openapi::Refusals;
use super::paging::List;
use super::params::Params;
use super::problem::Problem;
use super::{Shared, blocking};
use crate::answer::{Awake, Look, Record};

/// The configured generators.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GeneratorsBody {
    /// In the order in which they are tried.
    pub generators: Vec<LookBody>,
}

/// A configured generator or other local endpoint.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LookBody {
    /// Its name in the configuration.
    pub name: String,
    /// `openai`, `ollama`, or `other`, which is never asked for answers.
    pub kind: &'static str,
    /// Its model; null where it has none.
    pub model: Option<String>,
    /// `ready`, `asleep` (the next question wakes it), `unreachable`, or `refused`: it is there and may not be used.
    pub state: &'static str,
    /// Why it is not ready; null where it is.
    pub why: Option<String>,
    /// What was found out about it just now; null where it is not ready.
    pub attested: Option<AttestedBody>,
    /// How often it was woken; null where it cannot be.
    pub awake: Option<AwakeBody>,
    /// Requests sent to it since the start, those that only ask what it is among them. Strongroom sees no other traffic of it.
    pub requests: u64,
}

/// How often a generator was woken since the start, and how long its machine was awake.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AwakeBody {
    /// How often it became ready after a packet.
    pub wakes: u64,
    /// Seconds that its machine was awake, as far as was seen: until the sleep command, or until it was last seen.
    pub awake_seconds: f64,
    /// Seconds that questions waited for it, all together.
    pub waited_seconds: f64,
}

impl From<Awake> for AwakeBody {
    fn from(awake: Awake) -> Self {
        let Awake { wakes, awake, waited } = awake;
        Self { wakes, awake_seconds: awake.as_secs_f64(), waited_seconds: waited.as_secs_f64() }
    }
}

impl From<Look> for LookBody {
    fn from(look: Look) -> Self {
        Self {
            name: look.name,
            kind: look.kind,
            model: look.model,
            state: look.state.as_str(),
            why: look.why,
            attested: look.attested.map(|found| AttestedBody::from(&*found)),
            awake: look.awake.map(AwakeBody::from),
            requests: look.requests,
        }
    }
}

/// Changes of what was found out.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AttestationsBody {
    /// The newest first.
    pub attestations: Vec<RecordBody>,
    /// Continues the list; null at its end.
    pub next_cursor: Option<String>,
}

/// One change of what was found out about a generator.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RecordBody {
    /// When, in UTC.
    pub at: String,
    /// The generator's name in the configuration.
    pub generator: String,
    /// The model that was asked for; null where none was.
    pub model: Option<String>,
    /// Why it was refused; null where it was not, and then the rest says what it was.
    pub refused: Option<String>,
    /// Address and port.
    pub endpoint: Option<String>,
    /// What served it, as it said itself.
    pub server: Option<String>,
    /// The process that listened there.
    pub process: Option<String>,
    /// The weights, as `sha256:…`.
    pub digest: Option<String>,
    /// What it kept of a prompt.
    pub isolation: Option<String>,
    /// Tokens that it took in.
    pub context: Option<i64>,
    /// What was checked, in words.
    pub checked: Option<String>,
}

impl From<Record> for RecordBody {
    fn from(record: Record) -> Self {
        let mut body = Self {
            at: record.at.to_string(),
            generator: record.generator,
            model: Some(record.model).filter(|model| !model.is_empty()),
            refused: record.refused,
            endpoint: None,
            server: None,
            process: None,
            digest: None,
            isolation: None,
            context: None,
            checked: None,
        };
        if let Some(found) = record.found {
            (body.endpoint, body.server, body.checked) = (Some(found.endpoint), Some(found.server), Some(found.checked));
            (body.process, body.digest, body.context) = (found.process, found.digest, found.context);
            body.isolation = Some(found.isolation);
        }
        body
    }
}

/// Lists the configured generators in their order, and finds out now what each is. Wakes none.
#[utoipa::path(
    get, path = "/api/v1/generators", tag = "operation", operation_id = "listGenerators",
    responses((status = 200, description = "Every configured generator and other local endpoint.", body = GeneratorsBody), Refusals),
)]
pub(super) async fn list_generators(State(context): Shared, params: Params) -> Result<Reply<GeneratorsBody>, Problem> {
    params.finish()?;
    let looks = context.door.roster.look().await;
    Ok(Reply(GeneratorsBody { generators: looks.into_iter().map(LookBody::from).collect() }))
}

/// Lists what was found out about generators, whenever it changed.
#[utoipa::path(
    get, path = "/api/v1/generators/history", tag = "operation", operation_id = "listAttestations",
    params(
        ("cursor" = Option<String>, Query, description = "Continues a list: the `next_cursor` of the page before."),
        ("limit" = Option<u64>, Query, description = "Changes on a page, 1 to 1000; 100 if not given."),
    ),
    responses((status = 200, description = "Changes, the newest first.", body = AttestationsBody), Refusals),
)]
pub(super) async fn list_attestations(State(context): Shared, mut params: Params) -> Result<Reply<AttestationsBody>, Problem> {
    let (cursor, limit) = (params.text("cursor")?, params.page_limit()?);
    params.finish()?;
    let before = match cursor {
        Some(cursor) => {
            let after = List::Attestations.after(&cursor)?;
            Some(after.parse::<i64>().map_err(|_| Problem::bad_field("cursor", "is not one that this list gave"))?)
        }
        None => None,
    };
    let roster = std::sync::Arc::clone(&context.door.roster);
    let history = move || roster.history(before, limit + 1).map_err(|error| Problem::internal(error.to_string()));
    let mut records = blocking(history).await?;
    let more = records.len() > limit;
    records.truncate(limit);
    let next_cursor = records.last().filter(|_| more).map(|last| List::Attestations.cursor(&last.id.to_string()));
    Ok(Reply(AttestationsBody { attestations: records.into_iter().map(RecordBody::from).collect(), next_cursor }))
}
