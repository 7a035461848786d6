//! `reticulum-simulate`: whole clusters in virtual time, one seed each, with real cores and real rules.
//!
//! Nodes run the very `Core` and the very rules that the program runs; their shards, disks and network are
//! models. Faults strike every twenty seconds; every answer is checked, and at the end everything must have come
//! to rest where it belongs. A seed replays exactly. `--plants` puts bugs in on purpose: all must be found.

mod check;
mod client;
mod disk;
mod event;
mod faults;
mod node;
mod peer;
mod plant;
mod repair;
mod store;
mod strike;
mod world;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use faults::Kind;
use plant::Plant;
use world::Log;

/// Runs seeded worlds and checks every promise in them.
#[derive(Parser)]
struct Arguments {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 1)]
    count: u64,
    /// A bug to put in.
    #[arg(long)]
    plant: Option<String>,
    /// Every bug, one after the other, each until it is found or the seeds are used up.
    #[arg(long)]
    plants: bool,
    /// Every seed twice: both runs must be equal.
    #[arg(long)]
    twice: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seeds = arguments.seed..arguments.seed + arguments.count;
    if arguments.plants {
        return all_plants(seeds);
    }
    let plant = match &arguments.plant {
        None => None,
        Some(name) => match Plant::ALL.iter().find(|(known, _)| known == name) {
            Some((_, plant)) => Some(*plant),
            None => {
                let names: Vec<_> = Plant::ALL.iter().map(|(name, _)| *name).collect();
                eprintln!("no plant {name}: take one of {}", names.join(", "));
                return ExitCode::from(2);
            }
        },
    };
    run_seeds(seeds, plant, arguments.twice)
}

fn run_seeds(seeds: std::ops::Range<u64>, plant: Option<Plant>, twice: bool) -> ExitCode {
    let (began, mut failed, mut milliseconds) = (Instant::now(), 0, 0);
    let (mut faults, mut counts) = (BTreeMap::<Kind, usize>::new(), BTreeMap::<&str, u64>::new());
    for seed in seeds.clone() {
        let log = check::run(seed, plant);
        failed += u64::from(!report(seed, &log));
        if twice && check::run(seed, plant).trace != log.trace {
            println!("seed {seed}: the second run differs");
            failed += 1;
        }
        milliseconds += log.milliseconds * if twice { 2 } else { 1 };
        log.faults.iter().for_each(|(kind, count)| *faults.entry(*kind).or_default() += count);
        log.counts.iter().for_each(|(what, count)| *counts.entry(what).or_default() += count);
    }
    for kind in Kind::ALL {
        println!("{:>8} {kind:?}", faults.get(&kind).copied().unwrap_or(0));
    }
    counts.iter().for_each(|(what, count)| println!("{count:>8} {what}"));
    let speed = milliseconds as f64 / began.elapsed().as_secs_f64() / 1e3;
    println!("{} seeds, {failed} failed, {speed:.0} times real time", seeds.end - seeds.start);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One line for a seed. Says whether it passed.
fn report(seed: u64, log: &Log) -> bool {
    let kinds = log.faults.len();
    let faults: usize = log.faults.values().sum();
    let Some(failure) = log.failures.first() else {
        println!("seed {seed}: passed, {faults} faults of {kinds} kinds, trace {:016x}", log.trace);
        return true;
    };
    println!("seed {seed}: FAILED {failure}; version {}", env!("CARGO_PKG_VERSION"));
    false
}

fn all_plants(seeds: std::ops::Range<u64>) -> ExitCode {
    let mut missed = 0;
    for (name, plant) in Plant::ALL {
        let found = seeds
            .clone()
            .find_map(|seed| Some((seed, check::run(seed, Some(plant)).failures.first()?.clone())));
        match found {
            Some((seed, failure)) => println!("{name}: found by seed {seed}: {failure}"),
            None => {
                missed += 1;
                println!("{name}: NOT FOUND");
            }
        }
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
