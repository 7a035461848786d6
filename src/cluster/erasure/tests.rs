use proptest::prelude::*;

use super::*;

/// Any record that nodes can write, with few counters, so that ties are frequent.
pub(in crate::cluster) fn any_record() -> impl Strategy<Value = ErasureRecord> {
    let register =
        || (0..4_u64, any::<bool>()).prop_map(|(counter, is_set)| (counter, is_set && counter > 0));
    (register(), register()).prop_map(|(life, ban)| {
        let register = |(counter, is_set)| Register { counter, is_set };
        ErasureRecord { life: register(life), ban: register(ban) }
    })
}

fn any_intent() -> impl Strategy<Value = Intent> {
    prop_oneof![Just(Intent::Delete), Just(Intent::Ban), Just(Intent::Lift)]
}

proptest! {
    #[test]
    fn merging_is_commutative_associative_and_idempotent(
        a in any_record(), b in any_record(), c in any_record()
    ) {
        prop_assert_eq!(a.merge(b), b.merge(a));
        prop_assert_eq!(a.merge(b).merge(c), a.merge(b.merge(c)));
        prop_assert_eq!(a.merge(a), a);
        prop_assert!(a.merge(b).covers(&a) && a.merge(b).covers(&b));
    }

    #[test]
    fn an_intent_is_fulfilled_by_whatever_it_is_merged_with_that_was_read(
        read in any_record(), intent in any_intent()
    ) {
        let written = read.fulfil(intent);
        prop_assert!(written.covers(&read) && written.fulfils(intent));
        prop_assert_eq!(written.merge(read), written);
        prop_assert_eq!(written.fulfil(intent), written, "what is fulfilled writes nothing");
    }

    #[test]
    fn no_upload_lifts_a_ban(banned in any_record(), counter in 0..9_u64) {
        let banned = banned.fulfil(Intent::Ban);
        prop_assert!(banned.merge(ErasureRecord::live(counter)).is_gone());
        let lifted = banned.fulfil(Intent::Lift);
        prop_assert!(!lifted.is_banned() && lifted.merge(banned) == lifted);
        let uploaded = lifted.merge(ErasureRecord::live(lifted.next_live()));
        prop_assert!(!uploaded.is_gone(), "{uploaded}");
    }

    #[test]
    fn of_a_deletion_and_an_upload_with_one_counter_the_deletion_wins(record in any_record()) {
        let deleted = record.fulfil(Intent::Lift).fulfil(Intent::Delete);
        let upload = ErasureRecord::live(deleted.life.counter);
        prop_assert!(deleted.merge(upload).is_gone());
        let later = ErasureRecord::live(deleted.next_live());
        prop_assert!(!deleted.merge(later).is_gone());
        prop_assert_eq!(deleted.merge(later).live_counter(), deleted.next_live());
    }

    #[test]
    fn a_record_comes_across_as_bytes_and_as_text(record in any_record()) {
        prop_assert_eq!(ErasureRecord::from_bytes(&record.to_bytes()), Some(record));
        prop_assert_eq!(ErasureRecord::parse(&record.to_string()), Some(record));
    }

    #[test]
    fn any_bytes_and_any_text_are_read_or_refused(
        bytes in any::<[u8; RECORD_BYTES]>(), text in "[0-9dlbf-]{0,12}"
    ) {
        if let Some(record) = ErasureRecord::from_bytes(&bytes) {
            prop_assert_eq!(record.to_bytes(), bytes);
        }
        if let Some(record) = ErasureRecord::parse(&text) {
            prop_assert_eq!(ErasureRecord::parse(&record.to_string()), Some(record));
        }
    }
}

#[test]
fn an_id_without_a_record_is_live_with_counter_0() {
    let none = ErasureRecord::default();
    assert!(!none.is_gone() && none.live_counter() == 0 && none.next_live() == 0);
    assert_eq!(none, ErasureRecord::live(0));
    assert_eq!(none.fulfil(Intent::Delete).next_live(), 2);
}

#[test]
fn counters_that_no_node_reaches_and_flags_at_0_are_refused() {
    for text in ["281474976710657l-0f", "0d-0f", "0l-0b", "+1d-0f", "1d", "1d-0x", "d-0f", "1x-0f"] {
        assert_eq!(ErasureRecord::parse(text), None, "{text}");
    }
    let mut bytes = ErasureRecord::live(1).to_bytes();
    bytes[16] = 4;
    assert_eq!(ErasureRecord::from_bytes(&bytes), None);
}
