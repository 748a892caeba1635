//! What of a collection could not be read, and the passwords that would change that.

use axum::Json as Reply;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use strongroom_ingest::index::records::Coverage;
use utoipa::ToSchema;

use super::access::Named;
use super::body::{Json, JsonRequest};
use super::openapi::{NoCollection, NotJson, Refusals};
use super::paging::List;
use super::params::Params;
use super::problem::Problem;
use super::types::{CountsBody, DocumentBody, RetriedBody};
use super::{Shared, blocking};

/// Longest password taken, in bytes.
const LONGEST_PASSWORD: usize = 1024;

/// What of a collection was read, and what was not: the honest half of every answer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CoverageBody {
    /// The collection's name.
    pub collection: String,
    /// Files by state.
    pub documents: CountsBody,
    /// Things inside files (attachments, files in archives) that were read.
    pub members: u64,
    /// Things inside files that could not be read.
    pub unreadable_members: u64,
    /// Pages that were read.
    pub pages: u64,
    /// Pages that nobody could read.
    pub missing_pages: u64,
    /// How often each reason keeps a file or a thing inside one from being read; most often first.
    pub reasons: Vec<ReasonCount>,
    /// Files and things inside them that were not read, or not all of them, by path.
    pub unread: Vec<DocumentBody>,
    /// Pass it as `cursor` to get more of `unread`; null on the last page.
    pub next_cursor: Option<String>,
}

/// A reason and how often it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReasonCount {
    /// The reason.
    #[schema(example = "scanned")]
    pub reason: String,
    /// How often.
    pub count: u64,
}

/// A password to try.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordRequest {
    /// The document that it opens; every document of the collection if it is not given.
    #[serde(default)]
    pub path: Option<String>,
    /// The password; 1 to 1024 bytes. It is kept in the collection's own folder and told to nobody.
    #[schema(min_length = 1, max_length = 1024)]
    pub password: String,
}

impl JsonRequest for PasswordRequest {
    const FIELDS: &'static [&'static str] = &["path", "password"];
}

/// How many passwords were forgotten.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ForgottenBody {
    /// That many.
    pub forgotten: u64,
}

/// Shows what of a collection could not be read, and why.
#[utoipa::path(
    get, path = "/api/v1/collections/{collection}/coverage", tag = "collections", operation_id = "getCoverage",
    params(
        ("collection" = String, Path, description = "The collection's name."),
        ("limit" = Option<u32>, Query, description = "Entries of `unread` on a page, 1 to 1000; 100 if not given."),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses(
        (status = 200, description = "Sums, and one page of what was not read.", body = CoverageBody),
        NoCollection,
        Refusals,
    ),
)]
pub(super) async fn get_coverage(
    State(context): Shared,
    Named(collection): Named,
    mut params: Params,
) -> Result<Reply<CoverageBody>, Problem> {
    let limit = params.page_limit()?;
    let after = params.text("cursor")?.map(|cursor| List::Unread.after(&cursor)).transpose()?;
    params.finish()?;
    let pipeline = context.door.pipeline.clone();
    let name = collection.clone();
    let looked = move || {
        let sums = pipeline.coverage(&name)?;
        pipeline.unread(&name, after.as_deref(), limit).map(|page| (sums, page))
    };
    let (sums, page) = blocking(looked).await?;
    let Coverage { counts, members, unreadable_members, pages, missing_pages, reasons } = sums;
    let reasons = reasons.into_iter().map(|(reason, count)| ReasonCount { reason: reason.as_str().to_owned(), count });
    Ok(Reply(CoverageBody {
        collection,
        documents: counts.into(),
        members,
        unreadable_members,
        pages,
        missing_pages,
        reasons: reasons.collect(),
        unread: page.documents.into_iter().map(DocumentBody::from).collect(),
        next_cursor: page.next.map(|path| List::Unread.cursor(&path)),
    }))
}

/// Keeps a password, and tries again what needed one.
#[utoipa::path(
    post, path = "/api/v1/collections/{collection}/passwords", tag = "collections", operation_id = "addPassword",
    params(("collection" = String, Path, description = "The collection's name.")),
    request_body = PasswordRequest,
    responses(
        (status = 200, description = "How many documents are tried again.", body = RetriedBody),
        NoCollection,
        NotJson,
        Refusals,
    ),
)]
pub(super) async fn add_password(
    State(context): Shared,
    Named(collection): Named,
    params: Params,
    Json(request): Json<PasswordRequest>,
) -> Result<Reply<RetriedBody>, Problem> {
    params.finish()?;
    if request.password.is_empty() || request.password.len() > LONGEST_PASSWORD {
        return Err(Problem::bad_field("password", "must have 1 to 1024 bytes"));
    }
    let pipeline = context.door.pipeline.clone();
    let kept = move || pipeline.add_password(&collection, request.path.as_deref(), &request.password);
    Ok(Reply(RetriedBody { retried: blocking(kept).await? }))
}

/// Forgets the passwords for a path, or all of a collection. What was read with them stays.
#[utoipa::path(
    delete, path = "/api/v1/collections/{collection}/passwords", tag = "collections", operation_id = "forgetPasswords",
    params(
        ("collection" = String, Path, description = "The collection's name."),
        ("path" = Option<String>, Query, description = "Only those for this document."),
    ),
    responses((status = 200, description = "How many were forgotten.", body = ForgottenBody), NoCollection, Refusals),
)]
pub(super) async fn forget_passwords(
    State(context): Shared,
    Named(collection): Named,
    mut params: Params,
) -> Result<Reply<ForgottenBody>, Problem> {
    let path = params.text("path")?;
    params.finish()?;
    let pipeline = context.door.pipeline.clone();
    let forgotten = blocking(move || pipeline.remove_passwords(&collection, path.as_deref())).await?;
    Ok(Reply(ForgottenBody { forgotten }))
}
