//! Placeholders (ThumbHash and average colour), on the shard that holds the id. A placeholder is cached among the
//! variants. The job for a first variant leaves the small picture that it is made of, and the worker makes it once the
//! variant is posted. Where the job decodes too little for that, a job of its own makes it, when the resize worker has
//! nothing else to do.

use std::rc::Rc;

use bytes::Bytes;

use super::in_flight::InFlightJob;
use super::pre_generation::PreGeneration;
use crate::image::placeholder::{self, Placeholder};
use crate::object::ObjectId;
use crate::peer::requester::Requester;
use crate::shard::Shard;
use crate::shard::job::ResizeWork;
use crate::shard::variant::VariantError;
use crate::store::originals::Original;

impl Shard {
    /// The placeholder, if it is known. It is part of the disposable cache: what cannot be read there is unknown.
    pub(in crate::shard) async fn local_placeholder(&self, id: &ObjectId) -> Option<Placeholder> {
        let original = self.find_original(id).await.ok()?;
        self.cached_placeholder(id, &original).await
    }

    async fn cached_placeholder(&self, id: &ObjectId, original: &Original) -> Option<Placeholder> {
        self.cache.find_placeholder(id, original.format, original.modified).await
    }

    /// Whether the placeholder is not in memory, and nothing is under way that makes it. The worker looks on disk.
    pub(super) fn wants_placeholder(&self, id: &ObjectId) -> bool {
        !self.cache.has_placeholder(id)
            && !self.resize.pre_generation.has_placeholder(id)
            && !self.resize.will_leave_placeholder(id)
    }

    /// A variant of this image was made, so its placeholder is worth a job of its own.
    pub(super) fn request_placeholder(self: &Rc<Self>, id: ObjectId) {
        if !self.cache.has_placeholder(&id) && !self.resize.pre_generation.has_placeholder(&id) {
            self.pre_generate(PreGeneration::Placeholder(id));
        }
    }

    /// The job for a variant, which was to leave the placeholder, has left it or not.
    pub(super) fn take_placeholder(self: &Rc<Self>, in_flight: &InFlightJob, placeholder: Option<&Bytes>) {
        let id = in_flight.key.0;
        match placeholder {
            Some(bytes) => {
                let name = (id, placeholder::key(&id), in_flight.source);
                // Where memory has no room, it is on disk.
                let _ = self.cache.insert_made(name, bytes, in_flight.modified);
            }
            None => self.request_placeholder(id),
        }
    }

    /// Makes the placeholder of an image, unless it is known.
    pub(super) async fn make_placeholder(self: &Rc<Self>, id: &ObjectId) -> Result<(), VariantError> {
        let original = self.find_original(id).await?;
        let key = (*id, placeholder::key(id), original.format);
        if self.cached_placeholder(id, &original).await.is_some() || self.resize.in_flight_job(&key).is_some()
        {
            return Ok(());
        }
        let in_flight = self.enqueue(ResizeWork::Placeholder, key, &original, Requester::Background)?;
        self.wait(&in_flight, Requester::Background).await.map(drop)
    }
}
