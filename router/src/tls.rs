//! `wss`: TLS for clients, with certificates that are read again when their files change.
//!
//! A certificate that can't be used never replaces one that can: it is logged, and tried again
//! when the files change once more.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use trunkline_config::settings::Certificate;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// A certificate that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file can't be read.
    #[error("cannot read {path}: {source}; check router.tls")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{path} holds no {expected} in PEM: {source}; check router.tls")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        expected: &'static str,
        /// Why.
        source: pem::Error,
    },
    /// The certificate and the key don't belong together, or are of a kind that TLS can't use.
    #[error("cannot use {cert} with {key}: {source}; check router.tls")]
    Unusable {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

/// The current certificate. All workers share one.
#[derive(Debug)]
pub(crate) struct Certificates {
    files: Certificate,
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<CertifiedKey>>,
    /// What the files were when they were first read.
    first: Look,
}

/// What tells whether the files have changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Look([Option<(SystemTime, u64)>; 2]);

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    /// [`CertificateError`] says which file is wrong and why.
    pub(crate) fn load(files: &Certificate) -> Result<Self, CertificateError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        // Before they are read: what changes in between is read again.
        let first = look(files);
        let current = RwLock::new(Arc::new(read(files, &provider)?));
        Ok(Self { files: files.clone(), provider, current, first })
    }

    /// What accepts TLS with whatever certificate is current, for one protocol by its ALPN name.
    ///
    /// # Errors
    /// When the library and its provider don't fit together.
    pub(crate) fn acceptor(
        self: &Arc<Self>,
        protocol: &[u8],
    ) -> Result<TlsAcceptor, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Self>::clone(self));
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Reads the files again whenever they change, for ever.
    pub(crate) async fn follow(&self) {
        let mut seen = self.first;
        loop {
            let files = self.files.clone();
            let now = spawn_blocking(move || look(&files)).await.unwrap_or_default();
            if now == seen {
                sleep(LOOK).await;
                continue;
            }
            seen = now;
            match read(&self.files, &self.provider) {
                Ok(fresh) => {
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
                    tracing::info!(cert = %self.files.cert.display(), "certificate read again");
                }
                Err(error) => tracing::error!(%error, "the old certificate stays in use"),
            }
        }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn look(files: &Certificate) -> Look {
    Look([&files.cert, &files.key].map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    }))
}

fn read(files: &Certificate, provider: &CryptoProvider) -> Result<CertifiedKey, CertificateError> {
    let Certificate { cert, key } = files;
    let bad = |path: &Path, expected, source| match source {
        pem::Error::Io(source) => CertificateError::File { path: path.to_owned(), source },
        source => CertificateError::Pem { path: path.to_owned(), expected, source },
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .and_then(
            |chain: Vec<_>| {
                if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) }
            },
        )
        .map_err(|source| bad(cert, "certificate", source))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| bad(key, "private key", e))?;
    CertifiedKey::from_der(chain, private, provider).map_err(|source| CertificateError::Unusable {
        cert: cert.clone(),
        key: key.clone(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = Certificate {
            cert: folder.path().join("cert.pem"),
            key: folder.path().join("key.pem"),
        };
        let missing = Certificates::load(&files).expect_err("no files").to_string();
        assert!(missing.contains("cert.pem"), "{missing}");

        let one = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a pair");
        let other = rcgen::KeyPair::generate().expect("a key");
        std::fs::write(&files.cert, one.cert.pem()).expect("written");
        std::fs::write(&files.key, other.serialize_pem()).expect("written");
        assert!(matches!(Certificates::load(&files), Err(CertificateError::Unusable { .. })));

        std::fs::write(&files.key, one.cert.pem()).expect("written");
        assert!(matches!(Certificates::load(&files), Err(CertificateError::Pem { .. })));

        std::fs::write(&files.key, one.signing_key.serialize_pem()).expect("written");
        assert!(Certificates::load(&files).is_ok());
    }
}
