//! Where a model's name leads: looked up once, kept, and near.

use std::net::{IpAddr, SocketAddr};

use axum::http::Uri;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{AttestOptions, CONNECT, client_options};
use crate::answer::GeneratorError;
use crate::egress::{Client, Egress, Pinned};

/// Where it is, looked up once.
pub(super) struct Place {
    pub client: Client,
    pub address: SocketAddr,
    /// The server's address without the API's path.
    pub root: String,
}

/// Looks a name up, once. All that it leads to must be near, or it could be led elsewhere later.
pub(super) async fn find(client: &str, options: &AttestOptions, egress: &Egress) -> Result<Place, GeneratorError> {
    let wrong = || GeneratorError::Failed("its address cannot be understood: check `url`".into());
    let uri: Uri = options.url.parse().map_err(|_| wrong())?;
    let host = uri.host().ok_or_else(wrong)?.trim_matches(['[', ']']).to_owned();
    let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let port = uri.port_u16().unwrap_or(default);
    let looked = timeout(CONNECT, tokio::net::lookup_host((host.as_str(), port))).await;
    let found = looked.ok().and_then(Result::ok).map(Iterator::collect::<Vec<_>>).unwrap_or_default();
    for address in &found {
        may_be_at(address.ip(), options.private)?;
    }
    let address = match found[..] {
        [] => return Err(GeneratorError::Unreachable("its name leads nowhere".into())),
        [only] => only,
        // Names such as `localhost` lead to two addresses, and servers often listen at one of them.
        _ => first_listening(&found).await?,
    };
    let client = egress.pinned_client(client_options(client), &Pinned { host, address });
    let client = client.map_err(|error| GeneratorError::Failed(error.to_string()))?;
    let scheme = uri.scheme_str().unwrap_or("http");
    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
    let path = uri.path().trim_end_matches('/').trim_end_matches("/v1").trim_end_matches('/');
    Ok(Place { client, address, root: format!("{scheme}://{authority}{path}") })
}

/// The first address where somebody listens.
async fn first_listening(addresses: &[SocketAddr]) -> Result<SocketAddr, GeneratorError> {
    for address in addresses {
        if matches!(timeout(CONNECT, TcpStream::connect(address)).await, Ok(Ok(_))) {
            return Ok(*address);
        }
    }
    Err(GeneratorError::Unreachable("nobody listens where its name leads".into()))
}

/// Whether a model may be at that address.
fn may_be_at(address: IpAddr, private: Option<fn(IpAddr) -> bool>) -> Result<(), GeneratorError> {
    if address.is_loopback() || private.is_some_and(|is_private| is_private(address)) {
        return Ok(());
    }
    let why = if private.is_some() {
        "its address is on the public internet, where no document is sent"
    } else {
        "its address is not on this machine: add `private = true` if it is one of your own network"
    };
    Err(GeneratorError::Refused(why.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_near() {
        let ten: fn(IpAddr) -> bool = |address| address.to_string().starts_with("10.");
        for (address, private, may) in [
            ("127.0.0.1", None, true),
            ("::1", None, true),
            ("10.1.2.3", None, false),
            ("10.1.2.3", Some(ten), true),
            ("8.8.8.8", Some(ten), false),
            ("0.0.0.0", Some(ten), false),
        ] {
            assert_eq!(may_be_at(address.parse().unwrap(), private).is_ok(), may, "{address}");
        }
    }
}
