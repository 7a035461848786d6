//! A variant of an image, wherever that is: made once in the cluster.
//!
//! The protocol decides who makes it ([`Variant`](protocol::Variant)); here is only the work, and the one question that
//! all who want the same at this node share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_lite::future;

use super::super::Shard;
use super::super::cache::{CacheKey, CachedResponse};
use super::super::errors::NotFound;
use super::super::latch::Latch;
use super::super::rate::TooFast;
use super::super::variant::{Variant, VariantBody, VariantError, etag};
use super::STARTED;
use super::driver::{Work, drive};
use super::gate::{Full, Gate};
use crate::cluster::node::NodeId;
use crate::cluster::protocol::locate::absence::LookupReply;
use crate::cluster::protocol::variant::{
    self as protocol, Made, VariantEffect, VariantFailure, VariantOutcome, WantedVariant,
};
use crate::cluster::view::View;
use crate::peer::call::{self, Call, StoredMetadata, VariantCall};
use crate::peer::erasure::read_record;
use crate::peer::error::PeerError;
use crate::peer::pool::StreamedAnswer;
use crate::peer::stream::Stream;
use crate::shard::variant::VariantRequest;
use crate::telemetry::metrics::{Cache, Stage};

/// Variants up to this length are taken whole, and shared by all who wait for them here.
const WHOLE_BYTES_MAX: u64 = 8 << 20;

/// Bytes of a refusal's text.
const REFUSAL_BYTES_MAX: usize = 16 << 10;

/// A variant as found or made, here or elsewhere.
#[derive(Debug)]
pub enum FoundVariant {
    /// By this node.
    Here(Variant),
    /// By another; in memory, ready to be sent.
    Ready(Arc<CachedResponse>, Cache),
    /// By another; a long one, proven as it comes.
    Stream(StoredMetadata, Box<Stream>),
}

/// A question to other nodes that is under way, and those who wait for the same.
#[derive(Debug, Default)]
pub(in crate::shard) struct Asking {
    ended: Latch,
    outcome: RefCell<Option<Result<Shared, VariantError>>>,
}

/// A result that can be given to every waiter.
#[derive(Clone, Debug)]
enum Shared {
    Entry(Arc<CachedResponse>),
    /// Too long for memory: it is made now, and each asks for it.
    Long,
}

/// Ends a question, whatever happened to its asker.
struct Leader<'a> {
    shard: &'a Shard,
    key: CacheKey,
    asking: Rc<Asking>,
}

/// The result of asking one node.
enum Attempt {
    Given(FoundVariant),
    /// No other node would do better.
    Failed(VariantError),
    Nothing(Made),
}

/// A request that is being answered.
struct Making<'a> {
    shard: &'a Rc<Shard>,
    ask: &'a VariantRequest,
    /// Since when the owners are asked.
    asking_since: Cell<Option<Instant>>,
    leader: RefCell<Option<Leader<'a>>>,
    /// What nodes gave or failed with, until the protocol says which of it is the answer.
    attempts: RefCell<Vec<(NodeId, Result<FoundVariant, VariantError>)>>,
    answer: RefCell<Option<Result<FoundVariant, VariantError>>>,
}

impl Shard {
    /// The variant, from wherever it is or can be made.
    ///
    /// # Errors
    /// [`VariantError`]
    pub async fn read_variant(self: &Rc<Self>, ask: VariantRequest) -> Result<FoundVariant, VariantError> {
        self.refuse_gone(&ask.id).map_err(VariantError::NotFound)?;
        let within = self.node.settings.resize_deadline.as_millis();
        let within_ms = u64::try_from(within).unwrap_or(u64::MAX);
        let machine = protocol::Variant::new(WantedVariant { id: ask.id, within_ms, started: STARTED });
        let making = Making {
            shard: self,
            ask: &ask,
            asking_since: Cell::default(),
            leader: RefCell::default(),
            attempts: RefCell::default(),
            answer: RefCell::default(),
        };
        drive(self, machine, |view, effect| making.perform(view, effect)).await;
        let answer = making.answer.take().expect("invariant: variant: a request that has ended is answered");
        if let Some(leader) = making.leader.take() {
            leader.share(&answer);
        }
        answer
    }

