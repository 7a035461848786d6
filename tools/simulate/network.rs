//! Messages in transit: late, lost, corrupted, duplicated, or replayed by an attacker.

use std::collections::{BTreeMap, BTreeSet};

use reticulum::cluster::erasure::ErasureRecord;

use crate::event::{About, Ask, Envelope, Event, Fact, Index, Number, Payload, Tell};
use crate::world::World;

/// The current faults of links, each counted, because faults overlap.
#[derive(Default)]
pub(crate) struct Network {
    pub(crate) cut: BTreeMap<(Index, Index), usize>,
    pub(crate) bad: BTreeMap<Index, usize>,
    pub(crate) corrupt: BTreeMap<Index, usize>,
    /// Answers that an attacker recorded, by asker, asked node and subject.
    recorded: BTreeMap<(Index, Index, About), (Tell, ErasureRecord)>,
}

impl Network {
    /// Whether no link has a fault.
    pub(crate) fn is_well(&self) -> bool {
        self.cut.is_empty() && self.bad.is_empty() && self.corrupt.is_empty()
    }

    /// Ends one fault of a node.
    pub(crate) fn mend(faults: &mut BTreeMap<Index, usize>, index: Index) {
        if let Some(count) = faults.get_mut(&index) {
            *count -= 1;
        }
        faults.retain(|_, count| *count > 0);
    }
}

impl World {
    /// Sends a message over a link in its current state. The transport sends a lost packet again, with growing delays.
    pub(crate) fn send(&mut self, from: Index, to: Index, payload: Payload) {
        if self.network.cut.contains_key(&(from, to)) {
            return;
        }
        let is_of = |faults: &BTreeMap<Index, usize>| faults.contains_key(&from) || faults.contains_key(&to);
        let mut delay = 1 + self.random.below(5);
        if is_of(&self.network.bad) {
            delay += 300 + self.random.below(400);
            let mut again = 200;
            while self.random.chance(300_000) && again < 3_000 {
                delay += again;
                again *= 2;
            }
        }
        let mut payload = payload;
        if is_of(&self.network.corrupt) && self.random.chance(200_000) {
            self.count("message corrupted");
            match corrupted(payload) {
                Some(changed) => payload = changed,
                None => return,
            }
        }
        delay += self.lateness(&payload);
        let (from_boot, to_boot) = (self.nodes[from].boot, self.nodes[to].boot);
        let from_node = self.nodes[from].id;
        let envelope = Envelope { from, from_node, from_boot, to, to_boot, payload, replay: None };
        if matches!(envelope.payload, Payload::Core(_)) && self.random.chance(10_000) {
            let later = delay + self.random.below(3_000);
            self.count("core message twice");
            self.after(later, Event::Deliver(envelope.clone()));
        }
        self.after(delay, Event::Deliver(envelope));
    }

    /// Delivers a message, if both ends of its connection are alive.
    pub(crate) fn deliver(&mut self, envelope: Envelope) {
        let Envelope { from, from_node, from_boot, to, to_boot, .. } = envelope;
        let instances = self.nodes[to].boot == to_boot && self.nodes[to].process.is_some();
        let survives_sender = envelope.replay.is_some() || self.founding.is_some();
        if !instances || (self.nodes[from].boot != from_boot && !survives_sender) {
            return;
        }
        if self.nodes[to].is_stopped {
            self.nodes[to].inbox.push(envelope);
            return;
        }
        self.trace((from as u64) << 32 | to as u64);
        match envelope.payload {
            Payload::Core(bytes) => {
                self.tell_core(to, Fact::Message(from_node, bytes));
            }
            Payload::Refused(refusal) => self.tell_core(to, Fact::Refused(refusal)),
            Payload::Ask(number, ask, live) => self.serve(to, from, number, (ask, live)),
            Payload::Tell(number, tell, record) => match envelope.replay {
                Some(about) => self.hear_replay(to, from, about, (tell, record)),
                None => {
                    self.record(from, to, number, &(tell.clone(), record));
                    self.answered(to, number, (tell, record));
                }
            },
        }
    }

    /// Now and then the attacker records an answer.
    fn record(&mut self, from: Index, to: Index, number: Number, tell: &(Tell, ErasureRecord)) {
        if self.random.chance(200_000)
            && let Some(about) = self.about(to, number)
        {
            self.network.recorded.insert((to, from, about), tell.clone());
        }
    }

    /// The attacker sends it again when the same is asked, ahead of the true answer.
    pub(crate) fn replay(&mut self, index: Index, to: Index, number: Number) {
        let Some(about) = self.about(index, number) else { return };
        let Some((tell, record)) = self.network.recorded.get(&(index, to, about)).cloned() else { return };
        let (from_boot, to_boot) = (self.nodes[to].boot, self.nodes[index].boot);
        let payload = Payload::Tell(number, tell, record);
        let from_node = self.nodes[to].id;
        let replay = Some(about);
        let envelope = Envelope { from: to, from_node, from_boot, to: index, to_boot, payload, replay };
        self.after(0, Event::Deliver(envelope));
    }

    /// All links across a partition, in both directions.
    pub(crate) fn links_between(&self, one: &BTreeSet<Index>) -> Vec<(Index, Index)> {
        let others: Vec<_> = (0..self.nodes.len()).filter(|index| !one.contains(index)).collect();
        one.iter().flat_map(|a| others.iter().flat_map(|b| [(*a, *b), (*b, *a)])).collect()
    }

    pub(crate) fn cut_links(&mut self, links: &[(Index, Index)]) -> bool {
        links.iter().for_each(|link| *self.network.cut.entry(*link).or_default() += 1);
        !links.is_empty()
    }

    pub(crate) fn mend_links(&mut self, links: &[(Index, Index)]) {
        for link in links {
            if let Some(count) = self.network.cut.get_mut(link) {
                *count -= 1;
            }
        }
        self.network.cut.retain(|_, count| *count > 0);
    }
}

/// The id authenticates an image, so its changed bytes arrive. The transport authenticates everything else, and ends
/// the connection.
fn corrupted(payload: Payload) -> Option<Payload> {
    match payload {
        Payload::Ask(number, Ask::Put { id, content, misplaced }, live) => {
            Some(Payload::Ask(number, Ask::Put { id, content: content ^ 2, misplaced }, live))
        }
        Payload::Tell(number, Tell::Have(content), record) => {
            Some(Payload::Tell(number, Tell::Have(content ^ 2), record))
        }
        _ => None,
    }
}
