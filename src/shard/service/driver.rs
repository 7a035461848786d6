//! Drives a protocol machine on a shard: carries out its effects, waits for what comes of them or for its deadline.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::super::Shard;
use crate::cluster::protocol::{Input, Machine};
use crate::cluster::time::Time;
use crate::cluster::view::View;

/// An effect that is being carried out.
pub(super) type Work<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Drives the machine to its end. `perform` carries out an effect by the view of this moment: at once, or as work that
/// goes on. What still goes on at the end is dropped.
pub(super) async fn drive<'a, M: Machine>(
    shard: &Shard,
    mut machine: M,
    mut perform: impl FnMut(&Arc<View>, M::Effect) -> Option<Work<'a, M::Outcome>>,
) where
    M::Outcome: 'a,
{
    let mut under_way = FuturesUnordered::new();
    let mut input = Input::Tick;
    loop {
        let view = shard.view();
        machine.handle(shard.node.control.now(), &view, input);
        while let Some(effect) = machine.poll() {
            under_way.extend(perform(&view, effect));
        }
        if machine.is_finished() {
            return;
        }
        let deadline = machine.deadline();
        assert!(
            deadline.is_some() || !under_way.is_empty(),
            "invariant: driver: a protocol machine waits for an outcome or a deadline"
        );
        let tick = async {
            sleep_until(shard, deadline).await;
            Input::Tick
        };
        let outcome = async {
            match under_way.next().await {
                Some(outcome) => Input::Outcome(outcome),
                None => future::pending().await,
            }
        };
        input = future::or(outcome, tick).await;
    }
}

async fn sleep_until(shard: &Shard, deadline: Option<Time>) {
    match deadline {
        Some(deadline) => {
            let wait = deadline.since(shard.node.control.now());
            glommio::timer::sleep(Duration::from_millis(wait)).await;
        }
        None => future::pending().await,
    }
}
