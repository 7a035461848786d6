//! The signature of an image's URL: `sig=` HMAC-SHA-256 of its path in unpadded base64url, perhaps with
//! an expiry `exp=`, which is signed too.
//!
//! The signature covers the path as it is sent and, where there is an expiry, `?exp=` and its text. A path
//! holds no `?`, so no two pairs of path and expiry give the same text. Which keys verify, and whether an
//! expiry is over, is the node's business.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A key that signs and verifies.
#[derive(Clone)]
pub struct SignKey(Hmac<Sha256>);

/// The parameters that sign `path` with `key`, without the `?`: `sig=…`, or `exp=…&sig=…` with an
/// expiry in seconds since 1970 UTC.
pub fn signed_query(key: &str, path: &str, expires: Option<u64>) -> String {
    let expires = expires.map(|expires| expires.to_string());
    let signature = SignKey::new(key).sign(path, expires.as_deref());
    match expires {
        Some(expires) => format!("exp={expires}&sig={signature}"),
        None => format!("sig={signature}"),
    }
}

impl SignKey {
    /// A key of any length; an empty one signs too, so the verifier must not take it.
    pub fn new(key: &str) -> Self {
        Self(Hmac::new_from_slice(key.as_bytes()).expect("HMAC takes keys of every length"))
    }

    /// The signature of `path` and of the text of its expiry.
    pub fn sign(&self, path: &str, expires: Option<&str>) -> String {
        URL_SAFE_NO_PAD.encode(self.over(path, expires).finalize().into_bytes())
    }

    /// Whether `signature` is that of `path` and the text of its expiry; in constant time.
    pub fn verify(&self, path: &str, expires: Option<&str>, signature: &str) -> bool {
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        self.over(path, expires).verify_slice(&signature).is_ok()
    }

    fn over(&self, path: &str, expires: Option<&str>) -> Hmac<Sha256> {
        let mac = self.0.clone().chain_update(path);
        match expires {
            Some(expires) => mac.chain_update("?exp=").chain_update(expires),
            None => mac,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/image/da39a3ee5e6b4b0d3255bfef95601890afd80709/200w/image.jpg";

    // The expected texts come from `openssl dgst -sha256 -hmac secret -binary | basenc --base64url`.
    #[test]
    fn a_signature_is_that_of_any_other_implementation() {
        assert_eq!(signed_query("secret", PATH, None), "sig=10XIPH0oB5tWAtXHWScvPs5ymNDDoALlL1yl4jKlcSY");
        assert_eq!(
            signed_query("secret", PATH, Some(1_900_000_000)),
            "exp=1900000000&sig=o710eBGwbC1KW2GoFQiyOD3X32bNODJsGI715Z_UXYw"
        );
    }

    #[test]
    fn key_path_and_expiry_all_count() {
        let texts = [
            signed_query("secret", PATH, None),
            signed_query("other", PATH, None),
            signed_query("secret", "/image/x", None),
            signed_query("secret", PATH, Some(1)),
            signed_query("secret", PATH, Some(2)),
        ];
        let signature = |text: &String| text.rsplit_once("sig=").map(|(_, signature)| signature.to_owned());
        let distinct: std::collections::BTreeSet<_> = texts.iter().map(signature).collect();
        assert_eq!(distinct.len(), texts.len());
    }

    #[test]
    fn a_signature_verifies_for_what_it_signed_alone() {
        let key = SignKey::new("secret");
        let signature = key.sign(PATH, Some("5"));
        assert!(key.verify(PATH, Some("5"), &signature));
        for (path, expires, text) in [
            (PATH, Some("6"), signature.as_str()),
            (PATH, None, &signature),
            ("/image/x", Some("5"), &signature),
            (PATH, Some("5"), &signature[..42]),
            (PATH, Some("5"), "no base64!"),
            (PATH, Some("5"), ""),
        ] {
            assert!(!key.verify(path, expires, text), "{path} {expires:?} {text}");
        }
        assert!(!SignKey::new("other").verify(PATH, Some("5"), &signature));
    }
}
