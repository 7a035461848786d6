//! The questions and answers of a comparison between two nodes, as a line of HTTP with a body, and back. Pure.
//!
//! An answer begins with the staged version of the layout by which it was given, 16 bytes. Numbers are big-endian.

use crate::cluster::digest::SlotRange;
use crate::cluster::layout::SyncHash;
use crate::cluster::placement::Slot;
use crate::cluster::protocol::compare::{IDS_MAX, IdPage, RANGES_MAX, SLOTS_MAX};
use crate::object::ObjectId;

/// A question about the images of the node that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompareCall {
    /// The digests of the children of these ranges, over the slots that both nodes own.
    Digests(Vec<SlotRange>),
    /// The slots in which it holds images that the asker owns and it does not.
    ExcessSlots,
    /// The ids in these slots behind `after`.
    List {
        /// In order.
        slots: Vec<Slot>,
        /// The id before the first one.
        after: Option<ObjectId>,
    },
}

/// The answer to the [`CompareCall`] of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompareAnswer {
    /// For each range the digests of its children.
    Digests(Vec<Vec<u64>>),
    /// The slots.
    ExcessSlots(Vec<Slot>),
    /// A page of ids.
    List(IdPage),
}

const VERSION_BYTES: usize = 16;
const SLOT_BYTES: usize = 4;
const ID_BYTES: usize = 20;

/// Digests of an answer.
const DIGESTS_MAX: usize = RANGES_MAX * 64;

impl CompareCall {
    /// Reads the words behind `compare/` in a target.
    pub(super) fn parse(kind: &str, query: &str) -> Option<Self> {
        let mut parameters = query.split('&').filter_map(|pair| pair.split_once('='));
        let mut parameter = |name: &str| parameters.find(|(key, _)| *key == name).map(|(_, value)| value);
        match kind {
            "digests" => {
                let ranges = parameter("ranges")?.split(',').map(parse_range);
                let ranges: Vec<_> = ranges.take(RANGES_MAX + 1).collect::<Option<_>>()?;
                (ranges.len() <= RANGES_MAX).then_some(Self::Digests(ranges))
            }
            "excess" if query.is_empty() => Some(Self::ExcessSlots),
            "ids" => {
                let slots = parameter("slots")?.split(',').map(parse_slot);
                let slots: Vec<_> = slots.take(RANGES_MAX + 1).collect::<Option<_>>()?;
                let after = match parameter("after") {
                    Some(id) => Some(ObjectId::parse(id).ok()?),
                    None => None,
                };
                let is_list = slots.len() <= RANGES_MAX && slots.is_sorted_by(|one, other| one < other);
                is_list.then_some(Self::List { slots, after })
            }
            _ => None,
        }
    }

    /// The text that [`Self::parse`] reads: the kind, with the query.
    pub(super) fn target(&self) -> String {
        match self {
            Self::Digests(ranges) => {
                let range = |range: &SlotRange| format!("{:x}.{}", range.first(), range.level());
                format!("digests?ranges={}", ranges.iter().map(range).collect::<Vec<_>>().join(","))
            }
            Self::ExcessSlots => "excess".to_owned(),
            Self::List { slots, after } => {
                let slots: Vec<_> = slots.iter().map(|slot| format!("{:x}", slot.number())).collect();
                let after = after.map(|id| format!("&after={id}")).unwrap_or_default();
                format!("ids?slots={}{after}", slots.join(","))
            }
        }
    }

    /// Reads an answer to this question. `None`: it is none.
    pub fn read_answer(&self, body: &[u8]) -> Option<(SyncHash, CompareAnswer)> {
        let (version, rest) = body.split_first_chunk::<VERSION_BYTES>()?;
        let answer = match self {
            Self::Digests(ranges) => CompareAnswer::Digests(read_digests(ranges, rest)?),
            Self::ExcessSlots => CompareAnswer::ExcessSlots(read_slots(rest)?),
            Self::List { after, .. } => CompareAnswer::List(read_page(rest, *after)?),
        };
        Some((SyncHash::from_bytes(*version), answer))
    }
}

impl CompareAnswer {
    /// The body of an answer that was given by this staged version.
    pub fn encode(&self, version: SyncHash) -> Vec<u8> {
        let mut bytes = version.bytes().to_vec();
        match self {
            Self::Digests(digests) => {
                bytes.extend(digests.iter().flatten().flat_map(|digest| digest.to_be_bytes()));
            }
            Self::ExcessSlots(slots) => {
                bytes.extend(slots.iter().flat_map(|slot| slot.number().to_be_bytes()))
            }
            Self::List(page) => {
                bytes.push(u8::from(page.has_more));
                bytes.extend(page.ids.iter().flat_map(|id| *id.digest()));
            }
        }
        bytes
    }
}

fn read_digests(ranges: &[SlotRange], body: &[u8]) -> Option<Vec<Vec<u64>>> {
    let (words, rest) = body.as_chunks::<8>();
    let counts: Vec<_> = ranges.iter().map(|range| range.children().count()).collect();
    if !rest.is_empty() || words.len() != counts.iter().sum::<usize>() || words.len() > DIGESTS_MAX {
        return None;
    }
    let mut words = words.iter().map(|word| u64::from_be_bytes(*word));
    Some(counts.into_iter().map(|count| words.by_ref().take(count).collect()).collect())
}

fn read_slots(body: &[u8]) -> Option<Vec<Slot>> {
    let (words, rest) = body.as_chunks::<SLOT_BYTES>();
    let slots: Vec<_> = words.iter().map(|word| slot(u32::from_be_bytes(*word))).collect::<Option<_>>()?;
    let is_right =
        rest.is_empty() && slots.len() <= SLOTS_MAX && slots.is_sorted_by(|one, other| one < other);
    is_right.then_some(slots)
}

