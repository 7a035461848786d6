//! Access control: keys, signatures and origins.
//!
//! * [`sign`]: signed URLs.
//! * [`key`]: keys in requests.
//! * [`cors`]: which pages may read answers.
//! * [`client`]: the address that identifies a client. [`unproven_forms`]: uploads by form that have shown no key yet.
//!
//! Decides and does not answer: statuses are [`super::reply`]'s. Looks at nothing of a request but its
//! line and its headers. Where a request comes from gives no right: a proxy on this machine makes the whole world look
//! local, and no header tells. The wall clock is read for a signature's expiry alone.

pub mod client;
pub(super) mod cors;
mod key;
pub mod sign;
pub(super) mod unproven_forms;

use std::fmt;
use std::time::SystemTime;

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Method, Request};

use self::cors::{Origins, Verdict};
use self::key::AccessKey;
use self::sign::{SignKeys, Signing};

/// By this header a browser says whose page makes it ask; no page can set it.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// The access settings.
#[derive(Clone, Debug, Default)]
pub struct AccessSettings {
    /// Keys that may upload.
    pub upload_keys: Vec<String>,
    /// Whether everybody may upload.
    pub open_uploads: bool,
    /// Guards operator pages and calls, and may upload; empty: nobody may.
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
    /// All but `full` in the stored format, and what `/info` tells of it.
    Variants,
    /// All.
    All,
}

/// The right that an endpoint asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// Nothing, or what the URL itself shows.
    Anybody,
    /// To upload; the key may come in the form.
    Upload,
    /// To take away: an upload or operator key.
    Erase,
    /// The operator key.
    Operate,
}

/// Why a caller may upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    /// By the key in its header.
    Key,
    /// Because everybody may. A key in the form's field must be right all the same.
    Open,
}

/// Why a caller may not. Nothing has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AccessError {
    /// A key is needed and none is shown.
    NoKey,
    /// The key that is shown does not give this right.
    WrongKey,
    /// A key is needed, and the form's image comes before one.
    LateKey,
    /// A browser sends it, with what it adds by itself, for a page of another site.
    ForeignPage,
}

/// The part of a request that decides.
pub(super) struct Caller<'a> {
    /// Whether its method could change anything.
    changes: bool,
    authority: Option<&'a str>,
    headers: &'a HeaderMap,
}

/// The settings, ready for use.
pub(super) struct Access {
    open_uploads: bool,
    /// Those that may upload, the operator key among them.
    uploaders: Vec<AccessKey>,
    /// None or one.
    operator: Vec<AccessKey>,
    sign_keys: SignKeys,
    require_signature: RequireSignature,
    origins: Origins,
}

impl<'a> Caller<'a> {
    pub(super) fn new<B>(request: &'a Request<B>) -> Self {
        let authority = request.uri().authority().map(http::uri::Authority::as_str);
        let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        Self { changes, authority, headers: request.headers() }
    }

    /// Whether a page of another site has made the browser ask. Programs send neither header, and following a link to a
    /// page is no call of the page that has the link.
    fn is_foreign_page(&self, origins: &Origins) -> bool {
        let origin = self.headers.get(ORIGIN);
        if origin.is_some_and(|origin| origins.lists(origin)) {
            return false;
        }
        let mut sites = self.headers.get_all(SEC_FETCH_SITE).iter().peekable();
        if sites.peek().is_some() {
            // A proxy may have changed the host, so that nothing else can tell.
            let is_own = sites.all(|site| site == "same-origin" || site == "none");
            return !is_own && (self.changes || origin.is_some());
        }
        let own = |origin: &str| {
            let host = self.authority.or_else(|| self.headers.get(HOST)?.to_str().ok());
            let (_, site) = origin.split_once("://")?;
            Some(site.eq_ignore_ascii_case(host?))
        };
        origin.is_some_and(|origin| !origin.to_str().ok().and_then(own).unwrap_or(false))
    }
}

