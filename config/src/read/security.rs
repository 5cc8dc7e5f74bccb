//! `[cluster]`: how routers and shards know each other.

use super::auth::secret;
use super::cluster::certificate_file;
use super::table::{Field, Table};
use crate::settings::{Cluster, ClusterTls};
use crate::value::Wrong;
use crate::value::pem::Holds;

/// Below this length a secret can be guessed by whoever sees one credential.
const SECRET_BYTES_MIN: usize = 16;

/// What the table says.
pub(crate) struct Security {
    pub(crate) settings: Cluster,
    /// Whether it names a secret or certificates, rightly or wrongly.
    pub(crate) secured: bool,
}

/// Reads the table.
pub(crate) fn read(table: &mut Table<'_>) -> Security {
    let secured = table.field("secret").is_some() || table.field("tls").is_some();
    let secret = table.read("secret", long_secret);
    let tls = table.section("tls", |tls| {
        let cert = certificate_file(tls, "cert", Holds::Certificates);
        let key = certificate_file(tls, "key", Holds::PrivateKey);
        let ca = certificate_file(tls, "ca", Holds::Certificates);
        Some(ClusterTls { cert: cert?, key: key?, ca: ca? })
    });
    Security { settings: Cluster { secret, tls: tls.flatten() }, secured }
}

/// A secret that can't be guessed.
pub(crate) fn long_secret(field: &Field<'_>) -> Result<String, Wrong> {
    let secret = secret(field)?;
    if secret.len() < SECRET_BYTES_MIN {
        return Err(Wrong::new(
            format!("has fewer than {SECRET_BYTES_MIN} bytes"),
            "write the output of `openssl rand -hex 32`",
        ));
    }
    Ok(secret)
}
