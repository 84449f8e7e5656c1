//! The RSA key pair with which clients sign their logins; made at start, kept nowhere.
//!
//! Here: making it, checking a signature. Not here: what is signed (`oauth/jwt`).

use std::io;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

pub(crate) struct Keys {
    public: Vec<u8>,
    private_pem: String,
}

impl Keys {
    /// A new pair of 2048 bits.
    pub(crate) fn make() -> io::Result<Self> {
        let failed = |_| io::Error::other("no RSA key pair could be made");
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
        let private: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
        let private_pem = pem::encode_config(
            &pem::Pem::new("PRIVATE KEY", private.as_ref()),
            pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
        );
        Ok(Self { public: pair.public_key().as_ref().to_vec(), private_pem })
    }

    /// The private key as PKCS#8 PEM.
    pub(crate) fn private_pem(&self) -> &str {
        &self.private_pem
    }

    /// Whether this is the pair's RS256 signature of the message.
    pub(crate) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.public).verify(message, signature).is_ok()
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("Keys")
    }
}
