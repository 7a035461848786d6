//! This node's own copy of an image that it should hold and lacks, or had a bad one of: taken from another node.

use std::rc::Rc;

use super::super::Shard;
use super::NotFound;
use super::read::{Fetched, FetchedBody};
use crate::cluster::rules::absence::LookupReply;
use crate::image::header::Limits;
use crate::object::ObjectId;
use crate::store::spool::SpoolError;

/// Bounds of a copy: the node that took the upload has judged it.
const LIMITS: Limits = Limits { pixels_max: u64::MAX, frames_max: u32::MAX };

impl Shard {
    /// Takes a copy from whoever has a good one. False: nobody gives one now.
    pub(super) async fn mend(self: &Rc<Self>, id: ObjectId) -> bool {
        // It would come whole and could not be kept.
        if self.node.health.trouble().is_some() {
            return false;
        }
        let fetched = match self.fetch(id, LookupReply::Absent(None)).await {
            Ok(fetched) => fetched,
            // It is gone everywhere: nothing is left to be done.
            Err(NotFound::Absent) => return true,
            Err(NotFound::Unproven | NotFound::StoreMissing | NotFound::NotJoined(_)) => return false,
        };
        let length = fetched.stored.length;
        match self.take_in(id, fetched).await {
            Ok(true) => {
                self.metrics.repaired.add();
                self.metrics.repair_bytes.add_many(length);
                log::info!(object:% = id; "has a good copy from another node");
                true
            }
            Ok(false) | Err(SpoolError::Refused(_) | SpoolError::Collision) => false,
            Err(SpoolError::Store(error)) => {
                self.node.health.note(&error);
                log::warn!(object:% = id, error:% = error; "cannot store a copy from another node");
                false
            }
        }
    }

    async fn take_in(self: &Rc<Self>, id: ObjectId, fetched: Fetched) -> Result<bool, SpoolError> {
        let mut spool = self.spools.begin(LIMITS).await.map_err(SpoolError::Store)?;
        match fetched.body {
            FetchedBody::Whole(bytes) => spool.append(&bytes).await?,
            FetchedBody::Stream(mut stream) => loop {
                match stream.next().await {
                    Ok(Some(bytes)) => spool.append(&bytes).await?,
                    Ok(None) => break,
                    // What is not proven to its end goes with the spool.
                    Err(_) => return Ok(false),
                }
                glommio::executor().yield_if_needed().await;
            },
        }
        spool.set_modified(fetched.stored.uploaded);
        let spooled = spool.finish().await?;
        if spooled.id != id {
            return Ok(false);
        }
        match self.publish(spooled, false).await {
            Ok(published) => published.map(|_| true).map_err(SpoolError::Store),
            Err(_) => Ok(false),
        }
    }
}
