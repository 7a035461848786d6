//! `GET|HEAD /image/{id}/{spec}/{name}.{ext}`: the stored bytes or a variant.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderMap;

use super::endpoint::ImageRequest;
use super::negotiate::{self, ImageTraits};
use crate::http::access::sign::UrlRefusal;
use crate::http::body::Body;
use crate::http::conditional::{self, Condition, Range};
use crate::http::exchange::{Context, HandlerResponse};
use crate::http::fast_path::Hit;
use crate::http::reply::{self, Freshness, Problem, Representation};
use crate::image::error::RenderError;
use crate::image::recipe::{Originals, Recipe};
use crate::image::shape::Size;
use crate::image::{geometry, metadata};
use crate::object::{Extension, Format, ObjectId};
use crate::peer::call::StoredMetadata;
use crate::peer::requester::Requester;
use crate::peer::stream::Stream;
use crate::shard::bodies::file::PartBody;
use crate::shard::bodies::memory::Charge;
use crate::shard::bodies::relay::RelayBody;
use crate::shard::cache::{self, CacheKey, CachedResponse};
use crate::shard::errors::ReadError;
use crate::shard::service::original::{OriginalBody, OriginalBytes, Part};
use crate::shard::service::variant::FoundVariant;
use crate::shard::timings::StageTimings;
use crate::shard::variant::{Variant, VariantBody, VariantRequest, etag};
use crate::store::read::FileReader;
use crate::telemetry::metrics::Cache;

/// The rights of a caller, beside everybody's.
#[derive(Clone, Copy)]
pub(super) struct Trust {
    /// Metadata, whatever the configuration keeps from others.
    pub(super) metadata: bool,
    /// It asks for the stored bytes, whatever others get, and may have them.
    pub(super) original: bool,
}

pub(super) async fn answer(
    context: &Context,
    wanted: &ImageRequest,
    trust: Trust,
    headers: &HeaderMap,
) -> HandlerResponse {
    let answered = match format(context, wanted, headers).await {
        Ok(format) => image(context, wanted, trust, format, headers).await,
        Err(problem) => Err(problem),
    };
    answered.unwrap_or_else(HandlerResponse::from)
}

/// The output format, if this version makes what is asked.
async fn format(context: &Context, wanted: &ImageRequest, headers: &HeaderMap) -> Result<Format, Problem> {
    match wanted.extension {
        Extension::Format(format) => Ok(format),
        // The image's traits do not matter then, so no node is asked.
        Extension::Auto
            if !wanted.spec.is_full_plain()
                && negotiate::names(headers, Format::Webp)
                && !negotiate::names(headers, Format::Avif)
                && fits(context, wanted, Format::Webp, None) =>
        {
            Ok(Format::Webp)
        }
        Extension::Auto => {
            let description = context.shard.describe_image(wanted.id).await?;
            let source = ImageTraits::try_from(&description)?;
            let fits = |format| fits(context, wanted, format, Some(source.displayed));
            Ok(if wanted.spec.is_full_plain() {
                negotiate::of_full(headers, source, fits)
            } else {
                negotiate::of_variant(headers, source, fits)
            })
        }
    }
}

/// Whether a result in this format is within its bound on pixels, for an image of this size or, without one, for any.
fn fits(context: &Context, wanted: &ImageRequest, format: Format, displayed: Option<Size>) -> bool {
    // The caller that makes the recipe reports what is wrong with it.
    Recipe::resolve(&wanted.spec, format, &context.settings.recipe).is_ok_and(|recipe| {
        recipe.is_surely_within_pixels_max()
            || displayed.is_some_and(|size| geometry::is_within_output(size, &recipe))
    })
}

