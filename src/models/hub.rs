//! The Hugging Face hub over HTTPS: files by revision, each with the SHA-256 that it had when it was first seen.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use axum::http::Method;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::files::{check, hex, place, settle, unusable};
use super::packages::Failed;
use super::{ModelsError, Progress};
use crate::egress::{Client, ClientOptions, Egress, Redirects};

/// Where it is.
pub(super) const ADDRESS: &str = "https://huggingface.co";

/// Hosts that it hands its big files out from.
const FILE_HOSTS: &[&str] = &["huggingface.co", "hf.co"];

/// Files from one repository.
pub(super) struct Order<'a> {
    /// `owner/name`.
    pub repository: &'a str,
    /// Path in the repository, path here, and the hash that it must have, where that is pinned.
    pub files: Vec<(String, PathBuf, Option<&'static str>)>,
    /// The file that keeps what was seen.
    pub seen: PathBuf,
}

/// What was seen of the hub: for each repository its revision, and the hashes of its files at that revision.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Seen(BTreeMap<String, Repository>);

#[derive(Debug, Default, Serialize, Deserialize)]
struct Repository {
    revision: String,
    files: BTreeMap<String, String>,
}

/// Fetches what is ordered. Runs on a thread of its own, so that it may be called from inside an asynchronous program.
pub(super) fn fetch(
    order: &Order<'_>,
    address: &str,
    egress: &Egress,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), Failed> {
    let client = egress
        .client(ClientOptions {
            name: "models",
            redirects: Redirects::To(FILE_HOSTS),
            connect: Duration::from_secs(15),
            pause: Duration::from_secs(60),
            // A mirror on this machine may do without.
            https_only: !address.starts_with("http://127.0.0.1:"),
        })
        .map_err(|error| Failed::Unreachable(error.to_string()))?;
    let (report, reports) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| Failed::Unreachable(error.to_string()))?;
            runtime.block_on(fetch_all(order, address, &client, &|told| {
                // Nobody listens any more: the fetch is worth finishing all the same.
                let _ = report.send(told);
            }))
        });
        for told in reports {
            progress(told);
        }
        thread.join().unwrap_or_else(|_| Err(Failed::Unreachable("fetching from the hub panicked".into())))
    })
}

async fn fetch_all(order: &Order<'_>, address: &str, client: &Client, report: &dyn Fn(Progress)) -> Result<(), Failed> {
    let mut seen = read_seen(&order.seen)?;
    let known = seen.0.entry(order.repository.to_owned()).or_default();
    if known.revision.is_empty() {
        known.revision = newest(order.repository, address, client).await?;
    }
    for (path, to, pinned) in &order.files {
        if path.is_empty() || Path::new(path).components().any(|part| !matches!(part, Component::Normal(_))) {
            return Err(ModelsError::Refused(format!("{path:?} is no path in a repository")).into());
        }
        let url = format!("{address}/{}/resolve/{}/{path}", order.repository, known.revision);
        let wanted = pinned.map(str::to_owned).or_else(|| known.files.get(path).cloned());
        let hash = download(&url, path, to, wanted.as_deref(), client, report).await?;
        known.files.insert(path.clone(), hash);
    }
    let json = serde_json::to_vec_pretty(&seen).map_err(|error| unusable(&order.seen)(error.into()))?;
    place(&mut json.as_slice(), &order.seen, "the list of what was seen", None)?;
    Ok(())
}

fn read_seen(path: &Path) -> Result<Seen, ModelsError> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| unusable(path)(error.into())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Seen::default()),
        Err(error) => Err(unusable(path)(error)),
    }
}

/// The revision that the hub's `main` is at.
async fn newest(repository: &str, address: &str, client: &Client) -> Result<String, Failed> {
    #[derive(Deserialize)]
    struct Revision {
        sha: String,
    }
    let unreachable = |reason: String| Failed::Unreachable(format!("the Hugging Face hub: {reason}"));
    let url = format!("{address}/api/models/{repository}/revision/main");
    let answer = client.send(client.request(Method::GET, &url)).await.map_err(|error| unreachable(error.to_string()))?;
    if !answer.status().is_success() {
        return Err(unreachable(format!("{repository}: {}", answer.status())));
    }
    let body = answer.body(8 * 1024 * 1024).await.map_err(|error| unreachable(error.to_string()))?;
    let revision: Revision = serde_json::from_slice(&body).map_err(|error| unreachable(error.to_string()))?;
    if revision.sha.is_empty() || !revision.sha.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(unreachable(format!("{repository} has no revision")));
    }
    Ok(revision.sha)
}

async fn download(
    url: &str,
    path: &str,
    to: &Path,
    wanted: Option<&str>,
    client: &Client,
    report: &dyn Fn(Progress),
) -> Result<String, Failed> {
    let unreachable = |reason: String| Failed::Unreachable(format!("the Hugging Face hub: {path}: {reason}"));
    let request = client.request(Method::GET, url);
    let mut answer = client.send(request).await.map_err(|error| unreachable(error.to_string()))?;
    if !answer.status().is_success() {
        return Err(unreachable(answer.status().to_string()));
    }
    let total = answer.content_length();
    let folder = to.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(unusable(folder))?;
    let mut file = NamedTempFile::new_in(folder).map_err(unusable(folder))?;
    let (mut hasher, mut done) = (Sha256::new(), 0);
    while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable(error.to_string()))? {
        hasher.update(&chunk);
        file.write_all(&chunk).map_err(unusable(to))?;
        done += chunk.len() as u64;
        report(Progress::Bytes { done, total });
    }
    let found = hex(&hasher.finalize());
    check(path, wanted, &found)?;
    settle(file, to)?;
    Ok(found)
}