    /// Variants that will be asked for: made when there is nothing else to do, where they would be asked for.
    pub async fn request_variants(self: &Rc<Self>, asks: Vec<VariantRequest>) {
        if !self.has_peers() {
            for ask in asks {
                self.request_pre_generation(ask).await;
            }
            return;
        }
        let shard = Rc::clone(self);
        self.spawn(async move {
            for ask in asks {
                // A hint is no promise.
                let _ = shard.read_variant(ask).await;
            }
        });
    }

    /// `has_others`: whether another node could do where this one cannot.
    async fn made_here(self: &Rc<Self>, ask: &VariantRequest, has_others: bool) -> Attempt {
        // A job that waits for a disk that does not answer would be late everywhere.
        if has_others && self.node.health.is_hung() {
            return Attempt::Nothing(Made::Hung);
        }
        let without = |reply| Attempt::Nothing(Made::Without(reply));
        match self.variant(ask.clone()).await {
            Err(error) => Attempt::Failed(VariantError::Ask(error)),
            Ok(Ok(variant)) => Attempt::Given(FoundVariant::Here(variant)),
            Ok(Err(error @ VariantError::NotFound(NotFound::Gone))) => Attempt::Failed(error),
            Ok(Err(VariantError::NotFound(NotFound::Absent))) if has_others => {
                without(LookupReply::Absent(self.view().trusted_to()))
            }
            Ok(Err(VariantError::Damaged)) if has_others => without(LookupReply::Absent(None)),
            Ok(Err(VariantError::Disk(_) | VariantError::NotFound(_))) if has_others => {
                if self.node.health.is_hung() {
                    Attempt::Nothing(Made::Hung)
                } else {
                    without(LookupReply::Unknown)
                }
            }
            Ok(Err(VariantError::Busy | VariantError::NoDescriptor)) if has_others => {
                Attempt::Nothing(Made::Busy)
            }
            Ok(Err(error)) => Attempt::Failed(error),
        }
    }

    /// The way for questions to a node. Where nobody is on it, it is forgotten.
    fn gate(&self, node: NodeId) -> Rc<Gate> {
        let mut gates = self.peers.gates.borrow_mut();
        gates.retain(|other, gate| *other == node || !gate.is_idle());
        Rc::clone(gates.entry(node).or_insert_with(|| Gate::new(self.node.settings.resize_queue)))
    }

    async fn made_by(
        self: &Rc<Self>,
        view: &View,
        node: NodeId,
        ask: &VariantRequest,
        within: Duration,
    ) -> Attempt {
        const NOTHING: Attempt = Attempt::Nothing(Made::Without(LookupReply::Unknown));
        let VariantRequest { id, recipe, key, requester } = ask;
        let (text, dimension_max) = (recipe.key(), recipe.dimension_max);
        let call = VariantCall { id: *id, recipe: text, dimension_max, requester: *requester };
        let waited = Instant::now();
        let late = || Attempt::Failed(VariantError::Deadline);
        // Held until the body has come, if it is taken whole.
        let gate = self.gate(node);
        let asked = async {
            let pass = gate.enter(*requester).await.map_err(|Full| Attempt::Nothing(Made::Busy))?;
            let left = within.saturating_sub(waited.elapsed());
            match self.open_afar(view, node, Call::Variant(call), left).await {
                Ok(opened) => Ok((opened, pass)),
                Err(PeerError::Late) => Err(late()),
                Err(_) => Err(NOTHING),
            }
        };
        let asked = future::or(asked, async {
            glommio::timer::sleep(within).await;
            Err(late())
        });
        let (mut opened, _pass) = match asked.await {
            Ok(asked) => asked,
            Err(attempt) => return attempt,
        };
        let (record, reply) = (read_record(opened.metadata()), call::read_presence(opened.metadata()));
        if self.heard(*id, record, reply).await == LookupReply::Gone {
            return Attempt::Nothing(Made::Without(LookupReply::Gone));
        }
        if opened.status != call::GIVEN {
            return refusal(opened).await;
        }
        let Some(stored) = StoredMetadata::parse(opened.metadata()) else { return NOTHING };
        let is_long = stored.length > WHOLE_BYTES_MAX;
        let charge = if is_long { None } else { self.node.bodies.reserve(stored.length) };
        let Some(charge) = charge else {
            if !opened.body.stand_aside() {
                return Attempt::Nothing(Made::Busy);
            }
            return Attempt::Given(FoundVariant::Stream(stored, opened.body));
        };
        match opened.body.collect(WHOLE_BYTES_MAX as usize).await {
            Ok(bytes) => {
                let entry =
                    CachedResponse::new(charge.hold(bytes), stored.format, &etag(key), stored.uploaded);
                Attempt::Given(FoundVariant::Ready(entry, Cache::Peer))
            }
            Err(_) => NOTHING,
        }
    }
}

