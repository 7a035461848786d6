//! Changes, reports and surveys in any order: the digests are right in the end.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Act {
    /// The file of this image appears, or goes; the report waits.
    Change(u8, bool),
    /// The next report comes, or is lost.
    Report(bool),
    Work,
    /// This `<aa>` is compared.
    Survey(u8),
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..8_u8, any::<bool>()).prop_map(|(image, is_here)| Act::Change(image, is_here)),
        3 => Just(Act::Report(true)),
        1 => Just(Act::Report(false)),
        4 => Just(Act::Work),
        2 => (0..2_u8).prop_map(Act::Survey),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_digests_are_right_in_the_end_however_changes_reports_and_surveys_mix(acts in vec(any_act(), 0..120)) {
        let image = |number: u8| id([number % 2, number, number]);
        let store = TestStore::new(&[]);
        let mut keeper = store.keeper();
        keeper.keeper.due.retain(|(_, first)| *first < 2);
        let mut reports = VecDeque::new();
        let report = |keeper: &TestKeeper, reports: &mut VecDeque<(u8, bool)>, is_sent: bool| {
            let Some((number, is_here)) = reports.pop_front() else { return };
            match (is_sent, is_here) {
                (false, _) => keeper.keeper.doubts.set(number % 2),
                (true, true) => keeper.handle.record_added(&image(number), Format::Png, 10),
                (true, false) => keeper.handle.record_removed(&image(number)),
            }
        };
        for act in acts {
            match act {
                Act::Change(number, is_here) if is_here != store.path(&image(number)).exists() => {
                    if is_here { store.store(&image(number)) } else { store.remove(&image(number)) }
                    reports.push_back((number, is_here));
                }
                Act::Change(..) => {}
                Act::Report(is_sent) => report(&keeper, &mut reports, is_sent),
                Act::Work => {
                    if let Ok(message) = keeper.keeper.messages.try_recv() {
                        keeper.keeper.handle(message);
                    }
                    // One directory at a time, so that much happens in the middle of a survey.
                    keeper.keeper.take_doubts();
                    match keeper.keeper.survey.as_mut() {
                        Some(survey) if survey.is_complete() => keeper.keeper.end_survey(),
                        Some(survey) if survey.next_directory() < 8 => survey.step(&store.paths),
                        Some(survey) => while !survey.is_complete() { survey.step(&store.paths) },
                        None => drop(keeper.keeper.begin_survey(Instant::now())),
                    }
                }
                Act::Survey(first) => keeper.keeper.enqueue(first, Duration::ZERO),
            }
        }
        while !reports.is_empty() {
            report(&keeper, &mut reports, true);
        }
        keeper.settle();
        let here: Vec<_> = (0..8).map(image).filter(|id| store.path(id).exists()).collect();
        prop_assert_eq!(keeper.keeper.index.images(), here.len() as u64);
        let handle = keeper.handle.clone();
        let leaves = here.iter().map(|id| SlotRange::of(Slot::of(id)));
        for (id, leaf) in here.iter().zip(leaves) {
            prop_assert_eq!(keeper.ask(handle.sum(leaf, everything())).unwrap(), sum(&[*id]));
        }
        prop_assert!(keeper.keeper.index.is_settled(0) && keeper.keeper.index.is_settled(1));
    }
}
