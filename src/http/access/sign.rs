//! Signed URLs: `?exp=<unix seconds>&sig=<signature>`, whose form is [`crate::object::sign`]'s. Pure: the
//! time is an argument. Other parameters are not signed.

use std::fmt;

use super::RequireSignature;
use crate::object::sign::SignKey;

/// The keys that verify.
#[derive(Clone)]
pub struct SignKeys(Vec<SignKey>);

/// The verdict on a URL's signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signature {
    /// There is none, or no key that could verify one.
    #[default]
    Absent,
    /// It is right.
    Good,
    /// It is right, and its time is over.
    Expired,
    /// It is wrong, or there are several, or its expiry is no time.
    Bad,
}

/// A URL's signature, and which URLs need one. The default needs none.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::http) struct Signing {
    pub(super) signature: Signature,
    pub(super) require: RequireSignature,
}

/// The validity of a URL that may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) struct Admission {
    /// It is rightly signed: answered as it is, for the signature would not hold in its canonical form.
    pub(in crate::http) signed: bool,
    /// Only the stored bytes may be given.
    pub(in crate::http) stored_only: bool,
}

/// Why a URL is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum UrlRefusal {
    /// It needs a signature and has none.
    Unsigned,
    /// Its signature is wrong.
    Bad,
    /// Its signature is right, and its time is over.
    Expired,
}

impl SignKeys {
    /// These keys. Empty ones are left out: everybody could sign with them.
    pub fn new(keys: &[String]) -> Self {
        Self(keys.iter().filter(|key| !key.is_empty()).map(|key| SignKey::new(key)).collect())
    }

    /// Whether one of the keys gives `signature` for `path` and `expires`, the expiry's text as sent.
    /// All keys are tried, each in constant time.
    pub fn verify(&self, path: &str, expires: Option<&str>, signature: &str) -> bool {
        self.0.iter().fold(false, |right, key| right | key.verify(path, expires, signature))
    }

    /// Judges the signature in `query`; `now` gives Unix seconds, and is asked only where a right
    /// signature has an expiry.
    pub fn judge(&self, path: &str, query: Option<&str>, now: impl FnOnce() -> u64) -> Signature {
        let Some(query) = query.filter(|_| !self.0.is_empty()) else { return Signature::Absent };
        let [mut expires, mut signature] = [None; 2];
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let place = match name {
                "exp" => &mut expires,
                "sig" => &mut signature,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Signature::Bad;
            }
        }
        let Some(signature) = signature else { return Signature::Absent };
        if !self.verify(path, expires, signature) {
            return Signature::Bad;
        }
        match expires.map(unix_seconds) {
            None => Signature::Good,
            Some(None) => Signature::Bad,
            Some(Some(expires)) if now() < expires => Signature::Good,
            Some(Some(_)) => Signature::Expired,
        }
    }
}

impl Signing {
    /// Whether a URL may be answered. `full`: its spec is `full` without options, so that it is no
    /// variant if its extension turns out to be the stored one.
    ///
    /// # Errors
    /// [`UrlRefusal`]
    pub(in crate::http) fn admit(self, full: bool) -> Result<Admission, UrlRefusal> {
        let unsigned = |stored_only| Ok(Admission { signed: false, stored_only });
        match (self.signature, self.require) {
            (Signature::Good, _) => Ok(Admission { signed: true, stored_only: false }),
            (Signature::Bad, _) => Err(UrlRefusal::Bad),
            (Signature::Expired, _) => Err(UrlRefusal::Expired),
            (Signature::Absent, RequireSignature::Off) => unsigned(false),
            (Signature::Absent, RequireSignature::Variants) if full => unsigned(true),
            (Signature::Absent, _) => Err(UrlRefusal::Unsigned),
        }
    }
}

impl fmt::Display for UrlRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsigned => "This URL needs a signature; have this very path signed.",
            Self::Bad => {
                "The signature does not fit this URL; have this very path signed with a current key."
            }
            Self::Expired => "The URL's time is over; have it signed again.",
        })
    }
}

impl std::error::Error for UrlRefusal {}

