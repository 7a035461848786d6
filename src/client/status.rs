//! `reticulum status`: the cluster as one of its nodes sees it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::ClientError;
use super::credentials;
use super::harmless::harmless;
use super::layout;
use super::output::CommandOutput;
use super::table::{TextTable, bytes};
use crate::cli::commands;

const PATH: &str = "/status.json";

#[derive(Deserialize)]
struct StatusBody {
    not_a_member: Option<String>,
    nodes: Vec<MemberStatus>,
    repair_debt: Option<u64>,
    layout: LayoutBrief,
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct LayoutBrief {
    progress: Option<layout::ProgressBody>,
}

#[derive(Deserialize)]
struct MemberStatus {
    name: String,
    url: String,
    zone: String,
    state: String,
    alive: bool,
    writable: bool,
    images: Option<u64>,
    bytes: Option<u64>,
    version: Option<String>,
    free: Option<u64>,
}

pub(super) fn run(flags: &commands::ReportFlags) -> Result<(), ClientError> {
    let node = credentials::operator(&flags.asked);
    let output = CommandOutput::plain();
    if flags.json {
        let status: Box<RawValue> = node.get_json(PATH)?;
        return output.line(status.get());
    }
    let status: StatusBody = node.get_json(PATH)?;
    let mut table =
        TextTable::new(&["NAME", "ZONE", "STATE", "#IMAGES", "#BYTES", "#FREE", "VERSION", "URL"]);
    for member in &status.nodes {
        table.row(vec![
            harmless(&member.name),
            harmless(&member.zone),
            member.state(),
            number(member.images),
            bytes(member.bytes),
            bytes(member.free),
            harmless(member.version.as_deref().unwrap_or("-")),
            harmless(&member.url),
        ]);
    }
    table.lines().try_for_each(|line| output.line(line))?;
    output.line(format!("repair debt: {}", number(status.repair_debt)))?;
    if let Some(progress) = &status.layout.progress {
        output.line(layout::left(progress))?;
    }
    complain(&output, &status);
    Ok(())
}

fn complain(output: &CommandOutput, status: &StatusBody) {
    status.not_a_member.iter().chain(&status.warnings).for_each(|sentence| output.complain(sentence));
}

fn number(count: Option<u64>) -> String {
    count.map_or_else(|| "-".to_owned(), |count| count.to_string())
}

impl MemberStatus {
    /// The role in the layout, and the problems of the node.
    fn state(&self) -> String {
        let mut state = harmless(&self.state);
        if !self.alive {
            state += ", away";
        } else if !self.writable {
            state += ", read-only";
        }
        state
    }
}
