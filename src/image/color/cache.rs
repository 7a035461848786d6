//! A cache of recently compiled colour meanings, by the digest of the file's colour tag.
//!
//! To read a profile and to make its tables takes longer than to convert a thumbnail, and nearly all files of a site
//! carry one of a few profiles. A meaning is a pure function of the tag, so the cache changes no result. Each worker
//! thread has its own cache: there is no lock, and it holds [`ENTRIES_MAX`] meanings of at most 1.4 MiB each.

use std::cell::RefCell;

use sha2::{Digest, Sha256};

use super::tag::Tag;
use super::{Gamut, Meaning, code_points, icc};

const ENTRIES_MAX: usize = 8;

/// An attacker can construct profiles, so they are known by a collision-resistant digest.
type MeaningKey = ([u8; 32], Gamut);

thread_local! {
    /// The most recently used entry comes first.
    static MEANINGS: RefCell<Vec<(MeaningKey, Option<Meaning>)>> = const { RefCell::new(Vec::new()) };
}

/// The meaning of this tag for a result in these colours; `None` if it cannot be understood.
pub(super) fn meaning(tag: &Tag, to: Gamut) -> Option<Meaning> {
    if matches!((tag, to), (Tag::Srgb, Gamut::Srgb)) {
        return Some(Meaning::Same);
    }
    let key = (digest(tag), to);
    if let Some(meaning) = look_up(&key) {
        return meaning;
    }
    let meaning = understood(tag, to);
    MEANINGS.with_borrow_mut(|meanings| {
        meanings.truncate(ENTRIES_MAX - 1);
        meanings.insert(0, (key, meaning.clone()));
    });
    meaning
}

fn look_up(key: &MeaningKey) -> Option<Option<Meaning>> {
    MEANINGS.with_borrow_mut(|meanings| {
        let at = meanings.iter().position(|(other, _)| other == key)?;
        meanings[..=at].rotate_right(1);
        Some(meanings[0].1.clone())
    })
}

fn understood(tag: &Tag, to: Gamut) -> Option<Meaning> {
    match tag {
        Tag::Icc(profile) => icc::meaning(profile, to),
        Tag::CodePoints(points) => points.meaning(to),
        Tag::Srgb => code_points::of_gamma(None, None, to),
        Tag::Gamma { gamma, primaries } => code_points::of_gamma(*gamma, *primaries, to),
    }
}

fn digest(tag: &Tag) -> [u8; 32] {
    match tag {
        Tag::Icc(profile) => Sha256::digest(profile).into(),
        // No profile is this short.
        other => Sha256::digest(format!("{other:?}")).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gamma(gamma: u32) -> Tag<'static> {
        Tag::Gamma { gamma: Some(gamma), primaries: None }
    }

    fn converted(tag: &Tag) -> std::sync::Arc<super::super::Conversion> {
        match meaning(tag, Gamut::Srgb) {
            Some(Meaning::Converted(conversion)) => conversion,
            _ => panic!("{tag:?} is sRGB"),
        }
    }

    #[test]
    fn the_latest_are_remembered_and_no_more() {
        let first = converted(&gamma(100_000));
        for other in 1..ENTRIES_MAX as u32 {
            converted(&gamma(100_000 + other));
            assert!(std::sync::Arc::ptr_eq(&first, &converted(&gamma(100_000))));
        }
        (0..ENTRIES_MAX as u32).for_each(|other| drop(converted(&gamma(200_000 + other))));
        MEANINGS.with_borrow(|meanings| assert_eq!(meanings.len(), ENTRIES_MAX));
        assert!(!std::sync::Arc::ptr_eq(&first, &converted(&gamma(100_000))));
    }

    #[test]
    fn what_is_not_understood_is_remembered_too() {
        let broken = Tag::Icc(b"no profile".as_slice().into());
        assert!(meaning(&broken, Gamut::Srgb).is_none() && meaning(&broken, Gamut::Srgb).is_none());
        MEANINGS.with_borrow(|meanings| {
            assert_eq!(meanings.iter().filter(|entry| entry.0 == (digest(&broken), Gamut::Srgb)).count(), 1)
        });
    }
}
