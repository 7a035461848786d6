//! Sends gossip messages to peers, over the connections of the control executor.

use std::cell::{Cell, Ref, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use super::{ControlEvent, PeerRejection};
use crate::cluster::layout::LayoutHash;
use crate::cluster::node::{NodeId, NodeUrl};
use crate::peer::auth::AuthError;
use crate::peer::body::Outgoing;
use crate::peer::call::{self, Call, GIVEN};
use crate::peer::error::PeerError;
use crate::peer::pool::{Address, PeerAnswer, PeerRequest, Pool};
use crate::telemetry::metrics::{ChannelMessage, ChannelRefusal, channel};

/// An older message is of no use: the next one says the same, or better.
const SEND_TIMEOUT: Duration = Duration::from_secs(2);

/// Messages in flight to one node; a node that does not answer gets no more.
const IN_FLIGHT_MAX: usize = 8;

/// The gossip sender of this node.
pub(in crate::control) struct GossipSender {
    pool: Rc<Pool>,
    in_flight: Rc<InFlight>,
    events: flume::Sender<ControlEvent>,
    tried: Rc<RefCell<BTreeMap<NodeUrl, String>>>,
}

#[derive(Default)]
struct InFlight {
    by_url: RefCell<HashMap<NodeUrl, usize>>,
    all: Cell<usize>,
}

impl GossipSender {
    pub(in crate::control) fn new(pool: Rc<Pool>, events: flume::Sender<ControlEvent>) -> Self {
        Self { pool, in_flight: Rc::default(), events, tried: Rc::default() }
    }

    /// Sends a message without waiting. An undeliverable message is lost; a rejection that an operator has to mend is
    /// reported.
    pub(super) fn send(&self, url: &NodeUrl, node: Option<NodeId>, layout: LayoutHash, bytes: Vec<u8>) {
        let Some(slot) = SendSlot::try_acquire(&self.in_flight, url) else { return };
        let (pool, events, tried) = (Rc::clone(&self.pool), self.events.clone(), Rc::clone(&self.tried));
        glommio::spawn_local(async move {
            let to = Address { url: slot.url.clone(), node };
            let request =
                PeerRequest { call: Call::Gossip, layout, body: Outgoing::Bytes(Bytes::from(bytes)) };
            let answer = pool.ask(&to, request, SEND_TIMEOUT).await;
            if to.node.is_none() {
                // The list of the configuration, which is short.
                tried.borrow_mut().insert(to.url.clone(), outcome(&answer));
            }
            match answer {
                Ok(answer) if answer.status == GIVEN => {
                    if let Some(refusal) = call::read_rejection(answer.metadata()) {
                        // Lost when the channel is full: the peer says it again.
                        ControlEvent::JoinRefused(refusal).post(&events);
                    }
                }
                Ok(answer) => log::debug!(url:% = to.url, status = answer.status; "a peer did not accept a gossip message"),
                Err(error) => {
                    log::debug!(url:% = to.url, error:? = error; "a gossip message was not delivered");
                    if let Some(rejection) = rejection(error, to.node.is_none()) {
                        // When the channel is full, enough is reported already.
                        ControlEvent::PeerRejected(rejection, to.url).post(&events);
                    }
                }
            }
            drop(slot);
        })
        .detach();
    }

    /// The URLs of the configuration that this node has asked to join, each with what came of it last.
    pub(super) fn tried(&self) -> Ref<'_, BTreeMap<NodeUrl, String>> {
        self.tried.borrow()
    }

    /// Whether no message is in flight.
    pub(super) fn is_delivered(&self) -> bool {
        self.in_flight.all.get() == 0
    }
}

/// The outcome of asking a node, in a few words.
fn outcome(answer: &Result<PeerAnswer, PeerError>) -> String {
    match answer {
        Ok(answer) if answer.status == GIVEN => match call::read_rejection(answer.metadata()) {
            Some(_) => "it refuses this node".to_owned(),
            None => "it answers, and has not let this node join yet".to_owned(),
        },
        Ok(answer) => format!("it answers with status {}", answer.status),
        Err(error) => error.to_string(),
    }
}

/// The rejections that an operator has to mend, at least while this node belongs to no cluster. Others come and go on
/// any network.
fn rejection(error: PeerError, is_of_join_list: bool) -> Option<PeerRejection> {
    match error {
        PeerError::Refused(Some(AuthError::Cluster)) | PeerError::Untrusted(AuthError::Cluster) => {
            Some(PeerRejection::ForeignCluster)
        }
        // A node without a secret believes nobody and names no cause.
        PeerError::Refused(Some(AuthError::Proof) | None) | PeerError::Untrusted(AuthError::Proof) => {
            Some(PeerRejection::WrongSecret)
        }
        PeerError::Unreachable | PeerError::Late if is_of_join_list => Some(PeerRejection::Unanswered),
        _ => None,
    }
}

/// One message in flight; dropping it frees the slot.
struct SendSlot {
    in_flight: Rc<InFlight>,
    url: NodeUrl,
}

impl SendSlot {
    fn try_acquire(in_flight: &Rc<InFlight>, url: &NodeUrl) -> Option<Self> {
        let mut by_url = in_flight.by_url.borrow_mut();
        let count = by_url.entry(url.clone()).or_default();
        if *count == IN_FLIGHT_MAX {
            channel::count_refused(ChannelMessage::OwnGossip, ChannelRefusal::Full);
            return None;
        }
        *count += 1;
        in_flight.all.set(in_flight.all.get() + 1);
        Some(Self { in_flight: Rc::clone(in_flight), url: url.clone() })
    }
}

impl Drop for SendSlot {
    fn drop(&mut self) {
        self.in_flight.all.set(self.in_flight.all.get() - 1);
        let mut by_url = self.in_flight.by_url.borrow_mut();
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
    fn a_node_that_does_not_answer_gets_no_more_messages_and_others_do() {
        let in_flight = Rc::default();
        let [one, other] = ["http://a:1", "http://b:1"].map(|text| NodeUrl::parse(text).unwrap());
        let slots: Vec<_> =
            (0..IN_FLIGHT_MAX).map(|_| SendSlot::try_acquire(&in_flight, &one).unwrap()).collect();
        assert!(SendSlot::try_acquire(&in_flight, &one).is_none());
        assert!(SendSlot::try_acquire(&in_flight, &other).is_some());
        drop(slots);
        assert!(SendSlot::try_acquire(&in_flight, &one).is_some());
        assert_eq!((in_flight.all.get(), in_flight.by_url.borrow().len()), (0, 0));
    }
}
