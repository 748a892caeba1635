//! The one place where outbound clients are made: each has a name, and what leaves through it is counted.
//!
//! No client takes a proxy from the environment, and none follows a redirect unless the hosts that it may be sent to are written
//! down where it is made.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::TryStreamExt;
pub use reqwest::RequestBuilder;
use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode};

/// Installs the one TLS provider of the process. `main` calls it once; a second call does nothing.
pub fn install_crypto() {
    // An error says that one is installed already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Why a request had no answer. Addresses are left out: they may carry secrets.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The client could not be made.
    #[error("cannot make the {name} client: {reason}")]
    Client {
        /// The client's name.
        name: Arc<str>,
        /// Why.
        reason: String,
    },
    /// The request failed on its way.
    #[error("{name}: {reason}")]
    Request {
        /// The client's name.
        name: Arc<str>,
        /// Why, with what lies under it.
        reason: String,
    },
}

/// What one client has done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests begun.
    pub requests: u64,
    /// Bytes of request bodies.
    pub sent: u64,
    /// Bytes of answers' bodies that were read.
    pub received: u64,
}

/// Makes clients and keeps their counts. Clones share the counts.
#[derive(Clone, Default)]
pub struct Egress {
    counts: Arc<Mutex<BTreeMap<Arc<str>, Counts>>>,
    proxy: Option<String>,
}

/// Where a client may be sent on to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirects {
    /// Nowhere: a redirect is an answer like any other.
    None,
    /// To these hosts and the ones below them, over HTTPS, five times in a row at most. Anything else is an error.
    To(&'static [&'static str]),
}

/// How a client behaves.
#[derive(Clone, Copy, Debug)]
pub struct ClientOptions<'a> {
    /// Under which its requests are counted.
    pub name: &'a str,
    /// Where it may be sent on to.
    pub redirects: Redirects,
    /// How long making a connection may take.
    pub connect: Duration,
    /// How long an answer may pause.
    pub pause: Duration,
    /// Whether plain HTTP is refused.
    pub https_only: bool,
}

/// Where a name leads, decided once.
#[derive(Clone, Debug)]
pub struct Pinned {
    /// The name, or an address as text.
    pub host: String,
    /// The one address that it leads to.
    pub address: SocketAddr,
}

impl Egress {
    /// `proxy` is the one that the configuration names, if it names one.
    pub fn new(proxy: Option<String>) -> Self {
        Self { counts: Arc::default(), proxy }
    }

    /// Makes a client. [`install_crypto`] must have been called.
    pub fn client(&self, options: ClientOptions<'_>) -> Result<Client, EgressError> {
        let name: Arc<str> = options.name.into();
        let failed = not_made(&name);
        let mut builder = plain(options);
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(&failed)?);
        }
        let http = builder.build().map_err(&failed)?;
        Ok(Client { http, name, counts: Arc::clone(&self.counts) })
    }

    /// Makes a client that asks no name service: `pinned.host` is at `pinned.address`, and no proxy stands between.
    pub fn pinned_client(&self, options: ClientOptions<'_>, pinned: &Pinned) -> Result<Client, EgressError> {
        let name: Arc<str> = options.name.into();
        let failed = not_made(&name);
        let http = plain(options)
            .resolve(&pinned.host, pinned.address)
            // Small servers close a connection that was kept just when it is used again, and a prompt is not sent twice to find out.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(failed)?;
        Ok(Client { http, name, counts: Arc::clone(&self.counts) })
    }

    /// Makes a client for a Unix socket on this machine; the host in its addresses means nothing.
    #[cfg(unix)]
    pub fn socket_client(&self, options: ClientOptions<'_>, socket: &std::path::Path) -> Result<Client, EgressError> {
        let name: Arc<str> = options.name.into();
        let failed = not_made(&name);
        let http = plain(options).unix_socket(socket.to_path_buf()).build().map_err(failed)?;
        Ok(Client { http, name, counts: Arc::clone(&self.counts) })
    }

    /// Sends one datagram, also to all of a network, and counts it under that name.
    pub async fn datagram(&self, name: &str, to: SocketAddr, bytes: &[u8]) -> Result<(), EgressError> {
        let from: SocketAddr = if to.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
        let sending = async {
            let socket = tokio::net::UdpSocket::bind(from).await?;
            socket.set_broadcast(true)?;
            socket.send_to(bytes, to).await
        };
        let sent = sending.await.map_err(|error| EgressError::Request { name: name.into(), reason: error.to_string() })?;
        count(&self.counts, &name.into(), |counts| {
            counts.requests += 1;
            counts.sent += sent as u64;
        });
        Ok(())
    }

    /// What each client has done so far, by name.
    pub fn counts(&self) -> BTreeMap<Arc<str>, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn count(counts: &Mutex<BTreeMap<Arc<str>, Counts>>, name: &Arc<str>, add: impl FnOnce(&mut Counts)) {
    add(counts.lock().unwrap_or_else(PoisonError::into_inner).entry(Arc::clone(name)).or_default());
}

