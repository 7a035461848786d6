//! `reticulum fsck`: prints what the check of a store finds.

use std::ops::ControlFlow;

use indicatif::HumanBytes;
use serde::Serialize;

use super::ClientError;
use super::harmless::harmless;
use super::output::CommandOutput;
use crate::cli::commands::Fsck;
use crate::store::fsck::{self, CheckEvent, CheckFinding, CheckSummary, Mode};

const PROGRESS: &str = "{spinner} {pos} images, {elapsed}, {per_sec}{msg}";

#[derive(Serialize)]
struct JsonFinding {
    path: String,
    fault: &'static str,
    mended: bool,
    detail: String,
}

#[derive(Serialize)]
struct JsonSum {
    images: u64,
    bytes: u64,
    faults: u64,
    left: u64,
}

pub(super) fn run(flags: &Fsck) -> Result<(), ClientError> {
    let mode = if flags.repair { Mode::Repair } else { Mode::Check };
    let output = CommandOutput::with_progress(None, PROGRESS);
    let mut told = Ok(());
    let mut faults = 0_u64;
    let checked = fsck::check(&flags.data, mode, |event| match event {
        CheckEvent::Right(_) => {
            output.advance(1);
            ControlFlow::Continue(())
        }
        CheckEvent::Found(finding) => {
            faults += 1;
            output.say(|| format!(", {faults} faults"));
            told = output.line(if flags.json { json(&finding) } else { harmless(&finding.to_string()) });
            if told.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        }
    });
    output.finish();
    let sum = checked.map_err(ClientError::Store)?;
    told?;
    output.line(if flags.json { json_sum(&sum) } else { line(&sum) })?;
    if sum.left == 0 { Ok(()) } else { Err(ClientError::Faults(sum.left)) }
}

fn line(sum: &CheckSummary) -> String {
    let (images, bytes, mended) = (sum.images, HumanBytes(sum.bytes), sum.faults - sum.left);
    match sum.faults {
        0 => format!("{images} images, {bytes}: clean"),
        faults => format!("{images} images, {bytes}: {faults} faults, {mended} mended"),
    }
}

fn json(finding: &CheckFinding) -> String {
    let line = JsonFinding {
        path: finding.path.to_string_lossy().into_owned(),
        fault: finding.fault.name(),
        mended: finding.outcome.is_repaired(),
        detail: finding.to_string(),
    };
    serde_json::to_string(&line).expect("plain fields always serialise")
}

fn json_sum(sum: &CheckSummary) -> String {
    let line = JsonSum { images: sum.images, bytes: sum.bytes, faults: sum.faults, left: sum.left };
    serde_json::to_string(&line).expect("plain fields always serialise")
}
