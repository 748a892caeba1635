//! The certificate and its key, as the server's side of TLS wants them.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::AppError;

/// Reads both files.
///
/// # Errors
/// If one can't be read, or they do not belong together.
pub(super) fn config(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, AppError> {
    let fault = |file: &Path, source: Box<dyn std::error::Error + Send + Sync>| AppError::Tls { file: file.to_owned(), source };
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| fault(cert, error.into()))?;
    if chain.is_empty() {
        return Err(fault(cert, "there is no certificate in it".into()));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| fault(key, error.into()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_no_client_auth())
        .and_then(|builder| builder.with_single_cert(chain, private))
        .map_err(|error| fault(cert, error.into()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