/// Digits alone: a sign or a space is what `parse` would take or a proxy might change.
fn unix_seconds(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::sign::signed_query;

    const PATH: &str = "/image/da39a3ee5e6b4b0d3255bfef95601890afd80709/300w/a.jpg";

    fn judged(query: &str) -> Signature {
        SignKeys::new(&["new".into(), "k".into()]).judge(PATH, Some(query), || 1_000)
    }

    #[test]
    fn every_key_verifies_and_an_unknown_one_does_not() {
        for key in ["new", "k"] {
            assert_eq!(judged(&signed_query(key, PATH, None)), Signature::Good);
            assert_eq!(judged(&signed_query(key, PATH, Some(1_001))), Signature::Good);
        }
        assert_eq!(judged(&signed_query("old", PATH, None)), Signature::Bad);
        assert_eq!(judged(&signed_query("", PATH, None)), Signature::Bad);
    }

    #[test]
    fn a_right_signature_ends_at_its_expiry() {
        assert_eq!(judged(&signed_query("k", PATH, Some(1_000))), Signature::Expired);
        assert_eq!(judged(&signed_query("old", PATH, Some(1_000))), Signature::Bad);
    }

    #[test]
    fn what_was_tampered_with_is_bad() {
        let good = signed_query("k", PATH, Some(2_000));
        let signature = good.split_once("&sig=").unwrap().1;
        let bare = SignKey::new("k").sign(PATH, None);
        for query in [
            format!("exp=2001&sig={signature}"),
            format!("exp=02000&sig={signature}"),
            format!("sig={signature}"),
            format!("exp=2000&sig={bare}"),
            format!("{good}&exp=2000"),
            format!("{good}&sig={signature}"),
            format!("{good}="),
            good[..good.len() - 1].to_owned(),
            good.replace("sig=", "sig=A"),
            "sig=".to_owned(),
            "sig".to_owned(),
        ] {
            assert_eq!(judged(&query), Signature::Bad, "{query}");
        }
        let keys = SignKeys::new(&["k".into()]);
        assert_eq!(keys.judge(&PATH.replace("300w", "301w"), Some(&good), || 0), Signature::Bad);
    }

    #[test]
    fn an_expiry_that_is_no_time_is_bad_even_when_signed() {
        for expires in ["", "+5000", "5e9", "99999999999999999999999"] {
            let query = format!("exp={expires}&sig={}", SignKey::new("k").sign(PATH, Some(expires)));
            assert_eq!(judged(&query), Signature::Bad, "{query}");
        }
    }

    #[test]
    fn other_parameters_are_not_signed() {
        let query = format!("a=b&{}&download=x.jpg", signed_query("k", PATH, Some(2_000)));
        assert_eq!(judged(&query), Signature::Good);
        assert_eq!(judged("download=x.jpg&exp=5"), Signature::Absent);
    }

    #[test]
    fn without_a_key_nothing_is_judged() {
        let keys = SignKeys::new(&[String::new()]);
        assert_eq!(keys.judge(PATH, Some(&signed_query("", PATH, None)), || 0), Signature::Absent);
    }

    #[test]
    fn what_needs_no_signature_is_the_setting_and_full() {
        use RequireSignature::{All, Off, Variants};
        let admit = |require, full| Signing { signature: Signature::Absent, require }.admit(full);
        let stored_only = |stored_only| Ok(Admission { signed: false, stored_only });
        assert_eq!([admit(Off, true), admit(Off, false)], [stored_only(false); 2]);
        assert_eq!(
            [admit(Variants, true), admit(Variants, false)],
            [stored_only(true), Err(UrlRefusal::Unsigned)]
        );
        assert_eq!([admit(All, true), admit(All, false)], [Err(UrlRefusal::Unsigned); 2]);
        for require in [Off, Variants, All] {
            let admit = |signature| Signing { signature, require }.admit(true);
            assert_eq!(admit(Signature::Bad), Err(UrlRefusal::Bad));
            assert_eq!(admit(Signature::Expired), Err(UrlRefusal::Expired));
            assert_eq!(admit(Signature::Good), Ok(Admission { signed: true, stored_only: false }));
        }
    }
}