impl Access {
    pub(super) fn new(settings: &AccessSettings) -> Self {
        let operator =
            Some(&settings.operator_key).filter(|key| !key.is_empty()).map(|key| AccessKey::new(key));
        let uploaders =
            settings.upload_keys.iter().filter(|key| !key.is_empty()).map(|key| AccessKey::new(key));
        Self {
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
    /// [`AccessError`]
    pub(super) fn check(&self, right: Right, caller: &Caller<'_>) -> Result<(), AccessError> {
        match right {
            Right::Anybody | Right::Upload => Ok(()),
            Right::Erase => self.require_key(&self.uploaders, caller),
            Right::Operate => self.require_key(&self.operator, caller),
        }
    }

    /// Whether the request's head shows that its sender may upload, or with `undelete` bring back what was deleted.
    ///
    /// # Errors
    /// [`AccessError`]. After `NoKey` the form's field may yet show one: see [`Access::upload_by_field`].
    pub(super) fn upload(&self, caller: &Caller<'_>, undelete: bool) -> Result<Grant, AccessError> {
        let shown = AccessKey::from_headers(caller.headers);
        // A page of another site cannot know a deliberate key; the browser may have added anything else.
        let is_deliberate = shown.as_ref().is_some_and(|shown| !shown.ambient);
        if !is_deliberate && caller.is_foreign_page(&self.origins) {
            return Err(AccessError::ForeignPage);
        }
        match shown {
            Some(shown) if shown.key.is_among(self.keys_for(undelete)) => Ok(Grant::Key),
            Some(_) => Err(AccessError::WrongKey),
            None if self.open_uploads && !undelete => Ok(Grant::Open),
            None => Err(AccessError::NoKey),
        }
    }

    /// The same by the key in the form's field, where the header shows none.
    ///
    /// # Errors
    /// `NoKey` or `WrongKey`.
    pub(super) fn upload_by_field(&self, key: &str, undelete: bool) -> Result<(), AccessError> {
        match AccessKey::from_field(key) {
            Some(key) if key.is_among(self.keys_for(undelete)) => Ok(()),
            Some(_) => Err(AccessError::WrongKey),
            None if self.open_uploads && !undelete => Ok(()),
            None => Err(AccessError::NoKey),
        }
    }

    /// The verdict on the URL's signature, and which URLs need one.
    pub(super) fn signing(&self, path: &str, query: Option<&str>) -> Signing {
        let signature = self.sign_keys.judge(path, query, unix_now);
        Signing { signature, require: self.require_signature }
    }

    /// The CORS verdict on the request's origin.
    pub(super) fn origin(&self, headers: &HeaderMap) -> Verdict {
        self.origins.judge(headers)
    }

    fn keys_for(&self, undelete: bool) -> &[AccessKey] {
        if undelete { &self.operator } else { &self.uploaders }
    }

    /// One of `keys`. What a browser adds to a request by itself (its password) counts for the node's own pages only.
    fn require_key(&self, keys: &[AccessKey], caller: &Caller<'_>) -> Result<(), AccessError> {
        let shown = AccessKey::from_headers(caller.headers).ok_or(AccessError::NoKey)?;
        if !shown.key.is_among(keys) {
            return Err(AccessError::WrongKey);
        }
        if shown.ambient && caller.is_foreign_page(&self.origins) {
            return Err(AccessError::ForeignPage);
        }
        Ok(())
    }
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoKey => {
                "Send a key that may do this, as Authorization: Bearer or as the password of HTTP Basic, or, in an upload form, in the field \"key\"."
            }
            Self::WrongKey => "The key that was sent may not do this; send another one.",
            Self::LateKey => {
                "Send the field \"key\" before the field \"image\", or the key as Authorization: Bearer; nothing is stored before it."
            }
            Self::ForeignPage => {
                "A page of another site may not do this; ask with Authorization: Bearer, or list its origin in cors_origins."
            }
        })
    }
}

impl std::error::Error for AccessError {}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests;