fn not_made(name: &Arc<str>) -> impl Fn(reqwest::Error) -> EgressError + use<> {
    let name = Arc::clone(name);
    move |error| EgressError::Client { name: Arc::clone(&name), reason: chain(&error.without_url()) }
}

fn plain(options: ClientOptions<'_>) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("strongroom/", env!("CARGO_PKG_VERSION")))
        // Clears the environment's proxy; one that was configured is set after this.
        .no_proxy()
        .redirect(match options.redirects {
            Redirects::None => Policy::none(),
            Redirects::To(hosts) => follow_to(hosts),
        })
        .connect_timeout(options.connect)
        .read_timeout(options.pause)
        .https_only(options.https_only)
}

fn follow_to(hosts: &'static [&'static str]) -> Policy {
    Policy::custom(move |attempt| {
        let known = attempt.url().host_str().is_some_and(|host| is_below(host, hosts));
        if !known || attempt.url().scheme() != "https" {
            attempt.error("redirected to a host that is not on this client's list")
        } else if attempt.previous().len() > 5 {
            attempt.error("redirected too often")
        } else {
            attempt.follow()
        }
    })
}

fn is_below(host: &str, hosts: &[&str]) -> bool {
    hosts.iter().any(|known| host == *known || host.strip_suffix(known).is_some_and(|left| left.ends_with('.')))
}

/// A body that is read as it is sent.
pub type Pieces = Pin<Box<dyn futures_util::Stream<Item = std::io::Result<Vec<u8>>> + Send>>;

/// One named client.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    name: Arc<str>,
    counts: Arc<Mutex<BTreeMap<Arc<str>, Counts>>>,
}

impl Client {
    /// Begins a request; [`Client::send`] sends it.
    pub fn request(&self, method: Method, address: &str) -> RequestBuilder {
        self.http.request(method, address)
    }

    /// Sends a request and counts it.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, EgressError> {
        let request = request.build().map_err(|error| self.failed(error))?;
        let sent = request.body().and_then(|body| body.as_bytes()).map_or(0, |bytes| bytes.len() as u64);
        self.count(|counts| {
            counts.requests += 1;
            counts.sent += sent;
        });
        let response = self.http.execute(request).await.map_err(|error| self.failed(error))?;
        Ok(Response { response, client: self.clone() })
    }

    /// Gives a request a body of `length` bytes that is read as it is sent, and counted as it is read.
    pub fn with_body(&self, request: RequestBuilder, length: u64, pieces: Pieces) -> RequestBuilder {
        let client = self.clone();
        let counted = pieces.inspect_ok(move |piece| client.count(|counts| counts.sent += piece.len() as u64));
        // What follows goes over the wire as it is: with a length, or no server would know where it ends.
        request.header(reqwest::header::CONTENT_LENGTH, length).body(reqwest::Body::wrap_stream(counted))
    }

    fn count(&self, add: impl FnOnce(&mut Counts)) {
        count(&self.counts, &self.name, add);
    }

    fn failed(&self, error: reqwest::Error) -> EgressError {
        EgressError::Request { name: Arc::clone(&self.name), reason: chain(&error.without_url()) }
    }
}

/// An answer whose body is counted as it is read.
pub struct Response {
    response: reqwest::Response,
    client: Client,
}

impl Response {
    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Its headers.
    pub fn headers(&self) -> &reqwest::header::HeaderMap {
        self.response.headers()
    }

    /// How long its body says it is.
    pub fn content_length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next piece of its body; none at the end.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>, EgressError> {
        let chunk = self.response.chunk().await.map_err(|error| self.client.failed(error))?;
        if let Some(chunk) = &chunk {
            self.client.count(|counts| counts.received += chunk.len() as u64);
        }
        Ok(chunk.map(|chunk| chunk.to_vec()))
    }

    /// All of its body; an error as soon as it is longer than `most` bytes.
    pub async fn body(mut self, most: usize) -> Result<Vec<u8>, EgressError> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if body.len() + chunk.len() > most {
                let reason = format!("the answer is longer than {most} bytes");
                return Err(EgressError::Request { name: Arc::clone(&self.client.name), reason });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// An error with everything that it says lies under it: `reqwest` alone says only that sending failed.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
#[path = "egress/tests.rs"]
mod tests;
