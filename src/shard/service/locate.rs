//! Whether an image is somewhere, or nowhere.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::super::Shard;
use super::super::errors::{NotFound, ReadError};
use super::STARTED;
use super::driver::{Work, drive};
use super::read::PATIENCE;
use crate::cluster::protocol::locate::absence::LookupReply;
use crate::cluster::protocol::locate::{self, Locate, LocateEffect, LocateOutcome, WantedImage};
use crate::cluster::view::View;
use crate::object::ObjectId;
use crate::store::StoreError;
use crate::store::originals::Found;

impl Shard {
    /// This node's reply to a search for an image: only "no such file" counts as absent, and a damaged copy proves
    /// nothing.
    pub fn said_here(&self, found: &Result<Found, StoreError>) -> LookupReply {
        match found {
            Ok(Found::Here(_)) => LookupReply::Present,
            Ok(Found::Absent) => LookupReply::Absent(self.view().trusted_to()),
            Ok(Found::Damaged) => LookupReply::Absent(None),
            Err(_) => LookupReply::Unknown,
        }
    }

    /// Whether this node has an image, by the disk's word.
    pub async fn presence(self: &Rc<Self>, id: ObjectId) -> LookupReply {
        if self.node.erasures.is_gone(&id) {
            return LookupReply::Gone;
        }
        match self.look(id).await {
            Ok(found) => self.said_here(&found),
            Err(_) => LookupReply::Unknown,
        }
    }

    /// Whether the image is anywhere.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn require_image(self: &Rc<Self>, id: ObjectId) -> Result<(), ReadError> {
        self.refuse_gone(&id)?;
        let found = match self.with_patience(PATIENCE, self.look(id)).await {
            Some(found) => found?,
            None => Err(StoreError::Late("look for an image")),
        };
        match found {
            Ok(Found::Here(_)) => Ok(()),
            found if !self.is_whole_cluster() => {
                self.locate(id, self.said_here(&found)).await?;
                // A disk that takes its time is no lack.
                if !matches!(found, Err(StoreError::Late(_))) {
                    self.note_lack(id);
                }
                Ok(())
            }
            Ok(Found::Absent) => Err(NotFound::Absent.into()),
            Ok(Found::Damaged) => Err(ReadError::Damaged),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether an image that is not here is on any other node.
    ///
    /// # Errors
    /// [`NotFound`]
    async fn locate(self: &Rc<Self>, id: ObjectId, here: LookupReply) -> Result<(), NotFound> {
        self.need_cluster()?;
        let mut conclusion = None;
        let perform = |view: &Arc<View>, effect| -> Option<Work<'_, LocateOutcome>> {
            let view = Arc::clone(view);
            match effect {
                LocateEffect::Ask { node, within_ms } => Some(Box::pin(async move {
                    let within = Duration::from_millis(within_ms);
                    LocateOutcome::Replied(node, self.look_up(&view, node, id, within).await)
                })),
                LocateEffect::Conclude(found) => {
                    assert!(conclusion.is_none(), "invariant: locate: a search is concluded once");
                    conclusion = Some(found);
                    None
                }
            }
        };
        drive(self, Locate::new(WantedImage { id, here, started: STARTED }), perform).await;
        let conclusion = conclusion.expect("invariant: locate: a search that has ended is concluded");
        conclusion.map(drop).map_err(|not_found| self.not_found(not_found))
    }

    /// The error for an image that was not found, by this node's own part in it.
    pub(super) fn not_found(&self, not_found: locate::NotFound) -> NotFound {
        match not_found {
            locate::NotFound::Absent => NotFound::Absent,
            locate::NotFound::Gone => NotFound::Gone,
            locate::NotFound::Unproven if self.node.health.is_missing() => NotFound::StoreMissing,
            locate::NotFound::Unproven => NotFound::Unproven,
        }
    }
}
