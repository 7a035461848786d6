//! A request's line as a type. Pure: what can be refused by the line alone is refused here, in the
//! order in which answers take precedence.

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;

use super::presets::Presets;
use crate::http::access::Right;
use crate::http::access::sign::Signing;
use crate::http::reply::Problem;
use crate::object::{Extension, ObjectId, Spec};
use crate::peer::call;
use crate::telemetry::metrics::Route;

/// A parsed request line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) enum Endpoint {
    /// `POST /`: a form with the field `image`.
    UploadForm,
    /// `POST /image`: the bytes.
    UploadBytes,
    /// `PUT /image/{id}`: the bytes, whose id is known.
    UploadAs(ObjectId),
    /// `DELETE /image/{id}`
    Delete(ObjectId),
    /// `DELETE /image/{id}?ban`
    Ban(ObjectId),
    /// `POST /image/{id}?undelete`
    Undelete(ObjectId),
    /// `GET|HEAD /erasure/{id}`
    Erasure(ObjectId),
    /// `POST /purge/{id}`
    Purge(ObjectId),
    /// `GET|HEAD /image/{id}/{spec}/{name}.{ext}` in canonical form, or in any form rightly signed.
    Image(ImageRequest),
    /// The same in another form, unsigned: the canonical path, query included.
    Moved(String),
    /// `GET|HEAD /info/{id}`
    Info(ObjectId),
    /// `GET|HEAD /images?after=ID&limit=N`
    List(ListRequest),
    /// `GET|HEAD /healthz`
    Health,
    /// `GET|HEAD /readyz`
    Ready,
    /// `GET|HEAD /metrics`
    Metrics,
    /// `GET|HEAD /status.json`
    Status,
    /// `GET|HEAD /layout`
    Layout,
    /// `POST /layout/node/{node}`: a change of this member, by name or id.
    ChangeNode(String),
    /// `POST /layout/cluster`
    ChangeCluster,
    /// `GET|HEAD /image/{id}/debug/{name}.json`
    Placement(ObjectId),
    /// `POST /scrub`
    BeginScrub,
    /// `GET|HEAD /scrub`
    Scrub,
}

/// Which image, as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) struct ImageRequest {
    pub(super) id: ObjectId,
    /// Without presets: where the URL names one, what it means.
    pub(super) spec: Spec,
    pub(super) extension: Extension,
    /// Whether only the stored bytes may be given, since the URL lacks the signature of a variant.
    pub(super) stored_only: bool,
    /// Whether the URL names a preset, whose meaning may change.
    pub(super) by_preset: bool,
}

/// Which part of the listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) struct ListRequest {
    /// The id before the first one.
    pub(super) after: Option<ObjectId>,
    /// 1–[`ListRequest::LIMIT_MAX`].
    pub(super) limit: usize,
}

