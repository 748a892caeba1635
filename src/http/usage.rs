//! `GET /api/v1/usage`: what language models were asked, how much of it stayed here, and what it cost.

use std::collections::HashMap;

use axum::Json as Reply;
use axum::extract::State;
use jiff::civil::Date;
use serde::Serialize;
use strongroom_ingest::model::CollectionId;
use strongroom_ingest::pipeline::PipelineError;
use utoipa::ToSchema;

use super::access::Access;
use super::audit::TokensBody;
use super::openapi::{NoCollection, Refusals};
use super::params::Params;
use super::problem::Problem;
use super::{Shared, blocking};
use crate::usage::{Bill, Row, TOKENIZER, bills, local_share};

/// What was asked between two days.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UsageBody {
    /// The first day, in UTC.
    pub from: String,
    /// The last day.
    pub to: String,
    /// What `tokens` are counted by, for models here and in clouds alike.
    pub tokenizer: &'static str,
    /// Which share of all tokens models here took in and gave, 0 to 1; null where there were none.
    pub local_share: Option<f64>,
    /// By month, collection, task and generator.
    pub rows: Vec<UsageRow>,
    /// By month and collection, own against rent.
    pub months: Vec<MonthBody>,
    /// The currency of all amounts.
    pub currency: String,
}

/// Sums of a month, a collection, a task and a generator.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UsageRow {
    /// Year and month.
    #[schema(example = "2026-03")]
    pub month: String,
    /// The collection's name; null where it was destroyed.
    pub collection: Option<String>,
    /// The kind of task; `chat` for what a client had done without documents, such as titles of conversations.
    pub task: String,
    /// The generator's name in the configuration; `extracts` asks no model and has no tokens.
    pub generator: String,
    /// `local` or `cloud`.
    pub place: &'static str,
    /// Tasks done.
    pub tasks: u64,
    /// Tokens by one tokenizer.
    pub tokens: TokensBody,
    /// Tokens as the servers say.
    pub reported_tokens: TokensBody,
    /// Seconds that the generator was at it.
    pub seconds: f64,
}

/// One client's month: what it cost here, and what a cloud would have asked. What is not priced is null.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MonthBody {
    /// Year and month.
    pub month: String,
    /// The collection's name; null where it was destroyed.
    pub collection: Option<String>,
    /// Tokens of models here.
    pub local_tokens: TokensBody,
    /// Tokens of clouds.
    pub cloud_tokens: TokensBody,
    /// Kilowatt-hours that the models here drew while they computed.
    pub kilowatt_hours: Option<f64>,
    /// Electricity, and the collection's share of the machine by tokens.
    pub own: Option<f64>,
    /// What a cloud would have asked for the tokens of the models here.
    pub rent: Option<f64>,
    /// What the clouds asked.
    pub paid: Option<f64>,
}

/// Shows what language models were asked.
#[utoipa::path(
    get, path = "/api/v1/usage", tag = "operation", operation_id = "getUsage",
    params(
        ("from" = Option<String>, Query, description = "The first day, such as `2026-03-01`; the first of this month if not given."),
        ("to" = Option<String>, Query, description = "The last day; today if not given."),
        ("collection" = Option<String>, Query, description = "Only this collection; all that the key may see if not given."),
    ),
    responses(
        (status = 200, description = "Sums by month, collection, task and generator; own against rent.", body = UsageBody),
        NoCollection,
        Refusals,
    ),
)]
pub(super) async fn get_usage(State(context): Shared, access: Access, mut params: Params) -> Result<Reply<UsageBody>, Problem> {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let to = day(&mut params, "to")?.unwrap_or(today);
    let from = day(&mut params, "from")?.unwrap_or_else(|| to.first_of_month());
    let only = params.text("collection")?;
    params.finish()?;
    if from > to {
        return Err(Problem::bad_field("from", "must not be after `to`"));
    }
    let door = std::sync::Arc::clone(&context.door);
    let read = move || -> Result<UsageBody, Problem> {
        let only = match only {
            Some(name) => {
                let id = door.pipeline.collection_id(&name)?.filter(|id| access.reach().allows(*id));
                Some(id.ok_or(PipelineError::NoCollection)?)
            }
            None => None,
        };
        let mut names: HashMap<CollectionId, String> = HashMap::new();
        names.extend(door.pipeline.collections()?.into_iter().map(|record| (record.id, record.name)));
        let mut rows = door.meter.rows(access.reach(), from, to).map_err(|error| Problem::internal(error.to_string()))?;
        rows.retain(|row| only.is_none_or(|only| row.collection == only));
        let name = |id: CollectionId| names.get(&id).cloned();
        Ok(UsageBody {
            from: from.to_string(),
            to: to.to_string(),
            tokenizer: TOKENIZER,
            local_share: local_share(&rows),
            months: bills(&rows, &door.prices).into_iter().map(|bill| month(bill, name)).collect(),
            rows: monthly(rows).into_iter().map(|row| body(row, name)).collect(),
            currency: door.prices.currency.clone(),
        })
    };
    Ok(Reply(blocking(read).await?))
}

fn day(params: &mut Params, name: &str) -> Result<Option<Date>, Problem> {
    let text = params.text(name)?;
    let day = text.map(|text| text.parse().map_err(|_| Problem::bad_field(name, "must be a day such as `2026-03-01`")));
    day.transpose()
}

/// Sums by month, in place of days.
fn monthly(rows: Vec<Row>) -> Vec<Row> {
    let mut sums: Vec<Row> = Vec::new();
    let mut places: HashMap<(Date, CollectionId, String, String, &'static str), usize> = HashMap::new();
    for mut row in rows {
        row.day = row.day.first_of_month();
        let key = (row.day, row.collection, row.task.clone(), row.generator.clone(), row.place.as_str());
        match places.get(&key) {
            Some(at) => sums[*at].add(&row),
            None => {
                places.insert(key, sums.len());
                sums.push(row);
            }
        }
    }
    sums
}

fn body(row: Row, name: impl Fn(CollectionId) -> Option<String>) -> UsageRow {
    UsageRow {
        month: row.day.strftime("%Y-%m").to_string(),
        collection: name(row.collection),
        task: row.task,
        generator: row.generator,
        place: row.place.as_str(),
        tasks: row.tasks,
        tokens: row.tokens.into(),
        reported_tokens: row.reported.into(),
        seconds: row.busy.as_secs_f64(),
    }
}

fn month(bill: Bill, name: impl Fn(CollectionId) -> Option<String>) -> MonthBody {
    MonthBody {
        month: bill.month,
        collection: name(bill.collection),
        local_tokens: bill.local.into(),
        cloud_tokens: bill.cloud.into(),
        kilowatt_hours: bill.kilowatt_hours,
        own: bill.own,
        rent: bill.rent,
        paid: bill.paid,
    }
}
