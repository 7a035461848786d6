//! `reticulum-load`: asks nodes for images and uploads them, as fast as they can or at a given rate, checks every answer,
//! and says how long answers took.
//!
//! * [`flags`]: the command line. [`pictures`]: images to upload. [`prepare`]: what is uploaded and asked for before the
//!   clock starts.
//! * [`work`]: the requests, and which one is next. [`schedule`]: when a request is to begin.
//! * [`connection`] and [`response`]: HTTP/1.1 over a socket that never blocks. [`verdict`]: whether an answer is right.
//!   [`worker`]: the connections of one thread.
//! * [`tally`]: histograms and counts. [`collector`]: gathers them second by second, with a line of progress.
//! * [`report`]: the result as text, JSON, and a page with charts.
//!
//! Latency counts from the moment when a request was to begin. At a fixed rate that moment does not wait for the node, so
//! a stall is seen by every request that falls into it.

mod collector;
mod connection;
mod flags;
mod pictures;
mod prepare;
mod report;
mod response;
mod schedule;
mod tally;
mod verdict;
mod work;
mod worker;

use std::fs;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use clap::Parser;

use collector::Collector;
use flags::Flags;
use report::Report;
use schedule::Schedule;
use worker::Worker;

fn main() -> ExitCode {
    let flags = Flags::parse();
    match run(&flags) {
        Ok(report) if report.total.failures() == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("reticulum-load: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs the load and writes what was asked for.
fn run(flags: &Flags) -> Result<Report, Box<dyn std::error::Error>> {
    flags.check()?;
    let work = Arc::new(prepare::prepare(flags)?);
    let schedule = Arc::new(Schedule::new(flags.rate, flags.duration.into(), Instant::now()));
    let (tallies, received) = flume::unbounded();
    let mut threads = Vec::new();
    for thread in 0..flags.threads {
        let connections = share(flags.connections, flags.threads, thread);
        let worker =
            Worker::new(thread, connections, Arc::clone(&work), Arc::clone(&schedule), tallies.clone())?;
        threads.push(thread::Builder::new().name(format!("load-{thread}")).spawn(move || worker.run())?);
    }
    drop(tallies);
    let report = Collector::new(flags, &schedule).collect(&received);
    for thread in threads {
        thread.join().map_err(|_| io::Error::other("a thread of the load panicked"))??;
    }
    print!("{}", report::text(&report));
    if let Some(path) = &flags.json {
        fs::write(path, report::json(&report)?)?;
    }
    if let Some(path) = &flags.html {
        fs::write(path, report::html(&report))?;
    }
    Ok(report)
}

/// The part of `count` things that falls to one of `parts`.
const fn share(count: usize, parts: usize, part: usize) -> usize {
    count / parts + if part < count % parts { 1 } else { 0 }
}
