//! The stored bytes of an image: from this node's disk, and where that has no good copy or takes its time, from another
//! node. No reader gets the end of wrong bytes, and a bad copy is quarantined by the reader that meets it.

use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use futures_lite::future;

use super::super::Shard;
use super::super::bodies::file::{EndReport, FileBody, PartBody, ReadEnd};
use super::super::bodies::relay::RelayBody;
use super::super::cache::{self, CachedResponse};
use super::super::errors::{NotFound, ReadError};
use super::super::message::{Opened, Verified};
use super::read::{Fetched, FetchedBody, PATIENCE};
use crate::cluster::protocol::locate::absence::LookupReply;
use crate::object::{Format, ObjectId};
use crate::peer::call::StoredMetadata;
use crate::store::originals::{Found, Original};
use crate::store::read::FileReader;
use crate::telemetry::metrics::Cache;

/// Stored bytes up to this length are proven before the first one is given; longer ones on the way.
const PROVEN_FIRST_BYTES: u64 = 1 << 20;

/// The part of an image that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// None: its metadata is enough.
    Metadata,
    /// All of it.
    Whole,
    /// Bytes from the first up to the second number. Without any it is proven all the same, where it is short.
    Range(u64, u64),
}

/// An image as it was found, and the wanted part.
pub struct OriginalBody {
    /// Format, length and upload time.
    pub stored: StoredMetadata,
    /// The bytes.
    pub bytes: OriginalBytes,
    /// Where they came from.
    pub cache: Cache,
}

/// The wanted part of an image.
pub enum OriginalBytes {
    /// Nothing was wanted.
    None,
    /// All of the image, proven, and in the memory tier now.
    Entry(Arc<CachedResponse>),
    /// The part, from this node's disk.
    Part(PartBody),
    /// The part, from another node.
    Relay(RelayBody),
}

/// This node's own copy, and the wanted part.
pub struct OwnOriginal {
    /// Format, length and upload time.
    pub stored: StoredMetadata,
    /// The bytes.
    pub bytes: OwnBytes,
}

/// The wanted part of this node's own copy.
pub enum OwnBytes {
    /// Nothing was wanted.
    None,
    /// All of the image, proven.
    Whole(Bytes),
    /// The part.
    Part(PartBody),
}

/// The first answer of two.
enum First {
    Own(Result<OwnOriginal, ReadError>),
    Fetched(Result<Fetched, NotFound>),
}

