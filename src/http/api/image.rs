//! `GET|HEAD /image/{id}/{spec}/{name}.{ext}`: the [`stored`] bytes or a variant.

pub(in crate::http) mod stored;

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future;
use http::{HeaderMap, Response};

use self::stored::Lack;
use super::endpoint::ImageRequest;
use super::{info, negotiate};
use crate::http::access::sign::UrlRefusal;
use crate::http::body::{Body, BodyChunk, EndReport};
use crate::http::conditional::{self, Range};
use crate::http::exchange::{Context, HandlerResponse};
use crate::http::fast_path::Hit;
use crate::http::reply::{self, Freshness, Problem, Representation};
use crate::image::geometry;
use crate::image::header::Header;
use crate::image::recipe::Recipe;
use crate::image::shape::Size;
use crate::object::{Extension, Format, ObjectId};
use crate::peer::body::Stream;
use crate::peer::call::StoredMetadata;
use crate::peer::requester::Requester;
use crate::shard::bodies::Charge;
use crate::shard::cache::{self, CacheKey, CachedResponse};
use crate::shard::mesh::AskError;
use crate::shard::message::Opened;
use crate::shard::service::NotFound;
use crate::shard::service::read::{Fetched, FetchedBody, PATIENCE};
use crate::shard::service::variant::{Anywhere, AnywhereError};
use crate::shard::timings::StageTimings;
use crate::shard::variant::VariantRequest;
use crate::shard::variant::{Variant, VariantBody, VariantError, etag};
use crate::store::StoreError;
use crate::store::health::DiskTrouble;
use crate::store::originals::{Described, Found, Original};
use crate::store::read::{CHUNK_BYTES, FileReader};
use crate::telemetry::metrics::Cache;