/// The routes by their first segment and shape, with the methods that each takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape<'a> {
    Root,
    Images,
    ImageId(&'a str),
    Image { id: &'a str, spec: &'a str, file: &'a str },
    Info(&'a str),
    List,
    Erasure(&'a str),
    Purge(&'a str),
    Health,
    Ready,
    Metrics,
    Status,
    Layout,
    LayoutNode(&'a str),
    LayoutCluster,
    Placement(&'a str),
    Scrub,
}

impl Endpoint {
    /// Reads method, path and query; `signing` is the verdict on the URL's signature, `presets` what the
    /// names stand for.
    ///
    /// # Errors
    /// The [`Problem`] to answer with.
    pub(super) fn parse(
        method: &Method,
        path: &str,
        query: Option<&str>,
        signing: Signing,
        presets: Presets<'_>,
    ) -> Result<Self, Problem> {
        let shape = Shape::route_path(path)?;
        if let Shape::Image { id, spec, file } = shape {
            return image(method, [id, spec, file], query, signing, presets);
        }
        shape.check(method)?;
        match shape {
            Shape::Root => Ok(Self::UploadForm),
            Shape::Images => Ok(Self::UploadBytes),
            Shape::ImageId(id) if *method == Method::DELETE && has_flag(query, "ban") => {
                Ok(Self::Ban(parse_id(id)?))
            }
            Shape::ImageId(id) if *method == Method::DELETE => Ok(Self::Delete(parse_id(id)?)),
            Shape::ImageId(id) if *method == Method::POST && has_flag(query, "undelete") => {
                Ok(Self::Undelete(parse_id(id)?))
            }
            Shape::ImageId(_) if *method == Method::POST => Err(Problem::BadUrl(
                "Write ?undelete to lift a ban, or upload with PUT, or with POST to /image.",
            )),
            Shape::ImageId(id) => Ok(Self::UploadAs(parse_id(id)?)),
            Shape::Info(text) => {
                let id = parse_id(text)?;
                // What it tells is about the stored bytes, and needs what they need.
                let admission = signing.admit(true).map_err(Problem::Url)?;
                let canonical = format!("/info/{id}");
                let query = query.map(|query| format!("?{query}")).unwrap_or_default();
                let is_answered = admission.signed || canonical == path;
                Ok(if is_answered { Self::Info(id) } else { Self::Moved(canonical + &query) })
            }
            Shape::List => Ok(Self::List(ListRequest::parse(query)?)),
            Shape::Erasure(id) => Ok(Self::Erasure(parse_id(id)?)),
            Shape::Purge(id) => Ok(Self::Purge(parse_id(id)?)),
            Shape::Health => Ok(Self::Health),
            Shape::Ready => Ok(Self::Ready),
            Shape::Metrics => Ok(Self::Metrics),
            Shape::Status => Ok(Self::Status),
            Shape::Layout => Ok(Self::Layout),
            Shape::LayoutNode(text) => Ok(Self::ChangeNode(parse_node(text)?)),
            Shape::LayoutCluster => Ok(Self::ChangeCluster),
            Shape::Placement(id) => Ok(Self::Placement(parse_id(id)?)),
            Shape::Scrub if *method == Method::POST => Ok(Self::BeginScrub),
            Shape::Scrub => Ok(Self::Scrub),
            Shape::Image { .. } => Err(Problem::Internal),
        }
    }

    /// The right that its caller must have.
    pub(super) const fn right(&self) -> Right {
        match self {
            Self::Image(_) | Self::Moved(_) | Self::Info(_) | Self::Health | Self::Ready => Right::Anybody,
            Self::UploadForm | Self::UploadBytes | Self::UploadAs(_) => Right::Upload,
            Self::Delete(_) | Self::Erasure(_) | Self::Purge(_) => Right::Erase,
            Self::Ban(_)
            | Self::Undelete(_)
            | Self::List(_)
            | Self::Metrics
            | Self::Status
            | Self::Layout
            | Self::ChangeNode(_)
            | Self::ChangeCluster
            | Self::Placement(_)
            | Self::BeginScrub
            | Self::Scrub => Right::Operate,
        }
    }

    /// The methods that `path` takes, as in `Allow`.
    ///
    /// # Errors
    /// The [`Problem`] to answer with where there is no such route.
    pub(super) fn methods(path: &str) -> Result<&'static str, Problem> {
        let shape = Shape::route_path(path)?;
        if let Shape::Image { file, .. } = shape {
            parse_file(file)?;
        }
        Ok(shape.methods())
    }

    /// Whether an image's path leaves its format to `Accept`.
    pub(in crate::http) fn is_negotiated(path: &str) -> bool {
        path.as_bytes().last_chunk().is_some_and(|end: &[u8; 5]| end.eq_ignore_ascii_case(b".auto"))
    }

    /// Under which label requests for `path` are counted.
    pub(in crate::http) fn route(method: &Method, path: &str) -> Route {
        let uploads = matches!(*method, Method::POST | Method::PUT);
        match Shape::of(path) {
            _ if call::is_peer_path(path) => Route::Peer,
            Some(Shape::Root | Shape::Images | Shape::ImageId(_)) if uploads => Route::Upload,
            Some(Shape::Image { .. }) => Route::Image,
            Some(Shape::Info(_)) => Route::Info,
            Some(Shape::Health | Shape::Ready) => Route::Health,
            Some(Shape::Metrics) => Route::Metrics,
            _ => Route::Other,
        }
    }
}

impl<'a> Shape<'a> {
    fn route_path(path: &'a str) -> Result<Self, Problem> {
        if call::is_peer_path(path) {
            return Err(Problem::Unsigned);
        }
        Self::of(path).ok_or(Problem::UnknownRoute)
    }

    fn of(path: &'a str) -> Option<Self> {
        let mut segments = path.strip_prefix('/')?.split('/');
        let parts = [segments.next(), segments.next(), segments.next(), segments.next()];
        if segments.next().is_some() {
            return None;
        }
        match parts {
            [Some(""), None, ..] => Some(Self::Root),
            [Some("image"), None, ..] => Some(Self::Images),
            [Some("image"), Some(id), None, _] if !id.is_empty() => Some(Self::ImageId(id)),
            [Some("image"), Some(id), Some("debug"), Some(file)] if file.ends_with(".json") => {
                Some(Self::Placement(id))
            }
            [Some("image"), Some(id), Some(spec), Some(file)] => Some(Self::Image { id, spec, file }),
            [Some("info"), Some(id), None, _] if !id.is_empty() => Some(Self::Info(id)),
            [Some("images"), None, ..] => Some(Self::List),
            [Some("erasure"), Some(id), None, _] if !id.is_empty() => Some(Self::Erasure(id)),
            [Some("purge"), Some(id), None, _] if !id.is_empty() => Some(Self::Purge(id)),
            [Some("healthz"), None, ..] => Some(Self::Health),
            [Some("readyz"), None, ..] => Some(Self::Ready),
            [Some("metrics"), None, ..] => Some(Self::Metrics),
            [Some("status.json"), None, ..] => Some(Self::Status),
            [Some("layout"), None, ..] => Some(Self::Layout),
            [Some("scrub"), None, ..] => Some(Self::Scrub),
            [Some("layout"), Some("cluster"), None, _] => Some(Self::LayoutCluster),
            [Some("layout"), Some("node"), Some(node), None] if !node.is_empty() => {
                Some(Self::LayoutNode(node))
            }
            _ => None,
        }
    }

    const fn methods(self) -> &'static str {
        match self {
            Self::Root | Self::Images | Self::Purge(_) | Self::LayoutNode(_) | Self::LayoutCluster => "POST",
            Self::ImageId(_) => "PUT, POST, DELETE",
            Self::Scrub => "GET, HEAD, POST",
            Self::Image { .. }
            | Self::Info(_)
            | Self::List
            | Self::Erasure(_)
            | Self::Health
            | Self::Ready
            | Self::Metrics
            | Self::Status
            | Self::Layout
            | Self::Placement(_) => "GET, HEAD",
        }
    }

    fn check(self, method: &Method) -> Result<(), Problem> {
        let methods = self.methods();
        let takes = methods.split(", ").any(|taken| taken == method.as_str());
        if takes { Ok(()) } else { Err(Problem::Method(methods)) }
    }
}

impl ListRequest {
    const LIMIT_DEFAULT: usize = 100;
    /// A page of this many is about 150 KB.
    const LIMIT_MAX: usize = 1000;

    /// Reads the query; parameters of other names are the caller's own.
    fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let mut listing = Self { after: None, limit: Self::LIMIT_DEFAULT };
        for pair in query.unwrap_or_default().split('&') {
            match pair.split_once('=') {
                Some(("after", id)) => listing.after = Some(parse_id(id)?),
                Some(("limit", text)) => listing.limit = Self::parse_limit(text)?,
                Some(_) => {}
                None if matches!(pair, "after" | "limit") => {
                    return Err(Problem::BadUrl("Give after and limit a value, as in ?limit=100."));
                }
                None => {}
            }
        }
        Ok(listing)
    }

    fn parse_limit(text: &str) -> Result<usize, Problem> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let limit = if digits { text.parse().ok() } else { None };
        limit
            .filter(|limit| (1..=Self::LIMIT_MAX).contains(limit))
            .ok_or(Problem::BadUrl("The limit is no number from 1 to 1000; write one, or leave it out."))
    }
}

fn image(
    method: &Method,
    [id_text, spec_text, file]: [&str; 3],
    query: Option<&str>,
    signing: Signing,
    presets: Presets<'_>,
) -> Result<Endpoint, Problem> {
    let (name, extension) = parse_file(file)?;
    Shape::Image { id: id_text, spec: spec_text, file }.check(method)?;
    let id = parse_id(id_text)?;
    let written = parse_spec(spec_text);
    let is_full = written.as_ref().is_ok_and(|spec| spec.canonical_for(extension).is_full_plain());
    let admission = signing.admit(is_full).map_err(Problem::Url)?;
    let written = written?;
    let spec = written.canonical_for(extension);
    let meaning = presets.meaning(&spec).map_err(|error| Problem::BadSpec(error.to_string()))?;
    // As written: an option that this format does not take is one all the same.
    presets.admit(&written)?;
    let canonical = [&id.to_string(), &spec.to_string(), &*name, extension.as_str()];
    let given = [id_text, spec_text, name_as_sent(file), extension_as_sent(file)];
    if canonical != given && !admission.signed {
        let [id, spec, name, extension] = canonical;
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        return Ok(Endpoint::Moved(format!("/image/{id}/{spec}/{name}.{extension}{query}")));
    }
    let by_preset = spec.preset().is_some();
    let spec = meaning.canonical_for(extension);
    Ok(Endpoint::Image(ImageRequest { id, spec, extension, stored_only: admission.stored_only, by_preset }))
}

/// Whether the query has a parameter of this name, with or without a value.
pub(super) fn has_flag(query: Option<&str>, name: &str) -> bool {
    query.unwrap_or_default().split('&').any(|pair| pair.split('=').next() == Some(name))
}

fn parse_spec(text: &str) -> Result<Spec, Problem> {
    let decoded = decode(text, "The spec holds a '/', a NUL or a character that is not ASCII; take it out.")?;
    Spec::parse(&decoded).map_err(|error| Problem::BadSpec(error.to_string()))
}

/// The name as it goes into a canonical URL, and the extension.
fn parse_file(file: &str) -> Result<(Cow<'_, str>, Extension), Problem> {
    let (name, extension) = split_file(file)?;
    Ok((name, Extension::parse(&extension).ok_or(Problem::UnknownRoute)?))
}

fn parse_id(text: &str) -> Result<ObjectId, Problem> {
    let decoded = decode(text, "The id holds a '/', a NUL or a character that is not ASCII; take it out.")?;
    ObjectId::parse(&decoded).map_err(|_| Problem::BadId)
}

/// A member's name or id. No longer one is looked for: a name has 64 bytes at most.
fn parse_node(text: &str) -> Result<String, Problem> {
    const BYTES_MAX: usize = 64;
    let problem =
        "Write the name of a member, or its id; both have at most 64 letters, digits, '.', '_' and '-'.";
    let decoded = decode(text, problem)?;
    if decoded.len() > BYTES_MAX { Err(Problem::BadUrl(problem)) } else { Ok(decoded.into_owned()) }
}

/// The name as it goes into a canonical URL, and the decoded extension. A point may itself come
/// percent-encoded; the last one counts.
fn split_file(file: &str) -> Result<(Cow<'_, str>, String), Problem> {
    const EXTENSION: &str = "The extension holds a '/', a NUL or a character that is not ASCII; take it out.";
    // The name is free, but what could lead out of a directory or end a string early is no name.
    if percent_decode_str(file).any(|byte| matches!(byte, b'/' | 0)) {
        return Err(Problem::BadUrl("The name holds a '/' or a NUL; take it out."));
    }
    let plain = file.rfind('.');
    let encoded = file.rfind("%2e").max(file.rfind("%2E"));
    let (name, extension) = match (plain, encoded) {
        (plain, Some(encoded)) if plain.is_none_or(|plain| plain < encoded) => {
            (&file[..encoded], &file[encoded + 3..])
        }
        (Some(plain), _) => (&file[..plain], &file[plain + 1..]),
        (None, _) => return Err(Problem::UnknownRoute),
    };
    Ok((Cow::Borrowed(name), decode(extension, EXTENSION)?.into_owned()))
}

fn name_as_sent(file: &str) -> &str {
    file.rsplit_once('.').map_or(file, |(name, _)| name)
}

fn extension_as_sent(file: &str) -> &str {
    file.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// One percent-decoding.
fn decode<'a>(text: &'a str, problem: &'static str) -> Result<Cow<'a, str>, Problem> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| Problem::BadUrl(problem))?;
    if decoded.bytes().any(|byte| matches!(byte, b'/' | 0) || !byte.is_ascii()) {
        return Err(Problem::BadUrl(problem));
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests;
