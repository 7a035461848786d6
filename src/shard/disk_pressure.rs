//! Disk pressure: when the disk has no room, the variant cache gives way first, and only then uploads are refused.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Shard;
use crate::store::health::DiskTrouble;

/// Between two looks whether the cache is to give way. Where an upload waits for it, its own shard looks at once.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The time that an upload waits for the cache to give way: for the other shards' next looks, and one at the disk.
const WAIT_MAX: Duration = Duration::from_secs(3);

/// Between two looks of an upload that waits.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

impl Shard {
    /// Has the variant cache make room for so many bytes above the reserve, if there is not enough. What is left of a
    /// disk that has no more is used all the same, until only the reserve is: see [`DiskTrouble::Full`].
    ///
    /// # Errors
    /// The disk's trouble, because of which nothing can be received.
    pub async fn make_room(&self, bytes: u64) -> Result<(), DiskTrouble> {
        let health = &self.node.health;
        let began = Instant::now();
        if !health.has_room(bytes) && health.trouble().is_none() {
            health.want_room(bytes);
        }
        while !health.has_room(bytes) && health.trouble().is_none() && began.elapsed() < WAIT_MAX {
            self.relieve_disk_pressure().await;
            glommio::timer::sleep(LOOK_AGAIN).await;
            if health.is_room_refused() {
                break;
            }
        }
        match health.trouble() {
            // With a full disk there is the reserve, for copies on their way to other nodes.
            Some(trouble @ (DiskTrouble::Hung | DiskTrouble::ReadOnly)) => Err(trouble),
            _ => Ok(()),
        }
    }

    /// Lets the cache give way whenever it is asked to, forever. Run one per shard.
    pub(super) async fn watch_disk_pressure(self: Rc<Self>) {
        while !self.lifecycle.stopping.is_set() {
            glommio::timer::sleep(LOOK_EVERY).await;
            self.relieve_disk_pressure().await;
        }
    }

    async fn relieve_disk_pressure(&self) {
        self.cache.relieve_pressure(&self.node.health, self.routing.shards()).await;
    }
}
