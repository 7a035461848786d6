//! The signature of an image's URL.
//!
//! Written here once, for the node that checks it and for the command that makes it. Checking (in
//! constant time, against every key, with the clock) is the node's business.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The query, without its `?`, that makes `path` a URL signed by `key`: `sig=…`, or `exp=…&sig=…` for
/// one that expires at `expires`, in seconds since 1970 UTC.
///
/// What is signed is `path` as it will be sent, then `?exp=` and the number if it expires.
pub fn signed_query(key: &str, path: &str, expires: Option<u64>) -> String {
    let expiry = expires.map(|seconds| format!("exp={seconds}"));
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(path.as_bytes());
    if let Some(expiry) = &expiry {
        mac.update(b"?");
        mac.update(expiry.as_bytes());
    }
    let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    match expiry {
        Some(expiry) => format!("{expiry}&sig={signature}"),
        None => format!("sig={signature}"),
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
}
