//! Slots for upload forms that have shown no key yet.
//!
//! They take none of the node's upload permits, so that slow strangers keep nobody from uploading. When all slots
//! of a shard are taken, the oldest form loses its slot to the newest. An honest form has its key in its
//! first packet and has left before another can evict it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use crate::shard::latch::Latch;

/// Slots of a shard. Each holds the connection's buffer of 64 KiB and at most about two such pieces of the form: 6 MiB.
const PLACES_MAX: usize = 32;

/// The slots of one shard.
#[derive(Debug, Default)]
pub(in crate::http) struct UnprovenForms {
    /// In the order in which they were taken.
    taken: RefCell<VecDeque<Rc<Latch>>>,
}

/// A slot, until it is dropped.
#[derive(Debug)]
pub(in crate::http) struct FormSlot {
    places: Rc<UnprovenForms>,
    lost: Rc<Latch>,
}

impl UnprovenForms {
    /// Takes a slot, from the oldest form if there is none left.
    pub(in crate::http) fn enter(self: &Rc<Self>) -> FormSlot {
        let lost = Rc::<Latch>::default();
        let mut taken = self.taken.borrow_mut();
        let oldest = if taken.len() < PLACES_MAX { None } else { taken.pop_front() };
        taken.push_back(Rc::clone(&lost));
        drop(taken);
        if let Some(oldest) = oldest {
            oldest.set();
        }
        FormSlot { places: Rc::clone(self), lost }
    }
}

impl FormSlot {
    /// The event that is set when another form takes the slot. Never after it was given back.
    pub(in crate::http) fn on_lost(&self) -> Rc<Latch> {
        Rc::clone(&self.lost)
    }
}

impl Drop for FormSlot {
    fn drop(&mut self) {
        self.places.taken.borrow_mut().retain(|event| !Rc::ptr_eq(event, &self.lost));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_form_loses_its_place_when_one_more_comes_and_those_that_left_lose_nothing() {
        let places = Rc::<UnprovenForms>::default();
        let mut all: Vec<_> = (0..PLACES_MAX).map(|_| places.enter()).collect();
        let lost = |place: &FormSlot| place.on_lost().is_set();
        let left = all.remove(0).on_lost();
        let newest = places.enter();
        assert!(!left.is_set() && !all.iter().any(lost) && !lost(&newest));
        let _one_more = places.enter();
        assert_eq!(all.iter().map(lost).collect::<Vec<_>>()[..2], [true, false]);
        assert_eq!(places.taken.borrow().len(), PLACES_MAX);
        drop(all);
        assert_eq!(places.taken.borrow().len(), 2);
    }
}
