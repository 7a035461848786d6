//! `POST /layout/node/{node}` and `POST /layout/cluster`: an operator changes the layout.
//!
//! Reads the JSON and checks each value; the cluster decides whether the change may be made. The answer comes when the
//! layout that contains it is durable on this node.

use http::Request;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::cluster::layout::SyncHash;
use crate::cluster::node::{Label, Weight};
use crate::cluster::operator::{
    LayoutChange, LayoutOutcome, LayoutRefusal, LayoutRequest, NodeSettings, OperatorRole,
};
use crate::http::exchange::{BodyState, Context, HandlerResponse};
use crate::http::receive;
use crate::http::reply::{self, LayoutProblem, Moves, Problem};
use crate::shard::control_link::MembershipStatus;
use crate::shard::errors::OperateError;

/// Bytes of a change; the longest sensible one has about 300.
const BODY_BYTES_MAX: u64 = 4 << 10;

const EXAMPLE: &str = "send a JSON object such as {\"weight\":200}";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeBody {
    role: Option<String>,
    weight: Option<u64>,
    zone: Option<String>,
    writable: Option<bool>,
    if_layout: Option<String>,
    #[serde(default)]
    force: bool,
    #[serde(default)]
    confirmed: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClusterBody {
    replication: Option<u64>,
    min_replication: Option<u64>,
    if_layout: Option<String>,
    #[serde(default)]
    confirmed: bool,
}

#[derive(Serialize)]
struct ChangeResponse {
    /// False where everything was as asked.
    changed: bool,
    /// The hash of the staged version by now.
    layout: String,
    /// The id of the member that was changed.
    node: Option<String>,
    moves: Moves,
    /// A sentence where there is something to know.
    note: Option<&'static str>,
}

/// Changes a member.
pub(super) async fn node(
    context: &Context,
    name: String,
    request: Request<Incoming>,
    state: &mut BodyState,
) -> HandlerResponse {
    let changed = async {
        let body: NodeBody = read(context, request, state).await?;
        change(context, body.into_request(name)?).await
    };
    changed.await.unwrap_or_else(HandlerResponse::from)
}

/// Changes the settings of the cluster.
pub(super) async fn cluster(
    context: &Context,
    request: Request<Incoming>,
    state: &mut BodyState,
) -> HandlerResponse {
    let changed = async {
        let body: ClusterBody = read(context, request, state).await?;
        change(context, body.into_request()?).await
    };
    changed.await.unwrap_or_else(HandlerResponse::from)
}

async fn read<T: DeserializeOwned>(
    context: &Context,
    request: Request<Incoming>,
    state: &mut BodyState,
) -> Result<T, Problem> {
    let bytes = receive::whole(context, &mut request.into_body(), BODY_BYTES_MAX).await?;
    *state = BodyState::Read;
    serde_json::from_slice(&bytes)
        .map_err(|error| bad(format!("The body says no change ({error}); {EXAMPLE}.")))
}

async fn change(context: &Context, request: LayoutRequest) -> Result<HandlerResponse, Problem> {
    let control = &context.shard.node.control;
    match context.shard.operate(request).await {
        Ok(outcome) => Ok(reply::json(&ChangeResponse::from(outcome)).into()),
        Err(OperateError::Refused(LayoutRefusal::NotMember)) => {
            Err(match control.membership_status() {
                // Control has heard a moment before.
                MembershipStatus::Member => Problem::NotMember(MembershipStatus::Joining),
                membership_status => Problem::NotMember(membership_status),
            })
        }
        Err(error) => Err(error.into()),
    }
}

impl NodeBody {
    fn into_request(self, name: String) -> Result<LayoutRequest, Problem> {
        let settings = NodeSettings {
            weight: self.weight.map(weight).transpose()?,
            zone: self.zone.as_deref().map(zone).transpose()?,
            writable: self.writable,
        };
        let has_settings = settings != NodeSettings::default();
        let change = match self.role.as_deref().map(role).transpose()? {
            Some(_) if has_settings => {
                return Err(bad("Change the role of a member and its settings in two requests.".to_owned()));
            }
            Some(role) => LayoutChange::Role(name, role),
            None if has_settings => LayoutChange::Node(name, settings),
            None => return Err(bad("Say what to change: role, weight, zone or writable.".to_owned())),
        };
        let if_staged = self.if_layout.as_deref().map(hash).transpose()?;
        Ok(LayoutRequest { change, if_staged, force: self.force, confirmed: self.confirmed })
    }
}

impl ClusterBody {
    fn into_request(self) -> Result<LayoutRequest, Problem> {
        let replication = self.replication.map(copies).transpose()?;
        let min_replication = self.min_replication.map(copies).transpose()?;
        if replication.is_none() && min_replication.is_none() {
            return Err(bad("Say what to change: replication or min_replication.".to_owned()));
        }
        let if_staged = self.if_layout.as_deref().map(hash).transpose()?;
        let change = LayoutChange::Cluster { replication, min_replication };
        Ok(LayoutRequest { change, if_staged, force: false, confirmed: self.confirmed })
    }
}

impl From<LayoutOutcome> for ChangeResponse {
    fn from(outcome: LayoutOutcome) -> Self {
        Self {
            changed: outcome.changed,
            layout: outcome.staged.to_string(),
            node: outcome.node.map(|node| node.to_string()),
            moves: outcome.movement.into(),
            note: outcome.removed_itself.then_some(
                "The asked node has removed itself and belongs to no cluster now; stop it, or start it on an empty data directory.",
            ),
        }
    }
}

fn bad(sentence: String) -> Problem {
    Problem::Layout(LayoutProblem::Bad(sentence))
}

fn role(text: &str) -> Result<OperatorRole, Problem> {
    match text {
        "active" => Ok(OperatorRole::Active),
        "draining" => Ok(OperatorRole::Draining),
        "removed" => Ok(OperatorRole::Removed),
        _ => Err(bad("Write the role as active, draining or removed.".to_owned())),
    }
}

fn weight(number: u64) -> Result<Weight, Problem> {
    let weight = u32::try_from(number).ok().and_then(|number| Weight::new(number).ok());
    weight.ok_or_else(|| bad(format!("The weight is {number}; write a number from 1 to {}.", Weight::MAX)))
}

fn zone(text: &str) -> Result<Label, Problem> {
    let problem = "Write the zone as 1 to 64 letters, digits, '.', '_' and '-'.";
    Label::parse(text).map_err(|_| bad(problem.to_owned()))
}

/// The layout decides which numbers of copies there may be; here they only have to fit.
fn copies(number: u64) -> Result<u8, Problem> {
    u8::try_from(number).map_err(|_| Problem::Layout(LayoutProblem::Refused(LayoutRefusal::Copies)))
}

fn hash(text: &str) -> Result<SyncHash, Problem> {
    SyncHash::parse(text)
        .map_err(|_| bad("Write if_layout as the 32 hex digits of \"layout\" in /layout.".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node_request(json: &str) -> Result<LayoutRequest, Problem> {
        serde_json::from_str::<NodeBody>(json).expect("JSON").into_request("a".to_owned())
    }

    #[test]
    fn a_change_is_read_with_its_conditions() {
        let request = node_request(r#"{"role":"removed","force":true}"#).unwrap();
        assert_eq!(request.change, LayoutChange::Role("a".to_owned(), OperatorRole::Removed));
        assert!(request.force && !request.confirmed && request.if_staged.is_none());
        let text = "00ff00ff00ff00ff0123456789abcdef";
        let json =
            format!(r#"{{"weight":5,"zone":"z","writable":false,"confirmed":true,"if_layout":"{text}"}}"#);
        let request = node_request(&json).unwrap();
        assert_eq!(request.if_staged, SyncHash::parse(text).ok());
        let settings =
            NodeSettings { weight: Weight::new(5).ok(), zone: Label::parse("z").ok(), writable: Some(false) };
        assert_eq!(request.change, LayoutChange::Node("a".to_owned(), settings));
        assert!(request.confirmed);
    }

    #[test]
    fn a_change_that_says_nothing_or_what_cannot_be_is_refused() {
        for json in [
            "{}",
            r#"{"role":"out"}"#,
            r#"{"role":"active","weight":1}"#,
            r#"{"weight":0}"#,
            r#"{"weight":1000000000}"#,
            r#"{"zone":""}"#,
            r#"{"zone":"a b"}"#,
            r#"{"weight":1,"if_layout":"x"}"#,
        ] {
            let problem = node_request(json).unwrap_err();
            assert!(matches!(problem, Problem::Layout(LayoutProblem::Bad(_))), "{json}: {problem:?}");
        }
        assert!(serde_json::from_str::<NodeBody>(r#"{"wieght":1}"#).is_err());
        for json in ["{}", r#"{"replication":256}"#] {
            let body: ClusterBody = serde_json::from_str(json).expect("JSON");
            assert!(body.into_request().is_err(), "{json}");
        }
    }
}
