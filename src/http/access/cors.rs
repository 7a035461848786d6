//! Which pages of other origins may read answers. Pure.

use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const TIMING_ALLOW_ORIGIN: HeaderName = HeaderName::from_static("timing-allow-origin");

/// The origins that may read answers.
pub(super) struct Origins {
    any: bool,
    listed: Vec<String>,
}

/// The CORS headers of one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) enum Verdict {
    /// Everybody may read it.
    Anybody,
    /// This origin may read it.
    Listed(HeaderValue),
    /// The page, if there is one, may not; another one might.
    Unlisted,
    /// No page may.
    Nobody,
}

/// Whether a browser asks what another origin's page may ask.
pub(in crate::http) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

impl Origins {
    pub(super) fn new(origins: &[String]) -> Self {
        Self { any: origins.iter().any(|origin| origin == "*"), listed: origins.to_vec() }
    }

    pub(super) fn judge(&self, headers: &HeaderMap) -> Verdict {
        if self.any {
            return Verdict::Anybody;
        }
        if self.listed.is_empty() {
            return Verdict::Nobody;
        }
        let origin = headers.get(ORIGIN).filter(|origin| self.lists(origin));
        origin.map_or(Verdict::Unlisted, |origin| Verdict::Listed(origin.clone()))
    }

    /// Whether this origin itself is listed; `*` lists none.
    pub(super) fn lists(&self, origin: &HeaderValue) -> bool {
        self.listed.iter().any(|listed| listed.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
    }
}

impl Verdict {
    /// Writes itself into an answer's headers.
    pub(in crate::http) fn mark(&self, headers: &mut HeaderMap) {
        if matches!(self, Self::Listed(_) | Self::Unlisted) {
            // Added, for an answer may vary by other headers too.
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        match self {
            Self::Anybody => {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            }
            Self::Listed(origin) => {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            }
            Self::Unlisted | Self::Nobody => {}
        }
    }

    /// Writes itself into the headers of an image's answer. One that everybody may read may also be embedded by pages
    /// that demand such leave (COEP), and timed.
    pub(in crate::http) fn mark_image(&self, headers: &mut HeaderMap) {
        self.mark(headers);
        if *self == Self::Anybody {
            headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
            headers.insert(TIMING_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(origin: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static(origin))])
    }

    #[test]
    fn a_listed_origin_is_echoed_and_every_answer_varies_by_it() {
        let origins = Origins::new(&["https://a.example".into(), "https://b.example:8443".into()]);
        for (headers, allowed) in [
            (from("https://b.example:8443"), Some("https://b.example:8443")),
            (from("https://b.example"), None),
            (from("null"), None),
            (HeaderMap::new(), None),
        ] {
            let mut answer = HeaderMap::from_iter([(VARY, HeaderValue::from_static("Accept"))]);
            origins.judge(&headers).mark(&mut answer);
            let allow = answer.get(ACCESS_CONTROL_ALLOW_ORIGIN).map(|value| value.to_str().unwrap());
            assert_eq!(allow, allowed, "{headers:?}");
            assert_eq!(answer.get_all(VARY).iter().collect::<Vec<_>>(), ["Accept", "Origin"]);
        }
    }

    #[test]
    fn a_star_allows_everybody_and_an_empty_list_nobody() {
        let mut answer = HeaderMap::new();
        Origins::new(&["*".into()]).judge(&from("https://a.example")).mark(&mut answer);
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert!(!answer.contains_key(VARY));
        assert_eq!(Origins::new(&[]).judge(&from("https://a.example")), Verdict::Nobody);
    }

    #[test]
    fn an_image_that_anybody_may_read_may_be_embedded_and_timed() {
        let marked = |verdict: &Verdict| {
            let mut answer = HeaderMap::new();
            verdict.mark_image(&mut answer);
            let text = |name| answer.get(name).map(|value: &HeaderValue| value.to_str().unwrap().to_owned());
            [ACCESS_CONTROL_ALLOW_ORIGIN, CROSS_ORIGIN_RESOURCE_POLICY, TIMING_ALLOW_ORIGIN].map(text)
        };
        assert_eq!(marked(&Verdict::Anybody), ["*", "cross-origin", "*"].map(|text| Some(text.to_owned())));
        let listed = HeaderValue::from_static("https://a.example");
        assert_eq!(marked(&Verdict::Listed(listed)), [Some("https://a.example".to_owned()), None, None]);
        assert_eq!(marked(&Verdict::Unlisted), [None, None, None]);
        assert_eq!(marked(&Verdict::Nobody), [None, None, None]);
    }
}
