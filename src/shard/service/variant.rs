//! A variant of an image, wherever that is: made once in the cluster.
//!
//! Every node sends a cold request to the image's owners in placement order, so all come to the same one; there they
//! wait for one job, and here for one question. An owner that lacks the image, is busy or breaks off is passed over.
//! Nobody is asked beside another: what is slow would only be made twice.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use futures_lite::future;

use super::super::Shard;
use super::super::cache::{CacheKey, CachedResponse};
use super::super::latch::Latch;
use super::super::mesh::AskError;
use super::super::message::VariantRequest;
use super::super::rate::TooFast;
use super::super::variant::{Variant, VariantBody, VariantError, etag};
use super::NotFound;
use super::gate::{Full, Gate};
use crate::cluster::node::NodeId;
use crate::cluster::rules::absence::{AbsenceProof, LookupReply};
use crate::peer::body::Stream;
use crate::peer::call::{self, Call, StoredMetadata, VariantCall};
use crate::peer::pool::{PeerError, StreamedAnswer};
use crate::telemetry::metrics::{Cache, Stage};

/// Variants up to this length are taken whole, and shared by all who wait for them here.
const WHOLE_BYTES_MAX: u64 = 8 << 20;

/// Bytes of a refusal's text.
const REFUSAL_BYTES_MAX: usize = 16 << 10;

/// A variant as found or made, here or elsewhere.
#[derive(Debug)]
pub enum Anywhere {
    /// By this node.
    Here(Variant),
    /// By another; in memory, ready to be sent.
    Ready(Arc<CachedResponse>, Cache),
    /// By another; a long one, proven as it comes.
    Stream(StoredMetadata, Box<Stream>),
}

/// Why there is no variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnywhereError {
    /// Another shard of this node could not be asked.
    Ask(AskError),
    /// There is no image to make it of, as far as is known.
    NotFound(NotFound),
    /// There is an image, but it could not be made.
    Variant(VariantError),
}

/// A question to other nodes that is under way, and those who wait for the same.
#[derive(Debug, Default)]
pub(in crate::shard) struct Asking {
    ended: Latch,
    outcome: RefCell<Option<Result<Shared, AnywhereError>>>,
}

/// What can be given to everybody who waits.
#[derive(Clone, Debug)]
enum Shared {
    Entry(Arc<CachedResponse>),
    /// Too long for memory: it is made now, and each asks for it.
    Long,
}

/// Ends a question, whatever happened to whoever asked.
struct Leader<'a> {
    shard: &'a Shard,
    key: CacheKey,
    asking: Rc<Asking>,
}

/// What one node has to say to a request.
enum Word {
    Given(Anywhere),
    /// It has no good copy, or cannot tell.
    LookupReply(LookupReply),
    Busy,
    /// No other node would do better.
    Failed(AnywhereError),
}

impl Shard {
    /// The variant, from wherever it is or can be made.
    ///
    /// # Errors
    /// [`AnywhereError`]
    pub async fn variant_anywhere(self: &Rc<Self>, ask: VariantRequest) -> Result<Anywhere, AnywhereError> {
        if let Err(not_joined) = self.need_cluster() {
            return match self.made_here(&ask, true).await {
                Word::Given(found) => Ok(found),
                Word::Failed(error) => Err(error),
                Word::Busy => Err(AnywhereError::Variant(VariantError::Busy)),
                Word::LookupReply(_) => Err(AnywhereError::NotFound(not_joined)),
            };
        }
        self.meet_owners(&ask.id).await;
        let view = self.view();
        let first = view.owners(&ask.id).into_iter().find(|node| view.is_alive(*node));
        if first.is_none_or(|node| node == view.this()) {
            // Alone, or the one to which the others come: as if there were nobody else.
            match self.made_here(&ask, self.has_peers()).await {
                Word::Given(found) => return Ok(found),
                Word::Failed(error) => return Err(error),
                Word::LookupReply(_) | Word::Busy => {}
            }
        } else if let Some(kept) = self.kept_variant(ask.clone()).await.map_err(AnywhereError::Ask)? {
            return Ok(Anywhere::Here(kept));
        }
        self.shared(ask).await
    }

