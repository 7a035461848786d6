//! Placeholders (ThumbHash and average colour), on the shard that holds the id. A placeholder is cached among the
//! variants. It is made after a first variant, when the resize worker has nothing else to do.

use std::rc::Rc;

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

    /// A variant of this image was made, so its placeholder is worth making.
    pub(in crate::shard) fn request_placeholder(self: &Rc<Self>, id: ObjectId) {
        if !self.cache.has_placeholder(&id) && !self.resize.pre_generation.has_placeholder(&id) {
            self.pre_generate(PreGeneration::Placeholder(id));
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
