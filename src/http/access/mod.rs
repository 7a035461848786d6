//! Who may do what.
//!
//! * [`sign`]: signed URLs.
//! * [`key`]: keys in requests.
//! * [`loopback`]: who may do without.
//! * [`cors`]: which pages may read answers.
//!
//! Decides and does not answer: statuses are [`super::reply`]'s. Looks at nothing of a request but its
//! line, its headers and whether both ends of its connection are on this machine. The wall clock is read
//! for a signature's expiry alone.

pub(super) mod cors;
mod key;
pub(super) mod loopback;
pub mod sign;

use std::fmt;
use std::time::SystemTime;

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Request};

use self::cors::{Origins, Verdict};
use self::key::Key;
use self::sign::{SignKeys, Signing};

/// What the configuration says about access.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Keys that may upload; empty: uploads are open.
    pub upload_keys: Vec<String>,
    /// Whether uploads may be open off loopback.
    pub open_uploads: bool,
    /// Guards operator pages and calls; empty: free loopback only.
    pub operator_key: String,
    /// The first signs URLs, all verify.
    pub sign_keys: Vec<String>,
    /// Which image URLs need a signature.
    pub require_signature: RequireSignature,
    /// Origins that may read answers; `*` is all.
    pub cors_origins: Vec<String>,
}

/// Which image URLs need a signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequireSignature {
    /// None.
    #[default]
    Off,
    /// All but `full` in the stored format.
    Variants,
    /// All.
    All,
}

/// What an endpoint asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// Nothing, or what the URL itself shows.
    Anybody,
    /// To upload; the key may come in the form.
    Upload,
    /// To take away: an upload or operator key, or, where there is neither, free loopback.
    Erase,
    /// The operator key or, where there is none, free loopback.
    Operate,
}

/// Why a caller may not. Nothing has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A key is needed and none is shown.
    NoKey,
    /// The key that is shown does not give this right.
    WrongKey,
    /// No key is configured that could give this right, and the caller is not free loopback.
    NotFree,
    /// A browser sends it, with what it adds by itself, for a page of another site.
    ForeignPage,
}

/// What is looked at of one request.
pub(super) struct Caller<'a> {
    /// Whether listener and peer have loopback addresses.
    near: bool,
    authority: Option<&'a str>,
    headers: &'a HeaderMap,
}

/// The settings, ready for use.
pub(super) struct Access {
    /// Whether there is any upload key.
    keyed_uploads: bool,
    open_uploads: bool,
    /// Those that may upload, the operator key among them: `undelete` is an upload that needs that one.
    uploaders: Vec<Key>,
    /// None or one.
    operator: Vec<Key>,
    sign_keys: SignKeys,
    require_signature: RequireSignature,
    origins: Origins,
}

impl<'a> Caller<'a> {
    pub(super) fn new<B>(near: bool, request: &'a Request<B>) -> Self {
        let authority = request.uri().authority().map(http::uri::Authority::as_str);
        Self { near, authority, headers: request.headers() }
    }

    /// Free loopback.
    fn is_free(&self) -> bool {
        self.near && loopback::is_direct(self.authority, self.headers)
    }

    /// Whether a page of another site has made the browser ask. Programs send no `Origin`.
    fn is_foreign_page(&self, origins: &Origins) -> bool {
        let Some(origin) = self.headers.get(ORIGIN) else { return false };
        let own = |origin: &str| {
            let host = self.authority.or_else(|| self.headers.get(HOST)?.to_str().ok());
            let (_, site) = origin.split_once("://")?;
            Some(site.eq_ignore_ascii_case(host?))
        };
        !origin.to_str().ok().and_then(own).unwrap_or(false) && !origins.lists(origin)
    }
}

