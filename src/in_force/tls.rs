//! TLS of the admin API, with a certificate that a reload exchanges.
//!
//! Here: what rustls is given. Not here: reading the certificate (`config`).

use std::sync::{Arc, PoisonError, RwLock};

use rustls::{
    Error, ServerConfig,
    crypto::aws_lc_rs,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::config::Certificate;

/// The certificate that is shown from now on. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Shown(Arc<RwLock<Certificate>>);

impl Shown {
    pub(crate) fn new(certificate: Certificate) -> Self {
        Self(Arc::new(RwLock::new(certificate)))
    }

    /// Shows another one to whoever connects next.
    pub(crate) fn exchange(&self, certificate: Certificate) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = certificate;
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).certified())
    }
}

/// TLS 1.2 and 1.3, with the crypto library that is used towards Salesforce, too.
pub(crate) fn config(shown: Shown) -> Result<ServerConfig, Error> {
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    Ok(builder
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown)))
}
