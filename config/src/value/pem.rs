//! What a PEM text (RFC 7468) holds, as far as a configuration can be wrong about it.
//!
//! Whether a signature verifies or a chain is trusted is for the libraries that use the keys.

use std::path::{Path, PathBuf};

use super::Wrong;
use crate::settings::JwtAlgorithm;

/// Object identifiers of public keys, in DER with their tag and length: RFC 3279 §2.3.1 and
/// §2.3.5 (with the curve P-256), RFC 8410 §3.
const RSA: &[u8] = &[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const P256: &[u8] = &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const ED25519: &[u8] = &[0x06, 3, 0x2b, 0x65, 0x70];
/// A SubjectPublicKeyInfo names its algorithm within this many bytes.
const ALGORITHM_WITHIN: usize = 32;

/// The public key that tokens of `algorithm` are checked with.
pub(crate) fn public_key(text: &str, algorithm: JwtAlgorithm) -> Result<Vec<u8>, Wrong> {
    let (oid, kind) = match algorithm {
        JwtAlgorithm::Hs256 => return Ok(text.as_bytes().to_vec()),
        JwtAlgorithm::Rs256 => (RSA, "an RSA"),
        JwtAlgorithm::Es256 => (P256, "a P-256"),
        JwtAlgorithm::EdDsa => (ED25519, "an Ed25519"),
    };
    let instead = format!("give {kind} public key in PEM, such as \"file:jwt-public.pem\"");
    let pem = pem::parse(text).map_err(|_| Wrong::new("is not PEM", instead.clone()))?;
    let tag = pem.tag();
    let head = pem.contents().get(..ALGORITHM_WITHIN).unwrap_or(pem.contents());
    let fits = match tag {
        "PUBLIC KEY" => head.windows(oid.len()).any(|window| window == oid),
        "RSA PUBLIC KEY" => algorithm == JwtAlgorithm::Rs256,
        _ => false,
    };
    if fits {
        Ok(text.as_bytes().to_vec())
    } else if tag.ends_with("PRIVATE KEY") {
        Err(Wrong::new("is a private key, which a verifier must not have", instead))
    } else if tag == "PUBLIC KEY" || tag == "RSA PUBLIC KEY" {
        Err(Wrong::new(format!("is not {kind} key"), instead))
    } else {
        Err(Wrong::new(format!("is PEM of \"{tag}\""), instead))
    }
}

/// What a file of certificates or keys is expected to hold.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Holds {
    /// One certificate or a chain.
    Certificates,
    /// A private key in any of its encodings.
    PrivateKey,
}

/// A PEM file, which is opened to see that it can be used; its path relative to `folder`.
pub(crate) fn file(text: &str, folder: &Path, holds: Holds) -> Result<PathBuf, Wrong> {
    let path = folder.join(text);
    let noun = match holds {
        Holds::Certificates => "certificate",
        Holds::PrivateKey => "private key",
    };
    let instead = format!("write the path of a {noun} in PEM");
    let content = std::fs::read(&path).map_err(|error| {
        Wrong::new(format!("names {}, which can't be read: {error}", path.display()), &instead)
    })?;
    let fits = |pem: &pem::Pem| match holds {
        Holds::Certificates => pem.tag() == "CERTIFICATE",
        Holds::PrivateKey => pem.tag().ends_with("PRIVATE KEY"),
    };
    if pem::parse_many(content).is_ok_and(|pems| pems.iter().any(fits)) {
        Ok(path)
    } else {
        Err(Wrong::new(format!("names {}, which holds no {noun}", path.display()), instead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519_KEY: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAzxBcFzPh4QCzDzNCseC2puJQpRkbztZ34FeNVI3DcL8=
-----END PUBLIC KEY-----
";
    const P256_KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEfPTB3W9KROMBC2VjxZQar+3P3HNx
JIz7PuF0iaCNMWbNSDPnyf15FEDNHiX/QvYuLX3eav/1BfMJNTMukPUcbg==
-----END PUBLIC KEY-----
";
    const RSA_KEY: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAv4RC818SjDqSp6qpkWMT
W5jSx8m0ALXbd5Sg1mppcuv7bpXDwFl/gpQzc0EPHhmXj6KK74oihHgi+0mGnioC
5HVmY8pcM8RKrEpJypFFAXpu61M8xxGqxlf5vjQMqgYW0PQOmEmYNdZDPi8O1La7
nAMs0gKkljj58DXh040CnRCMN1xF0WQSk7+bqvS+87pnXvr97zEYCBLxuSVKzlJF
KMzf4tdvynhtjLUcItPazf4wDGZW1Q8r9PF6lr4xlwk45WyK8qQeBQpyYu1/qo4w
cuNUlfKUtJiwcXZAygE50PpWSgAFWYTAo7Jv6LI9d5ylD1hIYKV4UEP/G1tznahP
YwIDAQAB
-----END PUBLIC KEY-----
";
    const PRIVATE_KEY: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

    #[test]
    fn each_algorithm_takes_its_own_kind_of_public_key_and_no_other() {
        let keys = [
            (JwtAlgorithm::Rs256, RSA_KEY),
            (JwtAlgorithm::Es256, P256_KEY),
            (JwtAlgorithm::EdDsa, ED25519_KEY),
        ];
        for (algorithm, _) in keys {
            for (owner, key) in keys {
                let result = public_key(key, algorithm);
                assert_eq!(result.is_ok(), algorithm == owner, "{owner:?} for {algorithm:?}");
            }
        }
        let pkcs1 = RSA_KEY.replace("PUBLIC", "RSA PUBLIC");
        assert!(public_key(&pkcs1, JwtAlgorithm::Rs256).is_ok());
        assert!(public_key(&pkcs1, JwtAlgorithm::Es256).is_err());
    }

    #[test]
    fn what_is_no_public_key_is_called_by_its_name() {
        let wrong = |text| {
            public_key(text, JwtAlgorithm::EdDsa).map_err(|wrong| wrong.to_string()).unwrap_err()
        };
        assert!(wrong("swordfish").starts_with("is not PEM; give an Ed25519 public key"));
        assert!(wrong(PRIVATE_KEY).starts_with("is a private key"));
        assert!(wrong(CERTIFICATE).starts_with("is PEM of \"CERTIFICATE\""));
    }

    #[test]
    fn a_shared_secret_is_any_text() {
        assert_eq!(public_key("swordfish", JwtAlgorithm::Hs256), Ok(b"swordfish".to_vec()));
    }

    #[test]
    fn a_file_must_exist_and_hold_what_it_is_named_for() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("c.pem"), CERTIFICATE).unwrap();
        std::fs::write(folder.path().join("k.pem"), PRIVATE_KEY).unwrap();
        let open = |name, holds| file(name, folder.path(), holds);
        assert_eq!(open("c.pem", Holds::Certificates), Ok(folder.path().join("c.pem")));
        assert!(open("k.pem", Holds::PrivateKey).is_ok());
        let swapped = open("k.pem", Holds::Certificates).unwrap_err().to_string();
        assert!(swapped.contains("holds no certificate"), "{swapped}");
        assert!(open("none.pem", Holds::PrivateKey).is_err());
        assert!(open("", Holds::PrivateKey).is_err());
    }
}
