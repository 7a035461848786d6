//! What an image looks like at a glance, on the shard that owns it: kept among its variants, learnt once a first
//! variant was made and the resize worker has nothing else to do.

use std::rc::Rc;

use super::Shard;
use super::cache::CachedResponse;
use super::pre_generation::PreGeneration;
use super::variant::{VariantError, etag};
use super::worker::ResizeWork;
use crate::image::facts::{self, Facts};
use crate::object::ObjectId;
use crate::peer::requester::Requester;
use crate::store::originals::{Found, Original};
use crate::store::variants::Kept;

impl Shard {
    /// The facts, if they are known. They are part of the disposable cache: what it cannot give is unknown.
    pub(super) async fn local_placeholder(&self, id: &ObjectId) -> Option<Facts> {
        match self.originals.find(id).await {
            Ok(Found::Here(original)) => self.cached_placeholder(id, &original).await,
            Ok(Found::Absent | Found::Damaged) | Err(_) => None,
        }
    }

    async fn cached_placeholder(&self, id: &ObjectId, original: &Original) -> Option<Facts> {
        let key = facts::key(id);
        if let Some(entry) = self.memory_cache.get(&(*id, key), true) {
            return Facts::from_bytes(&entry.bytes);
        }
        let bytes = match self.variants.open(id, &key, original.format, true).await {
            Ok(Some(Kept::Bytes(bytes))) => bytes,
            // Facts are short: a long file is none of ours.
            Ok(Some(Kept::File(..)) | None) => return None,
            Err(error) => {
                log::warn!(object:% = id, error:% = error; "a placeholder in cache/ cannot be read, so it is made again; check that disk");
                return None;
            }
        };
        let facts = Facts::from_bytes(&bytes)?;
        let entry = CachedResponse::new(bytes, original.format, &etag(&key), original.modified);
        self.insert_into_cache((*id, key), &entry, true);
        Some(facts)
    }

    /// A variant of this image was made: its facts are worth knowing.
    pub(super) fn request_placeholder(self: &Rc<Self>, id: ObjectId) {
        let noted = || {
            self.pre_generation
                .borrow()
                .iter()
                .any(|item| matches!(item, PreGeneration::Placeholder(noted) if *noted == id))
        };
        if self.memory_cache.get(&(id, facts::key(&id)), true).is_none() && !noted() {
            self.pre_generate(PreGeneration::Placeholder(id));
        }
    }

    /// Learns the facts of an image, unless they are known.
    pub(super) async fn make_placeholder(self: &Rc<Self>, id: &ObjectId) -> Result<(), VariantError> {
        let original = match self.originals.find(id).await {
            Ok(Found::Here(original)) => original,
            Ok(Found::Absent) => return Err(VariantError::Absent),
            Ok(Found::Damaged) => return Err(VariantError::Damaged),
            Err(error) => return Err(error.into()),
        };
        let key = (*id, facts::key(id), original.format);
        if self.cached_placeholder(id, &original).await.is_some() || self.in_flight_job(&key).is_some() {
            return Ok(());
        }
        let in_flight = self.enqueue(ResizeWork::Placeholder, key, &original, Requester::Background)?;
        self.wait(key, in_flight, Requester::Background).await.map(drop)
    }
}
