//! The API as commands see it: over the control socket of a running server, or the same routes in this process.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, header};
use http_body_util::BodyExt as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

use super::{CliError, Surroundings};
use crate::app::{App, AppError, Purpose, control, model};
use crate::config::Config;
use crate::egress::{Client, ClientOptions, Egress, Redirects};
use crate::http::{AllowedHosts, Via};

/// A rebuild of a large collection answers only when it is done.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);
/// Longest answer that is taken, in bytes.
const LONGEST_ANSWER: usize = 256 << 20;

/// Who answers.
enum Who {
    /// The server that has the data folder.
    Server(Client),
    /// This process.
    Local { app: Arc<App>, routes: Router },
}

/// Whether a command needs the embedding model, where it has to load it itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    Catalog,
    Model,
}

/// The API, wherever it is.
pub(super) struct Api {
    who: Who,
    runtime: Runtime,
}

impl Api {
    /// Reaches the running server of the data folder, or opens the folder.
    pub fn open(here: &Surroundings, needs: Needs) -> Result<Self, CliError> {
        let config = &here.loaded.config;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CliError::failed)?;
        let who = match over_socket(config)? {
            Some(client) => Who::Server(client),
            None => locally(here, needs)?,
        };
        Ok(Self { who, runtime })
    }

    /// Whether a server answers.
    pub fn is_server(&self) -> bool {
        matches!(self.who, Who::Server(_))
    }

    /// Asks, and gives what a good answer holds; `null` where it holds nothing.
    ///
    /// # Errors
    /// What the server says against it, with the remedy.
    pub fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, CliError> {
        let (status, answer) = self.request(method, path, body)?;
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        let detail = answer["detail"].as_str().unwrap_or("the server gave no reason");
        let remedy = match answer["code"].as_str().unwrap_or_default() {
            "no_collection" => " (`strongroom collections` lists them)",
            "mode_unavailable" => " (`--mode lexical` searches by words alone)",
            _ => "",
        };
        Err(CliError::failed(format!("{detail}{remedy}")))
    }

    /// Asks, and gives the status with the answer.
    pub fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, Value), CliError> {
        let (status, bytes) = match &self.who {
            Who::Server(client) => self.runtime.block_on(send(client, method, path, body))?,
            Who::Local { routes, .. } => self.runtime.block_on(call(routes.clone(), method, path, body))?,
        };
        if bytes.is_empty() {
            return Ok((status, Value::Null));
        }
        let answer =
            serde_json::from_slice(&bytes).map_err(|error| CliError::failed(format!("the answer is not JSON: {error}")))?;
        Ok((status, answer))
    }

    /// Every item of a list, page by page.
    pub fn all(&self, path: &str, list: &str) -> Result<Vec<Value>, CliError> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let sign = if path.contains('?') { '&' } else { '?' };
            let page = match &cursor {
                Some(cursor) => self.ask(Method::GET, &format!("{path}{sign}cursor={}", encoded(cursor)), None)?,
                None => self.ask(Method::GET, path, None)?,
            };
            items.extend(page[list].as_array().cloned().unwrap_or_default());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(items),
            }
        }
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        if let Who::Local { app, .. } = &self.who {
            app.stop();
        }
    }
}

/// One part of a URL's path.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The running server of the data folder, if there is one.
pub(super) fn over_socket(config: &Config) -> Result<Option<Client>, CliError> {
    let Ok(socket) = control::socket_path(&config.data) else {
        return Ok(None);
    };
    // The socket's file may be left over from a dead process: only a connection tells.
    if UnixStream::connect(&socket).is_err() {
        return Ok(None);
    }
    let options = ClientOptions {
        name: "control",
        redirects: Redirects::None,
        connect: Duration::from_secs(5),
        pause: LONGEST_PAUSE,
        https_only: false,
    };
    Egress::new(None).socket_client(options, &socket).map(Some).map_err(CliError::failed)
}

fn locally(here: &Surroundings, needs: Needs) -> Result<Who, CliError> {
    let config = &here.loaded.config;
    if !config.data.is_dir() {
        return Err(CliError::failed(format!(
            "there is no data folder at {}: start `strongroom serve FOLDER`, or say where it is with --data DIR",
            config.data.display()
        )));
    }
    let opened = App::open(config.clone(), model::models(&here.environment), Purpose::Command);
    let app = opened.map_err(|error| match error {
        AppError::InUse { data, pid } => CliError::failed(format!(
            "process {pid} has the data folder {} and does not answer on its control socket: \
             it may be starting or ending, so try again",
            data.display()
        )),
        other => CliError::failed(other),
    })?;
    if needs == Needs::Model {
        model::load(&app, model::Fetch::No, &|_| {});
    }
    let routes = app.router(Via::ControlSocket, AllowedHosts::open_on(config.bind));
    Ok(Who::Local { app, routes })
}

async fn send(client: &Client, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, Vec<u8>), CliError> {
    let mut request = client.request(method, &format!("http://strongroom{path}"));
    if let Some(body) = body {
        request = request.json(body);
    }
    let response = client.send(request).await.map_err(CliError::failed)?;
    let status = response.status().as_u16();
    Ok((status, response.body(LONGEST_ANSWER).await.map_err(CliError::failed)?))
}

async fn call(routes: Router, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, Vec<u8>), CliError> {
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, "strongroom");
    let mut bytes = Body::empty();
    if let Some(body) = body {
        request = request.header(header::CONTENT_TYPE, "application/json");
        bytes = Body::from(body.to_string());
    }
    let request = request.body(bytes).map_err(CliError::failed)?;
    let Ok(response) = routes.oneshot(request).await;
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.map_err(CliError::failed)?.to_bytes();
    Ok((status, bytes.to_vec()))
}
