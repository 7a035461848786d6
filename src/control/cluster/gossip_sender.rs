//! Letters to other nodes, over the connections of the control executor.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use super::{ControlEvent, PeerRejection};
use crate::cluster::layout::LayoutHash;
use crate::cluster::node::{NodeId, NodeUrl};
use crate::peer::auth::Refusal;
use crate::peer::body::Outgoing;
use crate::peer::call::{self, Call, GIVEN};
use crate::peer::pool::{Address, PeerError, Pool, Request};

/// A letter that is older is of no use: the next one says the same, or better.
const WITHIN: Duration = Duration::from_secs(2);

/// Letters on their way to one node; one that does not answer gets no more.
const UNDER_WAY_MAX: usize = 8;

/// The letters of one node.
pub(in crate::control) struct Post {
    pool: Rc<Pool>,
    under_way: Rc<UnderWay>,
    events: flume::Sender<ControlEvent>,
}

#[derive(Default)]
struct UnderWay {
    by_url: RefCell<HashMap<NodeUrl, usize>>,
    all: Cell<usize>,
}

impl Post {
    pub(in crate::control) fn new(pool: Rc<Pool>, events: flume::Sender<ControlEvent>) -> Self {
        Self { pool, under_way: Rc::default(), events }
    }

    /// Sends a letter. Does not wait; what cannot be delivered is lost, and a cause that an operator has to mend is
    /// reported.
    pub(super) fn send(&self, url: &NodeUrl, node: Option<NodeId>, layout: LayoutHash, bytes: Vec<u8>) {
        let Some(turn) = Turn::take(&self.under_way, url) else { return };
        let (pool, events) = (Rc::clone(&self.pool), self.events.clone());
        glommio::spawn_local(async move {
            let to = Address { url: turn.url.clone(), node };
            let request = Request { call: Call::Gossip, layout, body: Outgoing::Bytes(Bytes::from(bytes)) };
            match pool.ask(&to, request, WITHIN).await {
                Ok(answer) if answer.status == GIVEN => {
                    if let Some(refusal) = call::read_rejection(answer.metadata()) {
                        // Lost when there is no room: it is said again.
                        let _ = events.try_send(ControlEvent::JoinRefused(refusal));
                    }
                }
                Ok(answer) => log::debug!(url:% = to.url, status = answer.status; "a letter was not taken"),
                Err(error) => {
                    log::debug!(url:% = to.url, error:? = error; "a letter is lost");
                    if let Some(rejection) = rejection(error, to.node.is_none()) {
                        // When there is no room, as much has been said already.
                        let _ = events.try_send(ControlEvent::PeerRejected(rejection));
                    }
                }
            }
            drop(turn);
        })
        .detach();
    }

    /// Whether nothing is on its way.
    pub(super) fn is_delivered(&self) -> bool {
        self.under_way.all.get() == 0
    }
}

/// What an operator has to mend, at least while this node belongs to no cluster. The rest comes and goes on any network.
fn rejection(error: PeerError, is_of_join_list: bool) -> Option<PeerRejection> {
    match error {
        PeerError::Refused(Some(Refusal::Cluster)) | PeerError::Untrusted(Refusal::Cluster) => {
            Some(PeerRejection::ForeignCluster)
        }
        // A node without a secret believes nobody and names no cause.
        PeerError::Refused(Some(Refusal::Proof) | None) | PeerError::Untrusted(Refusal::Proof) => {
            Some(PeerRejection::WrongSecret)
        }
        PeerError::Unreachable | PeerError::Late if is_of_join_list => Some(PeerRejection::Unanswered),
        _ => None,
    }
}

/// One letter under way; dropping it makes room for another.
struct Turn {
    under_way: Rc<UnderWay>,
    url: NodeUrl,
}

impl Turn {
    fn take(under_way: &Rc<UnderWay>, url: &NodeUrl) -> Option<Self> {
        let mut by_url = under_way.by_url.borrow_mut();
        let count = by_url.entry(url.clone()).or_default();
        if *count == UNDER_WAY_MAX {
            return None;
        }
        *count += 1;
        under_way.all.set(under_way.all.get() + 1);
        Some(Self { under_way: Rc::clone(under_way), url: url.clone() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.under_way.all.set(self.under_way.all.get() - 1);
        let mut by_url = self.under_way.by_url.borrow_mut();
        match by_url.get_mut(&self.url) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(by_url.remove(&self.url)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_takes_no_letters_gets_no_more_and_others_do() {
        let under_way = Rc::default();
        let [one, other] = ["http://a:1", "http://b:1"].map(|text| NodeUrl::parse(text).unwrap());
        let turns: Vec<_> = (0..UNDER_WAY_MAX).map(|_| Turn::take(&under_way, &one).unwrap()).collect();
        assert!(Turn::take(&under_way, &one).is_none());
        assert!(Turn::take(&under_way, &other).is_some());
        drop(turns);
        assert!(Turn::take(&under_way, &one).is_some());
        assert_eq!((under_way.all.get(), under_way.by_url.borrow().len()), (0, 0));
    }
}
