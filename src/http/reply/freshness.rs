//! For how long an answer holds.

use http::HeaderValue;

const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// For what may be configured otherwise tomorrow.
pub(super) const A_DAY: HeaderValue = HeaderValue::from_static("public, max-age=86400");

const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-store");

/// For how long an answer with an image's bytes, or that it is still the same, holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Freshness {
    /// The URL never shows anything else.
    ForEver,
    /// The configuration may change what the URL shows.
    Day,
    /// It is for the caller alone.
    Private,
}

impl Freshness {
    pub(super) const fn value(self) -> HeaderValue {
        match self {
            Self::ForEver => IMMUTABLE,
            Self::Day => A_DAY,
            Self::Private => PRIVATE,
        }
    }
}
