//! Keeps strangers out while the server runs open: pages of other sites, names that were re-bound to us, proxies in front of us.
//!
//! Any page in a browser on this machine can send requests to loopback. Such a request carries the page's `Origin`, or, after
//! DNS re-binding, a `Host` that is not ours. A proxy's headers mean that somebody has put an open server on a network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};

use super::access::Gate;
use super::blocking;
use super::problem::Problem;

/// The names under which this server may be called.
#[derive(Clone, Debug)]
pub struct AllowedHosts {
    /// Addresses that the server listens on, with their real ports.
    pub bound: Vec<SocketAddr>,
    /// Further values of `Host`, with a port unless it is 80: `strongroom.lan:7710`.
    pub hosts: Vec<String>,
    /// Origins of other sites that may call: `https://notes.example`.
    pub origins: Vec<String>,
}

impl AllowedHosts {
    /// Open, on one address, with nothing further allowed.
    pub fn open_on(address: SocketAddr) -> Self {
        Self { bound: vec![address], hosts: Vec::new(), origins: Vec::new() }
    }

    /// Whether the request may pass. While no key is needed (`open`), `Host` and proxies' headers are checked too.
    fn check(&self, open: bool, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        for origin in headers.get_all(ORIGIN) {
            if !origin.to_str().is_ok_and(|origin| self.is_known_origin(origin)) {
                return Err(foreign_origin(open));
            }
        }
        if !open {
            return Ok(());
        }
        if let Some(header) = headers.keys().map(|name| name.as_str()).find(|name| is_proxy_header(name)) {
            return Err(open_mode(&format!("the header `{header}` says that a proxy stands in front of it")));
        }
        let mut hosts = headers.get_all(HOST).iter();
        let host = match (hosts.next(), hosts.next(), uri.authority()) {
            (Some(host), None, None) => host.to_str().unwrap_or_default(),
            (None, None, Some(authority)) => authority.as_str(),
            // An absolute URI and a `Host` must agree, or one of them could be checked and the other used.
            (Some(host), None, Some(authority)) if host.as_bytes() == authority.as_str().as_bytes() => authority.as_str(),
            _ => return Err(open_mode("the request must name one `Host`")),
        };
        if self.is_own_host(host) { Ok(()) } else { Err(open_mode("the request's `Host` is not one of its names")) }
    }

    fn is_known_origin(&self, origin: &str) -> bool {
        if self.origins.iter().any(|allowed| allowed.trim_end_matches('/').eq_ignore_ascii_case(origin)) {
            return true;
        }
        origin.strip_prefix("http://").is_some_and(|host| self.is_own_host(host))
    }

    fn is_own_host(&self, host: &str) -> bool {
        if self.hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host)) {
            return true;
        }
        let Ok(authority) = host.parse::<Authority>() else {
            return false;
        };
        if host.contains('@') {
            return false;
        }
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            // "name:" is an authority with an empty port: nobody sends that in good faith.
            None if host.ends_with(':') => return false,
            None => 80,
        };
        self.bound.iter().any(|bound| bound.port() == port && is_name_of(bound.ip(), authority.host()))
    }
}

fn foreign_origin(open: bool) -> Problem {
    let detail = "Requests from pages of other sites are refused.";
    // The contract has one code for all that open mode refuses.
    let code = if open { "open_mode" } else { "foreign_origin" };
    Problem::new(StatusCode::FORBIDDEN, code, "The request comes from another site", detail)
}

/// Whether `host` is a name of an address we listen on.
fn is_name_of(bound: IpAddr, host: &str) -> bool {
    let on_loopback = bound.is_loopback() || bound.is_unspecified();
    if on_loopback && host.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let Ok(ip) = bare.parse::<IpAddr>() else {
        return false;
    };
    let is_home = ip == IpAddr::V4(Ipv4Addr::LOCALHOST) || ip == IpAddr::V6(Ipv6Addr::LOCALHOST);
    (ip == bound && !bound.is_unspecified()) || (on_loopback && is_home)
}

fn is_proxy_header(name: &str) -> bool {
    name == "forwarded" || ["x-forwarded-", "cf-", "tailscale-"].iter().any(|prefix| name.starts_with(prefix))
}

fn open_mode(why: &str) -> Problem {
    let detail = format!("The server runs open, for this machine only, and {why}.");
    Problem::new(StatusCode::FORBIDDEN, "open_mode", "Refused while the server runs open", detail)
}