    /// Variants that will be asked for: made when there is nothing else to do, where they would be asked for.
    pub async fn ahead_anywhere(self: &Rc<Self>, asks: Vec<VariantRequest>) {
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
                let _ = shard.variant_anywhere(ask).await;
            }
        });
    }

    /// One of those who want the same asks for all.
    async fn shared(self: &Rc<Self>, ask: VariantRequest) -> Result<Anywhere, AnywhereError> {
        let key = (ask.id, ask.key);
        loop {
            let under_way = self.asking.borrow().get(&key).cloned();
            let Some(asking) = under_way else { break };
            self.charge(ask.requester).map_err(AnywhereError::Variant)?;
            self.metrics.coalesced.add();
            asking.ended.wait().await;
            let outcome = asking.outcome.borrow().clone();
            match outcome {
                Some(Ok(Shared::Entry(entry))) => return Ok(Anywhere::Ready(entry, Cache::Coalesced)),
                Some(Ok(Shared::Long)) => return self.made_by_owners(&ask).await,
                Some(Err(error)) => return Err(error),
                // Whoever asked has gone.
                None => {}
            }
        }
        let leader = Leader::new(self, key);
        let found = self.made_by_owners(&ask).await;
        let shared = match &found {
            Ok(Anywhere::Ready(entry, _)) => Ok(Shared::Entry(Arc::clone(entry))),
            Ok(Anywhere::Here(Variant { body: VariantBody::Ready(entry), .. })) => {
                Ok(Shared::Entry(Arc::clone(entry)))
            }
            Ok(Anywhere::Here(_) | Anywhere::Stream(..)) => Ok(Shared::Long),
            Err(error) => Err(error.clone()),
        };
        *leader.asking.outcome.borrow_mut() = Some(shared);
        found
    }

    async fn made_by_owners(self: &Rc<Self>, ask: &VariantRequest) -> Result<Anywhere, AnywhereError> {
        let started = Instant::now();
        let view = self.view();
        let mut nodes: Vec<_> =
            view.owners(&ask.id).into_iter().filter(|node| view.is_alive(*node)).collect();
        if !nodes.contains(&view.this()) {
            // It may hold a copy in place of an owner.
            nodes.push(view.this());
        }
        let (mut search, mut is_busy, mut is_lacked) = (AbsenceProof::new(ask.id), false, false);
        for node in nodes {
            match self.made_by(node, ask, started).await {
                Word::Given(found) => {
                    self.metrics.stage(Stage::Peer, started.elapsed());
                    if is_lacked {
                        self.note_lack(ask.id);
                    }
                    return Ok(found);
                }
                Word::LookupReply(said) => {
                    is_lacked |= node == view.this() && !self.node.health.is_hung();
                    search.record(node, said);
                }
                Word::Busy => is_busy = true,
                Word::Failed(error) => return Err(error),
            }
        }
        if is_busy {
            return Err(AnywhereError::Variant(VariantError::Busy));
        }
        let node = self.go_on(ask.id, &mut search).await.map_err(AnywhereError::NotFound)?;
        match self.made_by(node, ask, started).await {
            Word::Given(found) => {
                if is_lacked {
                    self.note_lack(ask.id);
                }
                Ok(found)
            }
            Word::LookupReply(_) => Err(AnywhereError::NotFound(self.unproven())),
            Word::Busy => Err(AnywhereError::Variant(VariantError::Busy)),
            Word::Failed(error) => Err(error),
        }
    }

    async fn made_by(self: &Rc<Self>, node: NodeId, ask: &VariantRequest, started: Instant) -> Word {
        if node == self.view().this() {
            self.made_here(ask, true).await
        } else {
            self.made_by_node(node, ask, started).await
        }
    }

    /// `has_others`: whether another node could do where this one cannot.
    async fn made_here(self: &Rc<Self>, ask: &VariantRequest, has_others: bool) -> Word {
        // What waits for a disk that does not answer would be late everywhere.
        if has_others && self.node.health.is_hung() {
            return Word::LookupReply(LookupReply::Unknown);
        }
        match self.variant(ask.clone()).await {
            Err(error) => Word::Failed(AnywhereError::Ask(error)),
            Ok(Ok(variant)) => Word::Given(Anywhere::Here(variant)),
            Ok(Err(VariantError::Absent)) if has_others => {
                Word::LookupReply(LookupReply::Absent(self.view().trusted_to()))
            }
            Ok(Err(VariantError::Damaged)) if has_others => Word::LookupReply(LookupReply::Absent(None)),
            Ok(Err(VariantError::Disk(_) | VariantError::StoreMissing)) if has_others => {
                Word::LookupReply(LookupReply::Unknown)
            }
            Ok(Err(VariantError::Busy | VariantError::NoDescriptor)) if has_others => Word::Busy,
            Ok(Err(error)) => Word::Failed(AnywhereError::Variant(error)),
        }
    }

    /// The way for questions to a node. Where nobody is on it, it is forgotten.
    fn gate(&self, node: NodeId) -> Rc<Gate> {
        let mut gates = self.gates.borrow_mut();
        gates.retain(|other, gate| *other == node || !gate.is_idle());
        Rc::clone(gates.entry(node).or_insert_with(|| Gate::new(self.node.settings.resize_queue)))
    }

    async fn made_by_node(&self, node: NodeId, ask: &VariantRequest, started: Instant) -> Word {
        let VariantRequest { id, recipe, key, requester } = ask;
        let (text, dimension_max) = (recipe.key(), recipe.dimension_max);
        let call = VariantCall { id: *id, recipe: text, dimension_max, requester: *requester };
        // One deadline for all who are asked.
        let (left, waited) =
            (self.node.settings.resize_deadline.saturating_sub(started.elapsed()), Instant::now());
        let late = || Word::Failed(AnywhereError::Variant(VariantError::Deadline));
        // Held until the body has come, if it is taken whole.
        let gate = self.gate(node);
        let asked = async {
            let pass = gate.enter(*requester).await.map_err(|Full| Word::Busy)?;
            let left = left.saturating_sub(waited.elapsed());
            match self.open_afar(&self.view(), node, Call::Variant(call), left).await {
                Ok(opened) => Ok((opened, pass)),
                Err(PeerError::Late) => Err(late()),
                Err(_) => Err(Word::LookupReply(LookupReply::Unknown)),
            }
        };
        let asked = future::or(asked, async {
            glommio::timer::sleep(left).await;
            Err(late())
        });
        let (mut opened, _pass) = match asked.await {
            Ok(asked) => asked,
            Err(word) => return word,
        };
        if opened.status != call::GIVEN {
            return refusal(opened).await;
        }
        let Some(stored) = StoredMetadata::parse(opened.metadata()) else {
            return Word::LookupReply(LookupReply::Unknown);
        };
        let is_long = stored.length > WHOLE_BYTES_MAX;
        let charge = if is_long { None } else { self.node.bodies.reserve(stored.length) };
        let Some(charge) = charge else {
            let has_place = opened.body.stand_aside();
            return if has_place { Word::Given(Anywhere::Stream(stored, opened.body)) } else { Word::Busy };
        };
        match opened.body.collect(WHOLE_BYTES_MAX as usize).await {
            Ok(bytes) => {
                let entry =
                    CachedResponse::new(charge.hold(bytes), stored.format, &etag(key), stored.uploaded);
                Word::Given(Anywhere::Ready(entry, Cache::Peer))
            }
            Err(_) => Word::LookupReply(LookupReply::Unknown),
        }
    }
}

