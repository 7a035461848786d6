//! Stage timings: how long a job was in each of its stages.

use std::time::{Duration, Instant};

use crate::image::progress::RenderStage;

/// Time by step; none for a step that the job did not come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTimings([Option<Duration>; RenderStage::ALL.len()]);

/// Adds up the times of a job's steps as they begin.
#[derive(Debug, Default)]
pub struct StageTimer {
    timings: StageTimings,
    under_way: Option<(RenderStage, Instant)>,
}

impl StageTimings {
    /// The steps that there were, in their order.
    pub fn steps(&self) -> impl Iterator<Item = (RenderStage, Duration)> {
        RenderStage::ALL.into_iter().zip(self.0).filter_map(|(step, timings)| Some((step, timings?)))
    }
}

impl FromIterator<(RenderStage, Duration)> for StageTimings {
    fn from_iter<I: IntoIterator<Item = (RenderStage, Duration)>>(steps: I) -> Self {
        let mut all = Self::default();
        steps.into_iter().for_each(|(step, timings)| all.0[step as usize] = Some(timings));
        all
    }
}

impl StageTimer {
    /// This step begins now, and the one under way ends.
    pub fn begin(&mut self, step: RenderStage, now: Instant) {
        self.pause(now);
        self.under_way = Some((step, now));
    }

    /// The last step ends now.
    pub fn end(mut self, now: Instant) -> StageTimings {
        self.pause(now);
        self.timings
    }

    fn pause(&mut self, now: Instant) {
        if let Some((step, began)) = self.under_way.take() {
            let timings = self.timings.0[step as usize].get_or_insert_default();
            *timings += now.saturating_duration_since(began);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_one_step_add_up_and_other_steps_have_none() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut steps = StageTimer::default();
        for (step, milliseconds) in [
            (RenderStage::Decode, 5),
            (RenderStage::Resize, 7),
            (RenderStage::Decode, 8),
            (RenderStage::Decode, 11),
            (RenderStage::Resize, 20),
        ] {
            steps.begin(step, at(milliseconds));
        }
        let timings: Vec<_> = steps.end(at(30)).steps().collect();
        let expected = [(RenderStage::Decode, 14), (RenderStage::Resize, 11)];
        assert_eq!(timings, expected.map(|(step, ms)| (step, Duration::from_millis(ms))));
        assert_eq!(StageTimer::default().end(start), StageTimings::default());
        assert_eq!(StageTimings::default().steps().count(), 0);
    }

    #[test]
    fn a_clock_that_goes_back_takes_nothing_off() {
        let (early, late) = (Instant::now(), Instant::now() + Duration::from_secs(1));
        let mut steps = StageTimer::default();
        steps.begin(RenderStage::Encode, late);
        assert_eq!(steps.end(early).steps().collect::<Vec<_>>(), [(RenderStage::Encode, Duration::ZERO)]);
    }
}