fn read_page(body: &[u8], after: Option<ObjectId>) -> Option<IdPage> {
    let (more, ids) = body.split_first()?;
    let (ids, rest) = ids.as_chunks::<ID_BYTES>();
    let ids: Vec<_> = ids.iter().map(|digest| ObjectId::from_digest(*digest)).collect();
    let in_order = after.into_iter().chain(ids.iter().copied()).is_sorted_by(|one, other| one < other);
    // A page that ends nowhere could be asked for again without end.
    let is_page = rest.is_empty() && ids.len() <= IDS_MAX && in_order && !(*more == 1 && ids.is_empty());
    (is_page && *more <= 1).then_some(IdPage { ids, has_more: *more == 1 })
}

fn parse_range(text: &str) -> Option<SlotRange> {
    let (first, level) = text.split_once('.')?;
    SlotRange::new(hex(first)?, level.parse().ok()?)
}

fn parse_slot(text: &str) -> Option<Slot> {
    slot(hex(text)?)
}

fn slot(number: u32) -> Option<Slot> {
    SlotRange::new(number, SlotRange::SLOT_LEVEL)?.slot()
}

fn hex(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    u32::from_str_radix(text, 16).ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version() -> SyncHash {
        SyncHash::parse("00112233445566778899aabbccddeeff").unwrap()
    }

    fn id(first: u8) -> ObjectId {
        ObjectId::from_digest([first; 20])
    }

    fn slots(numbers: &[u32]) -> Vec<Slot> {
        numbers.iter().map(|number| slot(*number).unwrap()).collect()
    }

    fn list(after: Option<ObjectId>) -> CompareCall {
        CompareCall::List { slots: slots(&[1, 0xfffff]), after }
    }

    #[test]
    fn questions_print_what_they_parsed() {
        let ranges: Vec<_> = SlotRange::ALL.children().collect();
        for call in [
            CompareCall::Digests(vec![SlotRange::ALL]),
            CompareCall::Digests(ranges),
            CompareCall::ExcessSlots,
            list(None),
            list(Some(id(3))),
        ] {
            let target = call.target();
            let (kind, query) = target.split_once('?').unwrap_or((&target, ""));
            assert_eq!(CompareCall::parse(kind, query), Some(call));
        }
    }

    #[test]
    fn what_is_no_question_is_refused() {
        let many = vec!["0.4"; RANGES_MAX + 1].join(",");
        let many_slots = (0..=RANGES_MAX).map(|slot| format!("{slot:x}")).collect::<Vec<_>>().join(",");
        for (kind, query) in [
            ("digests", String::new()),
            ("digests", "ranges=".to_owned()),
            ("digests", "ranges=1.0".to_owned()),
            ("digests", "ranges=0.5".to_owned()),
            ("digests", "ranges=+0.0".to_owned()),
            ("digests", format!("ranges={many}")),
            ("excess", "x=1".to_owned()),
            ("ids", "slots=".to_owned()),
            ("ids", "slots=2,1".to_owned()),
            ("ids", "slots=1,1".to_owned()),
            ("ids", "slots=100000".to_owned()),
            ("ids", "slots=1&after=x".to_owned()),
            ("ids", format!("slots={many_slots}")),
            ("all", String::new()),
        ] {
            assert_eq!(CompareCall::parse(kind, &query), None, "{kind} {query}");
        }
    }

    #[test]
    fn answers_come_across() {
        let ranges = vec![SlotRange::ALL, SlotRange::of(slots(&[5])[0])];
        let digests = vec![(0..64).map(|at| u64::MAX - at).collect(), vec![]];
        let page =
            |ids: &[u8], has_more| IdPage { ids: ids.iter().map(|first| id(*first)).collect(), has_more };
        for (call, answer) in [
            (CompareCall::Digests(ranges), CompareAnswer::Digests(digests)),
            (CompareCall::ExcessSlots, CompareAnswer::ExcessSlots(slots(&[0, 7, 0xfffff]))),
            (list(None), CompareAnswer::List(page(&[], false))),
            (list(Some(id(1))), CompareAnswer::List(page(&[2, 9], true))),
        ] {
            assert_eq!(call.read_answer(&answer.encode(version())), Some((version(), answer)));
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let with = |bytes: &[u8]| [&version().bytes()[..], bytes].concat();
        let digests = CompareCall::Digests(vec![SlotRange::ALL]);
        let ids = |first: &[u8]| first.iter().flat_map(|first| [*first; 20]).collect::<Vec<_>>();
        for (call, body) in [
            (&digests, vec![]),
            (&digests, with(&[0; 63 * 8])),
            (&digests, with(&[0; 65 * 8])),
            (&digests, with(&[0; 64 * 8 + 1])),
            (&CompareCall::ExcessSlots, with(&[0; 3])),
            (&CompareCall::ExcessSlots, with(&[0, 0, 0, 1, 0, 0, 0, 1])),
            (&CompareCall::ExcessSlots, with(&[0xff; 4])),
            (&list(None), with(&[])),
            (&list(None), with(&[2])),
            (&list(None), with(&[1])),
            (&list(None), with(&[&[0][..], &ids(&[2, 1])].concat())),
            (&list(Some(id(5))), with(&[&[0][..], &ids(&[5])].concat())),
            (&list(None), with(&[&[0][..], &ids(&[1]), &[0]].concat())),
        ] {
            assert_eq!(call.read_answer(&body), None, "{call:?} {body:?}");
        }
    }
}
