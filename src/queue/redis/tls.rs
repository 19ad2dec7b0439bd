//! TLS to Redis with custom certificate authorities.

use std::{fs, path::Path};

use anyhow::ensure;
use deadpool_redis::redis::{Client, ConnectionInfo, TlsCertificates};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

/// Creates a client that trusts only the authorities in `file`.
pub fn client_with_root_cert(address: ConnectionInfo, file: &Path) -> anyhow::Result<Client> {
    let pem = fs::read(file)?;
    ensure!(
        CertificateDer::pem_slice_iter(&pem).next().is_some(),
        "holds no PEM certificate"
    );
    let certificates = TlsCertificates {
        client_tls: None,
        root_cert: Some(pem),
    };
    Ok(Client::build_with_tls(address, certificates)?)
}