impl Access {
    pub(super) fn new(settings: &Settings) -> Self {
        let operator = Some(&settings.operator_key).filter(|key| !key.is_empty()).map(|key| Key::new(key));
        let uploaders = settings.upload_keys.iter().map(|key| Key::new(key));
        Self {
            keyed_uploads: !settings.upload_keys.is_empty(),
            open_uploads: settings.open_uploads,
            uploaders: uploaders.chain(operator).collect(),
            operator: operator.into_iter().collect(),
            sign_keys: SignKeys::new(&settings.sign_keys),
            require_signature: settings.require_signature,
            origins: Origins::new(&settings.cors_origins),
        }
    }

    /// Whether the caller has this right, but for uploads: see [`Access::upload`].
    ///
    /// # Errors
    /// [`Refusal`]
    pub(super) fn check(&self, right: Right, caller: &Caller<'_>) -> Result<(), Refusal> {
        match right {
            Right::Anybody | Right::Upload => Ok(()),
            Right::Erase => self.guarded(&self.uploaders, caller),
            Right::Operate => self.guarded(&self.operator, caller),
        }
    }

    /// Whether the caller may upload, or with `undelete` bring back what was deleted.
    ///
    /// # Errors
    /// [`Refusal`]. After `NoKey` the form's field may yet show one: see [`Access::upload_by_field`].
    pub(super) fn upload(&self, caller: &Caller<'_>, undelete: bool) -> Result<(), Refusal> {
        if undelete {
            self.guarded(&self.operator, caller)?;
        }
        if !self.keyed_uploads && (self.open_uploads || caller.is_free()) {
            return Ok(());
        }
        if self.uploaders.is_empty() {
            return Err(Refusal::NotFree);
        }
        shown_among(&self.uploaders, caller).map(|_| ())
    }

    /// The same for the key in the form's field, where the header shows none.
    ///
    /// # Errors
    /// `NoKey` or `WrongKey`.
    pub(super) fn upload_by_field(&self, key: Option<&str>, undelete: bool) -> Result<(), Refusal> {
        let operator_only = undelete && !self.operator.is_empty();
        let keys = if operator_only { &self.operator } else { &self.uploaders };
        let key = key.and_then(Key::shown_in_field).ok_or(Refusal::NoKey)?;
        if key.is_among(keys) { Ok(()) } else { Err(Refusal::WrongKey) }
    }

    /// What the URL's signature is worth, and which URLs need one.
    pub(super) fn signing(&self, path: &str, query: Option<&str>) -> Signing {
        let signature = self.sign_keys.judge(path, query, unix_now);
        Signing { signature, require: self.require_signature }
    }

    /// What the answer says about the request's origin.
    pub(super) fn origin(&self, headers: &HeaderMap) -> Verdict {
        self.origins.judge(headers)
    }

    /// One of `keys`, or free loopback where there is none. What a browser adds to a request by itself
    /// (its password, its place) counts for the node's own pages only.
    fn guarded(&self, keys: &[Key], caller: &Caller<'_>) -> Result<(), Refusal> {
        let ambient = if !keys.is_empty() {
            shown_among(keys, caller)?
        } else if caller.is_free() {
            true
        } else {
            return Err(Refusal::NotFree);
        };
        if ambient && caller.is_foreign_page(&self.origins) { Err(Refusal::ForeignPage) } else { Ok(()) }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoKey => {
                "Send a key that may do this, as Authorization: Bearer or as the password of HTTP Basic, or, in an upload form, in the field \"key\"."
            }
            Self::WrongKey => "The key that was sent may not do this; send another one.",
            Self::NotFree => {
                "No key is configured for this, so that only this machine may ask, as localhost and without a proxy; configure a key."
            }
            Self::ForeignPage => {
                "A page of another site may not do this; ask with Authorization: Bearer, or list its origin in cors_origins."
            }
        })
    }
}

impl std::error::Error for Refusal {}

/// Whether the key that the caller shows, which must be one of these, may be a browser's doing.
fn shown_among(keys: &[Key], caller: &Caller<'_>) -> Result<bool, Refusal> {
    let shown = Key::shown(caller.headers).ok_or(Refusal::NoKey)?;
    if shown.key.is_among(keys) { Ok(shown.ambient) } else { Err(Refusal::WrongKey) }
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests;