impl<'a> Making<'a> {
    fn perform<'b>(&'b self, view: &Arc<View>, effect: VariantEffect) -> Option<Work<'b, VariantOutcome>> {
        let (view, this) = (Arc::clone(view), view.this());
        let Self { shard, ask, .. } = self;
        match effect {
            VariantEffect::MakeHere { has_others } => Some(Box::pin(async move {
                let attempt = shard.made_here(ask, has_others).await;
                self.keep(this, attempt)
            })),
            VariantEffect::LookHere => Some(Box::pin(async move {
                let attempt = match shard.kept_variant((*ask).clone()).await {
                    Ok(None) => return VariantOutcome::NotKept,
                    Ok(Some(kept)) => Attempt::Given(FoundVariant::Here(kept)),
                    Err(error) => Attempt::Failed(VariantError::Ask(error)),
                };
                self.keep(this, attempt)
            })),
            VariantEffect::Share => Some(Box::pin(self.share())),
            VariantEffect::MakeAt { node, within_ms } => Some(Box::pin(async move {
                let attempt = shard.made_by(&view, node, ask, Duration::from_millis(within_ms)).await;
                self.keep(node, attempt)
            })),
            VariantEffect::Ask { node, within_ms } => Some(Box::pin(async move {
                let within = Duration::from_millis(within_ms);
                VariantOutcome::Replied(node, shard.look_up(&view, node, ask.id, within).await)
            })),
            VariantEffect::Give { by, is_lacked } => {
                self.give(by, is_lacked);
                None
            }
            VariantEffect::Fail(failure) => {
                self.fail(failure);
                None
            }
        }
    }

    fn keep(&self, node: NodeId, attempt: Attempt) -> VariantOutcome {
        let (kept, made) = match attempt {
            Attempt::Given(variant) => (Ok(variant), Made::Given),
            Attempt::Failed(error) => (Err(error), Made::Failed),
            Attempt::Nothing(made) => return VariantOutcome::Made(node, made),
        };
        self.attempts.borrow_mut().push((node, kept));
        VariantOutcome::Made(node, made)
    }

    /// Waits for the request that asks for the same, or asks for all.
    async fn share(&self) -> VariantOutcome {
        let Self { shard, ask, .. } = self;
        let key = (ask.id, ask.key);
        loop {
            let under_way = shard.peers.asking.borrow().get(&key).cloned();
            let Some(asking) = under_way else { break };
            if let Err(error) = shard.charge(ask.requester) {
                return self.shared(Err(error));
            }
            shard.metrics.coalesced.add();
            asking.ended.wait().await;
            let outcome = asking.outcome.borrow().clone();
            match outcome {
                Some(Ok(Shared::Entry(entry))) => {
                    return self.shared(Ok(FoundVariant::Ready(entry, Cache::Coalesced)));
                }
                Some(Ok(Shared::Long)) => {
                    self.asking_since.set(Some(Instant::now()));
                    return VariantOutcome::Leading;
                }
                Some(Err(error)) => return self.shared(Err(error)),
                // That request has gone.
                None => {}
            }
        }
        *self.leader.borrow_mut() = Some(Leader::new(shard, key));
        self.asking_since.set(Some(Instant::now()));
        VariantOutcome::Leading
    }

    fn shared(&self, answer: Result<FoundVariant, VariantError>) -> VariantOutcome {
        self.answer_once(answer);
        VariantOutcome::Shared
    }

    fn take(&self, node: NodeId) -> Option<Result<FoundVariant, VariantError>> {
        let mut attempts = self.attempts.borrow_mut();
        let index = attempts.iter().position(|(from, _)| *from == node);
        index.map(|index| attempts.swap_remove(index).1)
    }

    fn give(&self, by: NodeId, is_lacked: bool) {
        let given = self.take(by).expect("invariant: variant: an answer that is given was made");
        if let Some(since) = self.asking_since.get() {
            self.shard.metrics.stage(Stage::Peer, since.elapsed());
        }
        if is_lacked {
            self.shard.note_lack(self.ask.id);
        }
        self.answer_once(given);
    }

    fn answer_once(&self, answer: Result<FoundVariant, VariantError>) {
        let before = self.answer.borrow_mut().replace(answer);
        assert!(before.is_none(), "invariant: variant: a request is answered once");
    }

    fn fail(&self, failure: VariantFailure) {
        let error = match failure {
            VariantFailure::Of(node) => {
                match self.take(node).expect("invariant: variant: a node that failed was asked") {
                    Err(error) => error,
                    Ok(_) => VariantError::Busy,
                }
            }
            VariantFailure::Busy => VariantError::Busy,
            VariantFailure::NotFound(not_found) => VariantError::NotFound(self.shard.not_found(not_found)),
            VariantFailure::NotJoined => {
                // It may have joined meanwhile: then whether there is an image is not known.
                let not_joined = self.shard.need_cluster().err().unwrap_or(NotFound::Unproven);
                VariantError::NotFound(not_joined)
            }
        };
        self.answer_once(Err(error));
    }
}