/// Puts the check in front of all routes.
pub(super) fn guarded(routes: Router, names: AllowedHosts, gate: Arc<Gate>) -> Router {
    routes.layer(from_fn_with_state((Arc::new(names), gate), refuse_strangers))
}

async fn refuse_strangers(
    State((names, gate)): State<(Arc<AllowedHosts>, Arc<Gate>)>,
    request: Request,
    next: Next,
) -> Response {
    let open = match blocking(move || gate.is_open()).await {
        Ok(open) => open,
        Err(problem) => return problem.into_response(),
    };
    match names.check(open, request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> AllowedHosts {
        let mut names = AllowedHosts::open_on("127.0.0.1:7710".parse().unwrap());
        names.hosts.push("strongroom.lan:7710".to_owned());
        names.origins.push("https://notes.example".to_owned());
        names
    }

    fn verdict(names: &AllowedHosts, open: bool, uri: &str, headers: &[(&'static str, &str)]) -> Option<&'static str> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        names.check(open, &uri.parse().unwrap(), &map).err().map(|problem| {
            assert_eq!(problem.status(), StatusCode::FORBIDDEN);
            problem.code()
        })
    }

    #[test]
    fn own_hosts_pass_and_all_others_do_not() {
        for host in ["localhost:7710", "LocalHost:7710", "127.0.0.1:7710", "[::1]:7710", "strongroom.lan:7710"] {
            assert_eq!(verdict(&names(), true, "/", &[("host", host)]), None, "{host}");
        }
        for host in [
            "evil.example:7710",
            "localhost",
            "localhost:",
            "localhost:80",
            "localhost:7711",
            "localhost.evil.example:7710",
            "localhost.:7710",
            "127.0.0.1.nip.io:7710",
            "127.0.0.2:7710",
            "192.168.1.5:7710",
            "x@localhost:7710",
            "",
        ] {
            assert_eq!(verdict(&names(), true, "/", &[("host", host)]), Some("open_mode"), "{host}");
        }
    }

    #[test]
    fn a_host_must_be_there_once_and_agree_with_the_uri() {
        let own = "localhost:7710";
        assert_eq!(verdict(&names(), true, "/", &[]), Some("open_mode"));
        assert_eq!(verdict(&names(), true, "/", &[("host", own), ("host", "evil.example")]), Some("open_mode"));
        assert_eq!(verdict(&names(), true, "http://evil.example/", &[("host", own)]), Some("open_mode"));
        assert_eq!(verdict(&names(), true, "http://localhost:7710/", &[]), None);
        assert_eq!(verdict(&names(), true, "http://localhost:7710/", &[("host", own)]), None);
    }

    #[test]
    fn foreign_origins_are_refused_open_or_not() {
        let host = ("host", "localhost:7710");
        for origin in ["http://localhost:7710", "http://127.0.0.1:7710", "https://notes.example"] {
            assert_eq!(verdict(&names(), true, "/", &[host, ("origin", origin)]), None, "{origin}");
        }
        for origin in ["null", "https://evil.example", "http://localhost:3000", "https://localhost:7710", "localhost:7710"] {
            assert_eq!(verdict(&names(), true, "/", &[host, ("origin", origin)]), Some("open_mode"), "{origin}");
            assert_eq!(verdict(&names(), false, "/", &[host, ("origin", origin)]), Some("foreign_origin"), "{origin}");
        }
    }

    #[test]
    fn a_proxys_headers_are_refused_only_while_open() {
        let host = ("host", "localhost:7710");
        for header in ["forwarded", "x-forwarded-for", "x-forwarded-host", "cf-connecting-ip", "tailscale-user-login"] {
            assert_eq!(verdict(&names(), true, "/", &[host, (header, "x")]), Some("open_mode"), "{header}");
            assert_eq!(verdict(&names(), false, "/", &[host, (header, "x")]), None, "{header}");
        }
    }

    #[test]
    fn port_80_may_be_left_out() {
        let names = AllowedHosts::open_on("127.0.0.1:80".parse().unwrap());
        assert_eq!(verdict(&names, true, "/", &[("host", "localhost")]), None);
        assert_eq!(verdict(&names, true, "/", &[("host", "127.0.0.1:80"), ("origin", "http://localhost")]), None);
    }
}
