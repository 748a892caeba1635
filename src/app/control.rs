//! The control socket: how the command line reaches the running server. Who can open it owns the data folder.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use tokio::net::UnixListener;

use super::{App, AppError, model};

/// Longest path that a socket can be bound to on every system we run on, in bytes.
const LONGEST_SOCKET_PATH: usize = 100;

/// The socket of a data folder.
///
/// # Errors
/// When the path is longer than a socket's may be; says so.
pub fn socket_path(data: &Path) -> Result<PathBuf, String> {
    let path = data.join("control.sock");
    if path.as_os_str().len() > LONGEST_SOCKET_PATH {
        return Err(format!("the path of {} is too long for a socket: use a data folder nearer to the root", path.display()));
    }
    Ok(path)
}

/// Binds the socket, readable by this user only. The data folder's lock must be held: then what lies there is a dead process's.
pub(super) fn bind(path: &Path) -> Result<UnixListener, AppError> {
    let failed = |source| AppError::Io { what: "make the control socket", source };
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

/// Free bytes for this user on the disk of `path`, or of its nearest folder that exists.
pub fn free_space(path: &Path) -> std::io::Result<u64> {
    let existing = path.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    let state = rustix::fs::statvfs(existing)?;
    Ok(state.f_bavail.saturating_mul(state.f_frsize))
}

/// What only the command line may ask for, beside the REST routes.
pub(super) fn router(app: Arc<App>) -> Router {
    Router::new().route("/control/process", get(process)).route("/control/model", post(activate)).with_state(app)
}

async fn process(State(app): State<Arc<App>>) -> Response {
    let body = json!({
        "pid": std::process::id(),
        "version": env!("CARGO_PKG_VERSION"),
        "data": app.config.data,
    });
    Json(body).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Activate {
    model: String,
}

/// Loads another model and makes it the active one, which the next rebuild then uses.
async fn activate(State(app): State<Arc<App>>, Json(request): Json<Activate>) -> Response {
    let loading = tokio::task::spawn_blocking(move || model::switch(&app, &request.model, &|_| {}));
    match loading.await {
        Ok(Ok(name)) => Json(json!({ "model": name })).into_response(),
        Ok(Err(message)) => problem(StatusCode::UNPROCESSABLE_ENTITY, "model_unavailable", message),
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", "loading the model failed".to_owned()),
    }
}

fn problem(status: StatusCode, code: &str, detail: String) -> Response {
    (status, Json(json!({ "status": status.as_u16(), "code": code, "detail": detail }))).into_response()
}