/// The meaning of a node's answer without a variant.
async fn refusal(opened: StreamedAnswer) -> Attempt {
    let (status, said) = (opened.status, call::read_presence(opened.metadata()));
    let too_fast = TooFast { retry_after_s: call::read_retry(opened.metadata()) };
    let without = |reply| Attempt::Nothing(Made::Without(reply));
    if said != LookupReply::Unknown {
        return without(said);
    }
    let Ok(text) = opened.body.collect(REFUSAL_BYTES_MAX).await else { return without(said) };
    let (kind, detail) = call::read_problem(&text);
    match (status, kind.as_str()) {
        (call::IMPOSSIBLE, _) => Attempt::Failed(VariantError::Elsewhere(detail)),
        (_, "deadline") => Attempt::Failed(VariantError::Deadline),
        (_, "busy") => Attempt::Nothing(Made::Busy),
        (_, "too-fast") => Attempt::Failed(VariantError::TooFast(too_fast)),
        _ => without(said),
    }
}

impl<'a> Leader<'a> {
    fn new(shard: &'a Shard, key: CacheKey) -> Self {
        let asking = Rc::<Asking>::default();
        let before = shard.peers.asking.borrow_mut().insert(key, Rc::clone(&asking));
        assert!(before.is_none(), "invariant: variant: one question for each variant");
        Self { shard, key, asking }
    }

    /// Gives those who wait what can be given to all.
    fn share(self, found: &Result<FoundVariant, VariantError>) {
        let shared = match found {
            Ok(FoundVariant::Ready(entry, _)) => Ok(Shared::Entry(Arc::clone(entry))),
            Ok(FoundVariant::Here(Variant { body: VariantBody::Ready(entry), .. })) => {
                Ok(Shared::Entry(Arc::clone(entry)))
            }
            Ok(FoundVariant::Here(_) | FoundVariant::Stream(..)) => Ok(Shared::Long),
            Err(error) => Err(error.clone()),
        };
        *self.asking.outcome.borrow_mut() = Some(shared);
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        let left = self.shard.peers.asking.borrow_mut().remove(&self.key);
        assert!(
            left.as_ref().is_some_and(|left| Rc::ptr_eq(left, &self.asking)),
            "invariant: variant: a leader ends its own question"
        );
        drop(left);
        self.asking.ended.set();
    }
}
