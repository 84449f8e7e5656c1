//! The certificate that the admin API shows, and its private key.
//!
//! Here: from the text of two PEM files to what TLS takes, or why not. Not here: which files (`resolve/listen.rs`), TLS
//! itself (`admin/tls.rs`).

use std::{fmt, sync::Arc};

use rustls::{
    Error, InconsistentKeys,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};
use secrecy::{ExposeSecret as _, SecretString};

/// A certificate, those that vouch for it, and its key. Printed without the key.
#[derive(Clone)]
pub(crate) struct Certificate(Arc<CertifiedKey>);

/// Why the two files are of no use.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CertificateProblem {
    /// No certificate stands in the file.
    #[error("names a file with no certificate in it")]
    NoCertificate,
    /// A certificate in the file is damaged.
    #[error("names a file whose certificates cannot be read: {0}")]
    Certificate(String),
    /// No private key that can be used stands in the file. What does stand there is not told.
    #[error("names a file with no private key that can be used")]
    NoKey,
    /// The key belongs to another certificate.
    #[error("names a private key that does not belong to the certificate")]
    OtherKey,
}

impl CertificateProblem {
    /// What to do.
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::NoCertificate | Self::Certificate(_) => {
                "It must be PEM: `-----BEGIN CERTIFICATE-----`, your own certificate first, then those that vouch for it."
            }
            Self::NoKey => {
                "It must be PEM without a pass phrase: `-----BEGIN PRIVATE KEY-----`, or the same with RSA or EC."
            }
            Self::OtherKey => "Name the key that the certificate was asked for with.",
        }
    }

    /// Whether it is about the key's file.
    pub(super) fn is_of_key(&self) -> bool {
        matches!(self, Self::NoKey | Self::OtherKey)
    }
}

impl Certificate {
    /// Takes a chain of certificates and a key, both as PEM.
    pub(super) fn read(certificates: &str, key: &SecretString) -> Result<Self, CertificateProblem> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificates.as_bytes()).collect();
        let chain = chain.map_err(|problem| CertificateProblem::Certificate(problem.to_string()))?;
        if chain.is_empty() {
            return Err(CertificateProblem::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes());
        let key = key.map_err(|_| CertificateProblem::NoKey)?;
        match CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()) {
            Ok(certified) => Ok(Self(Arc::new(certified))),
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(CertificateProblem::OtherKey),
            Err(Error::InvalidCertificate(problem)) => {
                Err(CertificateProblem::Certificate(format!("{problem:?}")))
            }
            Err(_) => Err(CertificateProblem::NoKey),
        }
    }

    /// As TLS takes it.
    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("certificates", &self.0.cert.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey, generate_simple_self_signed};

    use super::*;

    fn pair() -> (String, String) {
        let made = generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        let CertifiedKey { cert, signing_key } = made;
        (cert.pem(), signing_key.serialize_pem())
    }

    #[test]
    fn each_thing_that_is_wrong_with_the_files_has_its_sentence() {
        let (certificate, key) = pair();
        let (_, other) = pair();
        let read = |certificates: &str, key: &str| {
            Certificate::read(certificates, &SecretString::from(key)).map(|found| format!("{found:?}"))
        };
        assert_eq!(read(&certificate, &key).as_deref(), Ok("Certificate { certificates: 1, .. }"));
        let both = format!("{certificate}{certificate}");
        assert_eq!(read(&both, &key).as_deref(), Ok("Certificate { certificates: 2, .. }"));
        let cut = certificate.replacen("-----END", "-----END OF", 1);
        let spoilt = certificate.replacen("\nM", "\n?", 1);
        let no_der = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        let cases = [
            ("", key.as_str(), "no certificate in it", false),
            (&key, &key, "no certificate in it", false),
            (&cut, &key, "certificate", false),
            (&spoilt, &key, "cannot be read", false),
            (no_der, &key, "cannot be read", false),
            (&certificate, "", "no private key that can be used", true),
            (&certificate, &certificate, "no private key that can be used", true),
            (&certificate, &other, "does not belong to the certificate", true),
        ];
        for (certificates, key, expected, is_of_key) in cases {
            let problem = read(certificates, key).map(|_| ()).expect_err(expected);
            assert!(problem.to_string().contains(expected), "{expected}: {problem}");
            assert_eq!((problem.is_of_key(), problem.hint().is_empty()), (is_of_key, false), "{expected}");
        }
    }

    #[test]
    fn the_key_is_never_printed() {
        let (certificate, key) = pair();
        let read = Certificate::read(&certificate, &SecretString::from(key.as_str())).expect("a pair");
        let shown = format!("{read:?}");
        assert!(!shown.to_lowercase().contains("key"), "{shown}");
    }
}