async fn image(
    context: &Context,
    wanted: &ImageRequest,
    trust: Trust,
    format: Format,
    headers: &HeaderMap,
) -> Result<HandlerResponse, Problem> {
    let id = wanted.id;
    // A bad recipe is the caller's fault whether the image exists or not.
    let recipe = Recipe::resolve(&wanted.spec, format, &context.settings.recipe)
        .map_err(|error| Problem::BadSpec(error.to_string()))?;
    let originals = context.settings.recipe.originals;
    if originals != Originals::AsIs && recipe.meta {
        if !trust.metadata {
            context.shard.require_image(id).await?;
            return Err(Problem::Originals);
        }
        return private(variant(context, id, recipe, Freshness::Private, headers).await);
    }
    if wanted.spec.is_full_plain() {
        if trust.original {
            if let Some(answer) = stored(context, id, format, Freshness::Private, headers).await? {
                return private(Ok(answer));
            }
        } else if originals != Originals::AsIs {
            require_not_stored(context, wanted, format).await?;
            if format.is_written() {
                return stripped(variant(context, id, recipe, wanted.freshness(), headers).await);
            }
        } else {
            let key = cache::stored_key(id, format);
            if let Some(entry) = context.shard.cached(&key) {
                return Ok(hit(key, entry, wanted.freshness(), headers));
            }
            if let Some(answer) = stored(context, id, format, wanted.freshness(), headers).await? {
                return Ok(answer);
            }
        }
        // A caller that may get the stored bytes may try every extension, so this reveals nothing.
        if wanted.stored_only {
            return Err(Problem::Url(UrlRefusal::Unsigned));
        }
        if context.settings.only_presets && !wanted.by_preset {
            return Err(Problem::OnlyPresets);
        }
    }
    if !format.is_written() {
        return Err(Problem::BadSpec(NOT_WRITTEN.to_string()));
    }
    variant(context, id, recipe, wanted.freshness(), headers).await
}

/// Refuses what would be an image as it was uploaded, and cannot be stripped; and other formats where only stored bytes
/// may be given.
async fn require_not_stored(context: &Context, wanted: &ImageRequest, format: Format) -> Result<(), Problem> {
    let is_bound_to_presets = context.settings.only_presets && !wanted.by_preset;
    let strips = context.settings.recipe.originals == Originals::Stripped && metadata::can_strip(format);
    if strips && !wanted.stored_only && !is_bound_to_presets {
        return Ok(());
    }
    let is_own = context.shard.describe_image(wanted.id).await?.extension == format.extension();
    match is_own {
        true if strips => Ok(()),
        true => Err(Problem::Originals),
        false if wanted.stored_only => Err(Problem::Url(UrlRefusal::Unsigned)),
        false if is_bound_to_presets => Err(Problem::OnlyPresets),
        false => Ok(()),
    }
}

/// A file that could not be stripped is not given. Another node may have tried, so only the sentence tells.
fn stripped(answered: Result<HandlerResponse, Problem>) -> Result<HandlerResponse, Problem> {
    answered.map_err(|problem| match problem {
        Problem::CannotMake(sentence) if sentence == RenderError::NotStripped.to_string() => {
            Problem::Originals
        }
        problem => problem,
    })
}

/// An answer for one caller is not remembered for others.
fn private(answered: Result<HandlerResponse, Problem>) -> Result<HandlerResponse, Problem> {
    answered.map(|answer| HandlerResponse { hit: None, ..answer })
}

/// The answer to a request for a variant in a format that is only stored.
const NOT_WRITTEN: &str = "No variant is made in this format, and the image is not stored in it. Ask for jpg, png, gif, webp, avif or auto.";

impl ImageRequest {
    /// A URL's content never changes, unless the configuration defines it (a preset).
    const fn freshness(&self) -> Freshness {
        if self.by_preset { Freshness::Day } else { Freshness::ForEver }
    }
}

async fn variant(
    context: &Context,
    id: ObjectId,
    recipe: Recipe,
    freshness: Freshness,
    headers: &HeaderMap,
) -> Result<HandlerResponse, Problem> {
    let key = recipe.etag_key(&id);
    if let Some(entry) = context.shard.cached(&(id, key)) {
        return Ok(hit((id, key), entry, freshness, headers));
    }
    let etag = etag(&key);
    if conditional::fails_match(headers, &etag) {
        context.shard.require_image(id).await?;
        return Err(Problem::Precondition);
    }
    if conditional::matches_etag(headers, &etag) {
        context.shard.require_image(id).await?;
        return Ok(reply::not_modified(&etag, freshness).into());
    }
    let media_type = recipe.format.media_type();
    let requester = Requester::Client(context.client(headers));
    let mut timings = StageTimings::default();
    let (source, length, modified, cache) =
        match context.shard.read_variant(VariantRequest { id, recipe, key, requester }).await? {
            FoundVariant::Here(Variant { body: VariantBody::Ready(entry), cache, timings }) => {
                context.shard.insert_cached((id, key), &entry);
                return Ok(HandlerResponse { timings, ..ready(&entry, freshness, headers, cache) });
            }
            FoundVariant::Ready(entry, cache) => {
                context.shard.insert_cached((id, key), &entry);
                return Ok(ready(&entry, freshness, headers, cache));
            }
            FoundVariant::Here(Variant { body: VariantBody::File(file), cache, timings: steps }) => {
                timings = steps;
                (VariantSource::File(file.file, file.charge), file.length, file.modified, cache)
            }
            FoundVariant::Stream(StoredMetadata { length, uploaded, .. }, stream) => {
                (VariantSource::Stream(stream), length, uploaded, Cache::Peer)
            }
        };
    let modified = not_in_future(modified);
    if let Some(answer) = unsent(headers, &etag, modified, freshness) {
        return Ok(answer);
    }
    let about = Representation { media_type, length, etag: &etag, modified, freshness, cache };
    let range = conditional::range(headers, length, &etag, modified);
    let (start, end) = range.bounds(length);
    let body = match source {
        VariantSource::File(file, charge) => {
            let (reader, memory) = (FileReader::new(file, length), &context.shard.node.bodies);
            Body::from(PartBody::of_variant(reader, [start, end], memory, charge).await?)
        }
        VariantSource::Stream(stream) => Body::Relay(RelayBody::new(stream, start, end)),
    };
    Ok(HandlerResponse { cache, timings, ..reply::representation(&about, range, body).into() })
}

