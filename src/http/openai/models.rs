//! What stands in the list of models: `strongroom` for all that the caller may read, `strongroom/<collection>` for one, and the
//! embedding model, and the lanes in which recordings are written down.

use axum::Json as Reply;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use strongroom_ingest::model::Lane;
use utoipa::ToSchema;

use super::filter;
use crate::http::access::Access;
use crate::http::openapi::OpenAiRefusals;
use crate::http::problem::Problem;
use crate::http::{Context, Shared, blocking};

/// The model that stands for all collections that the caller may read.
pub(super) const ALL: &str = "strongroom";
/// The embedding model, whichever it is.
pub(super) const EMBED: &str = "strongroom-embed";

/// The speech servers of either lane.
pub(super) const FAST: &str = "strongroom-fast";
pub(super) const ACCURATE: &str = "strongroom-accurate";

/// A list of models.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelList {
    /// `list`
    object: &'static str,
    /// The models.
    data: Vec<Model>,
}

/// A model.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Model {
    /// Its name in requests.
    id: String,
    /// `model`
    object: &'static str,
    /// 0: they have no age.
    created: i64,
    /// `strongroom`
    owned_by: &'static str,
    /// What people see.
    name: String,
    /// Only with the pipeline filter: that it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pipeline: Option<Value>,
}

impl Model {
    fn new(id: String) -> Self {
        Self { name: id.clone(), id, object: "model", created: 0, owned_by: "strongroom", pipeline: None }
    }
}

/// Lists the models that the caller may use.
#[utoipa::path(
    get, path = "/v1/models", tag = "openai", operation_id = "listModels",
    responses((status = 200, description = "The models.", body = ModelList), OpenAiRefusals),
)]
pub(super) async fn list_models(State(context): Shared, access: Access) -> Result<Reply<ModelList>, Problem> {
    Ok(Reply(ModelList { object: "list", data: models(&context, &access).await? }))
}

/// Gives one model.
#[utoipa::path(
    get, path = "/v1/models/{*model}", tag = "openai", operation_id = "getModel",
    params(("model" = String, Path, description = "The model's name; `/` may stand in it as it is.")),
    responses((status = 200, description = "The model.", body = Model), OpenAiRefusals),
)]
pub(super) async fn get_model(
    State(context): Shared,
    access: Access,
    Path(model): Path<String>,
) -> Result<Reply<Model>, Problem> {
    let models = models(&context, &access).await?;
    if is_embedding(&context, &model) {
        return Ok(Reply(Model::new(model)));
    }
    models.into_iter().find(|known| known.id == model).map(Reply).ok_or_else(|| not_found(&model))
}

async fn models(context: &Context, access: &Access) -> Result<Vec<Model>, Problem> {
    let readable = readable(context, access).await?;
    let mut models = Vec::with_capacity(readable.len() + 2);
    if readable.len() == 1 || (readable.len() > 1 && readable.iter().all(|(_, mixes)| *mixes)) {
        models.push(Model { name: "Strongroom".into(), ..Model::new(ALL.into()) });
    }
    models.extend(readable.iter().map(|(name, _)| Model::new(format!("{ALL}/{name}"))));
    if context.door.ask.embedding_model().is_some() {
        models.push(Model::new(EMBED.into()));
    }
    let lanes = [(FAST, Lane::Fast), (ACCURATE, Lane::Accurate)];
    let served = |(_, lane): &(&str, Lane)| context.door.speech.as_ref().is_some_and(|speech| speech.has(*lane));
    models.extend(lanes.iter().filter(|lane| served(lane)).map(|(name, _)| Model::new((*name).into())));
    if !context.door.filter.is_empty() {
        let pipeline = json!({ "type": "filter", "pipelines": ["*"], "priority": 0, "valves": false });
        models.push(Model { name: "Strongroom filter".into(), pipeline: Some(pipeline), ..Model::new(filter::ID.into()) });
    }
    Ok(models)
}

/// The collections that the caller may read, each with whether its text may stand beside that of others.
pub(super) async fn readable(context: &Context, access: &Access) -> Result<Vec<(String, bool)>, Problem> {
    let ask = context.door.ask.within(access.reach());
    blocking(move || ask.collections()).await
}

/// The collections that a chat model stands for.
///
/// # Errors
/// 404 where there is none of that name for the caller, 409 where they may not stand in one answer.
pub(super) async fn meant(context: &Context, access: &Access, model: &str) -> Result<Vec<String>, Problem> {
    let readable = readable(context, access).await?;
    let wanted: Vec<String> = match model.strip_prefix(ALL) {
        Some("") => readable.iter().map(|(name, _)| name.clone()).collect(),
        Some(rest) => match rest.strip_prefix('/') {
            Some(names) => names.split(',').map(str::to_owned).collect(),
            None => return Err(not_found(model)),
        },
        None => return Err(not_found(model)),
    };
    let mut mixes = Vec::with_capacity(wanted.len());
    for name in &wanted {
        mixes.push(readable.iter().find(|(known, _)| known == name).ok_or_else(|| not_found(model))?.1);
    }
    if wanted.len() > 1 && !mixes.iter().all(|mixes| *mixes) {
        let detail = "This model stands for several collections, and not all of them allow answers that mix them. \
                      Use `strongroom/<collection>`, as /v1/models lists it.";
        let title = "The answer would mix collections";
        return Err(Problem::new(StatusCode::CONFLICT, "would_mix", title, detail).about("model"));
    }
    Ok(wanted)
}

/// Whether `model` names the active embedding model.
pub(super) fn is_embedding(context: &Context, model: &str) -> bool {
    model == EMBED || context.door.ask.embedding_model().is_some_and(|(name, _)| name == model)
}

/// The same for a model that does not exist and for one of a collection that may not be read.
pub(super) fn not_found(model: &str) -> Problem {
    let shown: String = model.chars().take(100).collect();
    let detail = format!("The model `{shown}` does not exist; /v1/models lists those that do.");
    Problem::new(StatusCode::NOT_FOUND, "model_not_found", "There is no such model", detail).about("model")
}
