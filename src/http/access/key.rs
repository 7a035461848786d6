//! Keys: how a request shows one, and how they are compared.
//!
//! A key is kept and compared as its SHA-256, in constant time and against every key that would do:
//! the time taken tells neither how much of a key was right, nor its length, nor which one it was.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// A key, hashed.
#[derive(Clone, Copy)]
pub(super) struct AccessKey([u8; 32]);

/// The key that a request's `Authorization` shows.
pub(super) struct PresentedKey {
    pub(super) key: AccessKey,
    /// Whether a browser may have added it by itself (HTTP Basic), also to what another site's page asks.
    pub(super) ambient: bool,
}

impl AccessKey {
    pub(super) fn new(text: &str) -> Self {
        Self::of(text.as_bytes())
    }

    fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The key in a form's field. An empty one is none, so that an empty key in a configuration opens
    /// nothing.
    pub(super) fn from_field(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::new(text))
    }

    /// The key in `Authorization: Bearer K`, or in HTTP Basic as the password of any user. `None` where
    /// there is none, it is empty, or it cannot be read.
    pub(super) fn from_headers(headers: &HeaderMap) -> Option<PresentedKey> {
        let (scheme, credentials) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        let credentials = credentials.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Self::from_field(credentials).map(|key| PresentedKey { key, ambient: false });
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = STANDARD.decode(credentials).ok()?;
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        let password = &decoded[colon + 1..];
        (!password.is_empty()).then(|| PresentedKey { key: Self::of(password), ambient: true })
    }

    /// Whether it is one of these; looks at all of them.
    pub(super) fn is_among(&self, keys: &[Self]) -> bool {
        let same = keys.iter().fold(Choice::from(0), |same, key| same | key.0.ct_eq(&self.0));
        same.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn shows(value: &str, key: &str) -> bool {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(value).unwrap())]);
        AccessKey::from_headers(&headers)
            .is_some_and(|shown| shown.key.is_among(&[AccessKey::new("other"), AccessKey::new(key)]))
    }

    #[test]
    fn bearer_and_the_password_of_any_user_show_a_key() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert!(shows("Bearer k1", "k1"));
        assert!(shows("bEARER   k1", "k1"));
        assert!(shows(&basic("anybody:k1"), "k1"));
        assert!(shows(&basic(":k1"), "k1"));
        assert!(shows(&basic("a:k1:k2"), "k1:k2"));
        assert!(shows("Bearer other", "k1"));
    }

    #[test]
    fn another_key_and_what_cannot_be_read_show_none() {
        for value in ["Bearer k", "Bearer k11", "Bearer K1", "Bearer", "Bearer ", "Digest k1", "k1"] {
            assert!(!shows(value, "k1"), "{value}");
        }
        for value in ["Basic ", "Basic !!!", "Basic azE=", "Basic OmsxMg==", "Basic OmsxX"] {
            assert!(!shows(value, "k1"), "{value}");
        }
    }

    #[test]
    fn an_empty_key_opens_nothing() {
        assert!(!shows("Bearer ", "") && !shows("Basic Og==", ""));
        assert!(AccessKey::from_field("").is_none());
    }

    #[test]
    fn only_basic_is_sent_by_a_browser_itself() {
        for (value, ambient) in [("Bearer k1", false), ("Basic OmsxMg==", true)] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))]);
            assert_eq!(
                AccessKey::from_headers(&headers).map(|shown| shown.ambient),
                Some(ambient),
                "{value}"
            );
        }
    }
}