/// Where a long variant comes from.
enum VariantSource {
    File(OwnedFd, Option<Arc<Charge>>),
    Stream(Box<Stream>),
}

/// The date by which a representation is judged and sent. The upload time is a file's, which anybody may `touch`, or
/// that of a node whose clock is ahead.
fn not_in_future(uploaded: SystemTime) -> SystemTime {
    uploaded.min(SystemTime::now())
}

/// An answer that was in memory.
fn hit(
    key: CacheKey,
    entry: Arc<CachedResponse>,
    freshness: Freshness,
    headers: &HeaderMap,
) -> HandlerResponse {
    let answer = ready(&entry, freshness, headers, Cache::Memory);
    HandlerResponse { hit: Some(Hit { key, entry, freshness }), ..answer }
}

/// The answer where the request's conditions say that the representation is not to be sent.
fn unsent(
    headers: &HeaderMap,
    etag: &str,
    modified: SystemTime,
    freshness: Freshness,
) -> Option<HandlerResponse> {
    match conditional::evaluate(headers, etag, modified) {
        Condition::Holds => None,
        Condition::NotModified => Some(reply::not_modified(etag, freshness).into()),
        Condition::Failed => Some(Problem::Precondition.into()),
    }
}

/// An answer that is in memory.
fn ready(entry: &CachedResponse, freshness: Freshness, headers: &HeaderMap, cache: Cache) -> HandlerResponse {
    // The tag was made of hex digits.
    let etag = str::from_utf8(&entry.etag).unwrap_or_default();
    if let Some(answer) = unsent(headers, etag, entry.modified, freshness) {
        return answer;
    }
    let length = entry.bytes.len() as u64;
    let range = conditional::range(headers, length, etag, entry.modified);
    HandlerResponse { cache, ..reply::ready(entry, range, freshness, cache).into() }
}

/// The stored bytes; `None` where they are of another format.
async fn stored(
    context: &Context,
    id: ObjectId,
    format: Format,
    freshness: Freshness,
    headers: &HeaderMap,
) -> Result<Option<HandlerResponse>, Problem> {
    let etag = cache::stored_etag(id);
    let range = |stored: &StoredMetadata| {
        conditional::range(headers, stored.length, &etag, not_in_future(stored.uploaded))
    };
    let select = |stored: &StoredMetadata| {
        if conditional::evaluate(headers, &etag, not_in_future(stored.uploaded)) != Condition::Holds {
            return Part::Metadata;
        }
        match (range(stored), range(stored).bounds(stored.length)) {
            (Range::Whole, _) => Part::Whole,
            (_, (start, end)) => Part::Range(start, end),
        }
    };
    let OriginalBody { stored, bytes, cache } = match context.shard.read_original(id, format, select).await {
        Ok(read) => read,
        Err(ReadError::OtherFormat) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if let OriginalBytes::Entry(entry) = &bytes {
        return Ok(Some(ready(entry, freshness, headers, cache)));
    }
    let (length, modified) = (stored.length, not_in_future(stored.uploaded));
    if let Some(answer) = unsent(headers, &etag, modified, freshness) {
        return Ok(Some(answer));
    }
    let about =
        Representation { media_type: format.media_type(), length, etag: &etag, modified, freshness, cache };
    let response = reply::representation(&about, range(&stored), Body::from(bytes));
    Ok(Some(HandlerResponse { cache, ..response.into() }))
}