pub(super) async fn answer(context: &Context, wanted: &ImageRequest, headers: &HeaderMap) -> HandlerResponse {
    let answered = match format(context, wanted, headers).await {
        Ok(format) => image(context, wanted, format, headers).await,
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
            let source = info::source(context, wanted.id).await?;
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

/// A stored image's description, or why there is none.
pub(super) fn require_described(described: Described) -> Result<(Original, Header), Problem> {
    match described {
        Described::Here(original, header) => Ok((original, header)),
        Described::Absent => Err(Problem::Absent),
        Described::Damaged(_) => Err(Problem::Damaged),
        Described::Refused(error) => Err(Problem::CannotMake(error.to_string())),
    }
}

async fn image(
    context: &Context,
    wanted: &ImageRequest,
    format: Format,
    headers: &HeaderMap,
) -> Result<HandlerResponse, Problem> {
    let id = wanted.id;
    // A bad recipe is the caller's fault whether the image exists or not.
    let recipe = Recipe::resolve(&wanted.spec, format, &context.settings.recipe)
        .map_err(|error| Problem::BadSpec(error.to_string()))?;
    if wanted.spec.is_full_plain() {
        let key = cache::stored_key(id, format);
        if let Some(entry) = context.shard.cached(&key) {
            return Ok(hit(key, entry, wanted.freshness(), headers));
        }
        if let Some(answer) = stored::answer(context, id, format, wanted.freshness(), headers).await? {
            return Ok(answer);
        }
        // A caller that may get the stored bytes may try every extension, so this reveals nothing.
        if wanted.stored_only {
            return Err(Problem::Url(UrlRefusal::Unsigned));
        }
        if context.settings.only_presets && !wanted.by_preset {
            return Err(Problem::OnlyPresets);
        }
    }
    variant(context, id, recipe, wanted.freshness(), headers).await
}

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
    if conditional::matches_etag(headers, &etag) {
        exists(context, id).await?;
        return Ok(reply::not_modified(&etag, freshness).into());
    }
    let media_type = recipe.format.media_type();
    let requester = Requester::Client(context.client(headers));
    let mut timings = StageTimings::default();
    let (source, length, modified, cache) =
        match context.shard.variant_anywhere(VariantRequest { id, recipe, key, requester }).await? {
            Anywhere::Here(Variant { body: VariantBody::Ready(entry), cache, timings }) => {
                context.shard.insert_cached((id, key), &entry);
                return Ok(HandlerResponse { timings, ..ready(&entry, freshness, headers, cache) });
            }
            Anywhere::Ready(entry, cache) => {
                context.shard.insert_cached((id, key), &entry);
                return Ok(ready(&entry, freshness, headers, cache));
            }
            Anywhere::Here(Variant { body: VariantBody::File(file), cache, timings: steps }) => {
                timings = steps;
                (VariantSource::File(file.file, file.charge), file.length, file.modified, cache)
            }
            Anywhere::Stream(StoredMetadata { length, uploaded, .. }, stream) => {
                (VariantSource::Stream(stream), length, uploaded, Cache::Peer)
            }
        };
    if conditional::is_fresh(headers, &etag, Some(modified)) {
        return Ok(reply::not_modified(&etag, freshness).into());
    }
    let about = Representation { media_type, length, etag: &etag, modified, freshness, cache };
    let range = conditional::range(headers, length, &etag, modified);
    let response = match source {
        VariantSource::File(file, charge) => {
            let response =
                respond_from_disk(context, &about, range, FileReader::new(file, length), None).await?;
            response.map(|body| body.hold_charge(charge))
        }
        VariantSource::Stream(stream) => {
            reply::representation(&about, range, |start, end| Body::peer(stream, start, end))
        }
    };
    Ok(HandlerResponse { cache, timings, ..response.into() })
}

/// Where a long variant comes from.
enum VariantSource {
    File(OwnedFd, Option<Arc<Charge>>),
    Stream(Box<Stream>),
}

/// Whether the image is anywhere.
async fn exists(context: &Context, id: ObjectId) -> Result<(), Problem> {
    let shard = &context.shard;
    match with_patience(context, PATIENCE, shard.look(id)).await? {
        Ok(Found::Here(_)) => Ok(()),
        found if !shard.is_whole_cluster() => {
            shard.locate(id, shard.said_here(&found)).await?;
            // A disk that takes its time is no lack.
            if !matches!(found, Err(StoreError::Late(_))) {
                shard.note_lack(id);
            }
            Ok(())
        }
        found => Err(Lack::of(shard, found).problem()),
    }
}

/// What this node's disk says; where there are others to be asked it is not waited for longer than this.
pub(super) async fn with_patience<T>(
    context: &Context,
    patience: Duration,
    own: impl Future<Output = Result<Result<T, StoreError>, AskError>>,
) -> Result<Result<T, StoreError>, AskError> {
    if !context.shard.has_peers() {
        return own.await;
    }
    let late = async {
        glommio::timer::sleep(patience).await;
        Ok(Err(StoreError::Late("look for an image")))
    };
    future::or(own, late).await
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

/// An answer that is in memory.
fn ready(entry: &CachedResponse, freshness: Freshness, headers: &HeaderMap, cache: Cache) -> HandlerResponse {
    // The tag was made of hex digits.
    let etag = str::from_utf8(&entry.etag).unwrap_or_default();
    if conditional::is_fresh(headers, etag, Some(entry.modified)) {
        return reply::not_modified(etag, freshness).into();
    }
    let length = entry.bytes.len() as u64;
    let range = conditional::range(headers, length, etag, entry.modified);
    HandlerResponse { cache, ..reply::ready(entry, range, freshness, cache).into() }
}

/// The answer with what another node gives.
fn respond_from_peer(
    context: &Context,
    id: ObjectId,
    fetched: Fetched,
    freshness: Freshness,
    headers: &HeaderMap,
) -> HandlerResponse {
    let Fetched { stored: StoredMetadata { format, length, uploaded }, body } = fetched;
    let etag = format!("\"{id}\"");
    let stream = match body {
        FetchedBody::Whole(bytes) => {
            let entry = CachedResponse::new(bytes, format, &etag, uploaded);
            context.shard.insert_cached(cache::stored_key(id, format), &entry);
            return ready(&entry, freshness, headers, Cache::Peer);
        }
        FetchedBody::Stream(stream) => stream,
    };
    if conditional::is_fresh(headers, &etag, Some(uploaded)) {
        return reply::not_modified(&etag, freshness).into();
    }
    let cache = Cache::Peer;
    let media_type = format.media_type();
    let about = Representation { media_type, length, etag: &etag, modified: uploaded, freshness, cache };
    let range = conditional::range(headers, length, &etag, uploaded);
    let response = reply::representation(&about, range, |start, end| Body::peer(stream, start, end));
    HandlerResponse { cache, ..response.into() }
}

/// A stored image's file; `None` where there is none, or none that is good.
pub(in crate::http) async fn open_stored(
    context: &Context,
    id: ObjectId,
) -> Result<Option<(Original, FileReader, bool)>, Problem> {
    Ok(match context.shard.open(id).await?? {
        Opened::Here(file, original, verified) => {
            Some((original, FileReader::new(file, original.length), verified))
        }
        Opened::Absent | Opened::Damaged => None,
    })
}

/// A short part is read before the answer's head, so that both leave together.
/// `report` is called if the disk cannot read the rest of a stored image.
async fn respond_from_disk(
    context: &Context,
    about: &Representation<'_>,
    range: Range,
    reader: FileReader,
    report: Option<EndReport>,
) -> Result<Response<Body>, StoreError> {
    let (start, end) = match range {
        Range::Whole => (0, reader.length()),
        Range::Part { start, end } => (start, end),
        Range::Outside => return Ok(Problem::OutsideRange(reader.length()).into()),
    };
    if end - start <= CHUNK_BYTES
        && let Some(charge) = context.shard.node.bodies.reserve(end - start)
    {
        let read = reader.read(start, end - start).await?;
        if read.len() as u64 == end - start {
            return Ok(reply::representation(about, range, |_, _| {
                Body::chunk(BodyChunk::read(read, charge))
            }));
        }
    }
    let body = match report {
        Some(report) => Body::image(reader, start, end, report).start(&context.shard.node.bodies).await?,
        None => Body::file(reader, start, end),
    };
    Ok(reply::representation(about, range, |_, _| body))
}

/// The answer to a client when there is no variant.
pub(in crate::http) fn problem(error: VariantError) -> Problem {
    match error {
        VariantError::Absent => Problem::Absent,
        VariantError::Damaged => Problem::Damaged,
        VariantError::Busy | VariantError::GaveWay => Problem::Busy("variants being made"),
        VariantError::TooFast(too_fast) => Problem::TooFast(too_fast),
        VariantError::Deadline => Problem::Deadline,
        VariantError::TooSlow(left) => Problem::TooSlow(left.as_secs() + 1),
        VariantError::Fault(fault) => Problem::CannotMake(fault.to_string()),
        VariantError::Elsewhere(sentence) => Problem::CannotMake(sentence),
        VariantError::Panicked => Problem::CannotMake(
            "The image cannot be decoded; upload it again from an intact file.".to_owned(),
        ),
        VariantError::NoDescriptor => Problem::no_descriptor(),
        VariantError::StoreMissing => Problem::Unusable(DiskTrouble::StoreMissing),
        // The shard that met it has logged it.
        VariantError::Disk(_) => Problem::Disk,
    }
}

impl From<AnywhereError> for Problem {
    fn from(error: AnywhereError) -> Self {
        match error {
            AnywhereError::Ask(error) => error.into(),
            AnywhereError::NotFound(error) => error.into(),
            AnywhereError::Variant(error) => problem(error),
        }
    }
}

impl From<NotFound> for Problem {
    fn from(not_found: NotFound) -> Self {
        match not_found {
            NotFound::Absent => Self::Absent,
            NotFound::Unproven => Self::Unproven,
            NotFound::NotJoined(membership_status) => Self::NotMember(membership_status),
            NotFound::StoreMissing => Self::Unusable(DiskTrouble::StoreMissing),
        }
    }
}