impl Shard {
    /// The stored bytes of an image in this format, wherever they are. `select` says which part is wanted, once its
    /// metadata is known.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn read_original(
        self: &Rc<Self>,
        id: ObjectId,
        format: Format,
        select: impl Fn(&StoredMetadata) -> Part,
    ) -> Result<OriginalBody, ReadError> {
        self.refuse_gone(&id)?;
        let own = self.read_own(id, Some(format), &select);
        if self.is_whole_cluster() {
            return Ok(self.keep_own(id, own.await?));
        }
        let mut own = pin!(own);
        let failed = match self.with_patience(PATIENCE, own.as_mut()).await {
            Some(Err(error @ (ReadError::OtherFormat | ReadError::Ask(_)))) => return Err(error),
            Some(Err(error)) => error,
            Some(Ok(found)) => return Ok(self.keep_own(id, found)),
            // The disk takes its time: another node is asked too, and the first that gives is taken.
            None => match self.race_disk_and_peers(id, own).await {
                Err(error @ (ReadError::OtherFormat | ReadError::Ask(_))) => return Err(error),
                Err(error) => error,
                Ok(First::Own(found)) => return Ok(self.keep_own(id, found?)),
                Ok(First::Fetched(fetched)) => return self.relay(id, format, fetched?, &select),
            },
        };
        let fetched = self.fetch(id, self.said_of(&failed)).await?;
        self.note_lack(id);
        self.relay(id, format, fetched, &select)
    }

    /// The first of a node that is asked and of this one's own disk that gives the image. An error: the disk has said
    /// at last that it has none, without which nothing could be told of the others' answers.
    async fn race_disk_and_peers(
        self: &Rc<Self>,
        id: ObjectId,
        mut own: Pin<&mut impl Future<Output = Result<OwnOriginal, ReadError>>>,
    ) -> Result<First, ReadError> {
        let mut fetched = pin!(self.fetch(id, LookupReply::Unknown));
        let first = {
            let own_first = async { First::Own(own.as_mut().await) };
            future::or(own_first, async { First::Fetched(fetched.as_mut().await) }).await
        };
        match first {
            First::Own(Err(error @ (ReadError::OtherFormat | ReadError::Ask(_)))) => Err(error),
            First::Own(Err(error)) => match fetched.await {
                Ok(fetched) => Ok(First::Fetched(Ok(fetched))),
                Err(_) => Err(error),
            },
            First::Fetched(Err(_)) => Ok(First::Own(Ok(own.await?))),
            given => Ok(given),
        }
    }

    /// This node's own copy. One that is bad or cannot be read is reported to the shard that holds the id.
    ///
    /// # Errors
    /// [`ReadError`]; [`ReadError::NotFound`] says only that it is not here.
    pub async fn read_own(
        self: &Rc<Self>,
        id: ObjectId,
        format: Option<Format>,
        select: &impl Fn(&StoredMetadata) -> Part,
    ) -> Result<OwnOriginal, ReadError> {
        self.refuse_gone(&id)?;
        if let Some(format) = format {
            match self.find(id).await?? {
                Found::Here(original) if original.format != format => return Err(ReadError::OtherFormat),
                Found::Here(_) => {}
                Found::Absent => return Err(NotFound::Absent.into()),
                Found::Damaged => return Err(ReadError::Damaged),
            }
        }
        let (reader, original, is_verified) = match self.open(id).await?? {
            Opened::Here(file, original, is_verified) => {
                (FileReader::new(file, original.length), original, is_verified)
            }
            Opened::Absent => return Err(NotFound::Absent.into()),
            Opened::Damaged => return Err(ReadError::Damaged),
        };
        // It was replaced by one of another name since it was found.
        if format.is_some_and(|format| format != original.format) {
            return Err(ReadError::OtherFormat);
        }
        let stored = metadata_of(&original);
        match self.read_part(id, &original, reader, is_verified, select(&stored)).await {
            Ok(bytes) => Ok(OwnOriginal { stored, bytes }),
            Err(ReadError::Store(error)) => {
                let again = error.again();
                self.unreadable(id, error).await;
                Err(again.into())
            }
            Err(error) => Err(error),
        }
    }

    async fn read_part(
        self: &Rc<Self>,
        id: ObjectId,
        original: &Original,
        reader: FileReader,
        is_verified: bool,
        part: Part,
    ) -> Result<OwnBytes, ReadError> {
        let (start, end) = match part {
            Part::Metadata => return Ok(OwnBytes::None),
            Part::Whole => (0, original.length),
            Part::Range(start, end) => (start, end),
        };
        let bodies = &self.node.bodies;
        let is_long = original.length > PROVEN_FIRST_BYTES;
        // Without room in memory it is proven first all the same, and given from the file.
        let charge = if is_long { None } else { bodies.reserve(original.length) };
        if let Some(charge) = charge {
            let bytes = reader.read_whole().await?;
            if !is_verified {
                self.judge(id, original, ObjectId::of(&bytes) == id).await?;
            }
            return Ok(OwnBytes::Whole(charge.hold(bytes)));
        }
        let report = self.report_of(id, original);
        if !is_verified && is_long && part == Part::Whole {
            let body = FileBody::verifying(reader, id, bodies, report).start().await?;
            return Ok(OwnBytes::Part(PartBody::File(Box::new(body))));
        }
        if !is_verified {
            let is_right = reader.verify(id, |_| ()).await?;
            self.judge(id, original, is_right).await?;
        }
        if start == end {
            return Ok(OwnBytes::None);
        }
        Ok(OwnBytes::Part(PartBody::of_image(reader, [start, end], bodies, report).await?))
    }

    /// Whether this node's own copy was read, is right, and outlives a power cut: copies are deleted and uploads
    /// answered by it. A bad copy is reported.
    pub async fn verify_own(self: &Rc<Self>, id: ObjectId) -> LookupReply {
        if self.node.erasures.is_gone(&id) {
            return LookupReply::Gone;
        }
        let (reader, original) = match self.open(id).await {
            Ok(Ok(Opened::Here(file, original, _))) => (FileReader::new(file, original.length), original),
            Ok(Ok(Opened::Absent | Opened::Damaged)) => return self.presence(id).await,
            Ok(Err(_)) | Err(_) => return LookupReply::Unknown,
        };
        match reader.verify(id, |_| ()).await {
            Ok(true) => match self.sync_name(id).await {
                Ok(Ok(())) => LookupReply::Present,
                Ok(Err(_)) | Err(_) => LookupReply::Unknown,
            },
            Ok(false) => {
                self.verified(verdict(id, &original, false)).await;
                LookupReply::Unknown
            }
            Err(error) => {
                self.unreadable(id, error).await;
                LookupReply::Unknown
            }
        }
    }

    /// Tells the shard that holds the id what came of reading a whole file.
    async fn judge(
        self: &Rc<Self>,
        id: ObjectId,
        original: &Original,
        is_right: bool,
    ) -> Result<(), ReadError> {
        self.verified(verdict(id, original, is_right)).await;
        if is_right { Ok(()) } else { Err(ReadError::Damaged) }
    }

    /// The same for a file that is read while it is sent.
    fn report_of(self: &Rc<Self>, id: ObjectId, original: &Original) -> EndReport {
        let (shard, original) = (Rc::clone(self), *original);
        Box::new(move |ended| {
            let reporting = Rc::clone(&shard);
            shard.spawn(async move {
                match ended {
                    ReadEnd::Right => reporting.verified(verdict(id, &original, true)).await,
                    ReadEnd::Wrong => reporting.verified(verdict(id, &original, false)).await,
                    ReadEnd::Unreadable(error) => reporting.unreadable(id, error).await,
                }
            });
        })
    }

    fn keep_own(&self, id: ObjectId, own: OwnOriginal) -> OriginalBody {
        let OwnOriginal { stored, bytes } = own;
        let bytes = match bytes {
            OwnBytes::None => OriginalBytes::None,
            OwnBytes::Whole(bytes) => OriginalBytes::Entry(self.keep(id, &stored, bytes)),
            OwnBytes::Part(part) => OriginalBytes::Part(part),
        };
        OriginalBody { stored, bytes, cache: Cache::Disk }
    }

    fn relay(
        &self,
        id: ObjectId,
        format: Format,
        fetched: Fetched,
        select: &impl Fn(&StoredMetadata) -> Part,
    ) -> Result<OriginalBody, ReadError> {
        let Fetched { stored, body } = fetched;
        if stored.format != format {
            return Err(ReadError::OtherFormat);
        }
        let bytes = match (body, select(&stored)) {
            (FetchedBody::Whole(bytes), _) => OriginalBytes::Entry(self.keep(id, &stored, bytes)),
            (FetchedBody::Stream(_), Part::Metadata) => OriginalBytes::None,
            (FetchedBody::Stream(stream), Part::Whole) => {
                OriginalBytes::Relay(RelayBody::new(stream, 0, stored.length))
            }
            (FetchedBody::Stream(stream), Part::Range(start, end)) => {
                OriginalBytes::Relay(RelayBody::new(stream, start, end))
            }
        };
        Ok(OriginalBody { stored, bytes, cache: Cache::Peer })
    }

    /// Keeps all bytes of an image in the memory tier.
    fn keep(&self, id: ObjectId, stored: &StoredMetadata, bytes: Bytes) -> Arc<CachedResponse> {
        let entry = CachedResponse::new(bytes, stored.format, &cache::stored_etag(id), stored.uploaded);
        self.insert_cached(cache::stored_key(id, stored.format), &entry);
        entry
    }

    /// The worth of an error of this node's own copy where absence is to be proven.
    fn said_of(&self, error: &ReadError) -> LookupReply {
        match error {
            ReadError::NotFound(NotFound::Absent) => self.said_here(&Ok(Found::Absent)),
            ReadError::Damaged => self.said_here(&Ok(Found::Damaged)),
            _ => LookupReply::Unknown,
        }
    }
}

/// Format, length and upload time of a stored file.
pub fn metadata_of(original: &Original) -> StoredMetadata {
    let Original { format, length, modified, .. } = *original;
    StoredMetadata { format, length, uploaded: modified }
}

fn verdict(id: ObjectId, original: &Original, right: bool) -> Verified {
    Verified { id, format: original.format, stamp: original.stamp, right }
}
