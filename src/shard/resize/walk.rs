//! Uploads without an end marker: whether all of the picture is there.

use std::rc::Rc;

use super::JobSource;
use crate::peer::requester::Requester;
use crate::shard::Shard;
use crate::shard::job::{ResizeError, ResizeWork, WALK_KEY};
use crate::shard::variant::VariantError;
use crate::store::spool::Spooled;

impl Shard {
    /// Walks over the data of an upload whose end was not found, in the turn of its client's variants.
    ///
    /// # Errors
    /// [`VariantError::Fault`] if the picture is not whole, or is too large to be walked over; others: try again.
    pub async fn require_whole(
        self: &Rc<Self>,
        spooled: &Spooled,
        requester: Requester,
    ) -> Result<(), VariantError> {
        let key = (spooled.id, WALK_KEY, spooled.header.format);
        self.charge(requester)?;
        let in_flight = match self.resize.in_flight_job(&key) {
            Some(in_flight) => in_flight,
            None => {
                let (_, modified) = spooled.open().await?;
                let (path, format) = (spooled.temporary.path().to_owned(), spooled.header.format);
                let source = JobSource { path, verified: None, format, modified };
                self.resize.enqueue(ResizeWork::Walk, key, source, requester)?
            }
        };
        match self.resize.wait(&in_flight, requester).await {
            Ok(_) if in_flight.is_done() => Ok(()),
            // The shard ended before it.
            Ok(_) => Err(VariantError::Busy),
            // It was another upload of the same bytes that was walked over, and its client has left.
            Err(ResizeError::Gone) => Err(VariantError::Busy),
            Err(fault) => Err(fault.into()),
        }
    }
}