/// What a node means that gives no variant.
async fn refusal(opened: StreamedAnswer) -> Word {
    let (status, said) = (opened.status, call::read_presence(opened.metadata()));
    let too_fast = TooFast { retry_after_s: call::read_retry(opened.metadata()) };
    if said != LookupReply::Unknown {
        return Word::LookupReply(said);
    }
    let Ok(text) = opened.body.collect(REFUSAL_BYTES_MAX).await else {
        return Word::LookupReply(LookupReply::Unknown);
    };
    let (kind, detail) = call::read_problem(&text);
    match (status, kind.as_str()) {
        (call::IMPOSSIBLE, _) => Word::Failed(AnywhereError::Variant(VariantError::Elsewhere(detail))),
        (_, "deadline") => Word::Failed(AnywhereError::Variant(VariantError::Deadline)),
        (_, "busy") => Word::Busy,
        (_, "too-fast") => Word::Failed(AnywhereError::Variant(VariantError::TooFast(too_fast))),
        _ => Word::LookupReply(LookupReply::Unknown),
    }
}

impl<'a> Leader<'a> {
    fn new(shard: &'a Shard, key: CacheKey) -> Self {
        let asking = Rc::<Asking>::default();
        shard.asking.borrow_mut().insert(key, Rc::clone(&asking));
        Self { shard, key, asking }
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        let left = self.shard.asking.borrow_mut().remove(&self.key);
        drop(left);
        self.asking.ended.set();
    }
}
