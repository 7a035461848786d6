//! One connection to another node: handshake, then one request at a time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use glommio::Task;
use http::header::{CONTENT_LENGTH, HOST, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};

use super::auth::{
    AuthError, ClientHandshake, Digest, HANDSHAKE_HEADER, Identity, LAYOUT_HEADER, METADATA_HEADER,
    PROOF_HEADER, Question, SignedFields, nonce,
};
use super::body::{Outgoing, Sending};
use super::call;
use super::error::PeerError;
use super::socket::Socket;
use crate::cluster::layout::LayoutHash;
use crate::cluster::node::NodeId;

/// Unauthorized: to a handshake, and to what is not authenticated.
const STATUS_UNSIGNED: u16 = 401;

/// Bytes of a refusal's text that are read so that the connection can be used again.
const REFUSAL_BYTES_MAX: u64 = 16 << 10;

/// An authenticated connection.
pub(super) struct Connection {
    sender: SendRequest<Sending>,
    client: ClientHandshake,
    host: HeaderValue,
    /// The node at the other end.
    pub(super) node: NodeId,
    /// When it was given back.
    pub(super) idle_since: Instant,
    /// Dropping it closes the socket.
    _driver: Task<()>,
}

/// One question as it goes out.
#[derive(Clone)]
pub(super) struct OutgoingRequest {
    pub(super) method: Method,
    pub(super) target: String,
    pub(super) layout: LayoutHash,
    pub(super) metadata: String,
    pub(super) body: Outgoing,
}

/// The head of an answer that is proven, and what its body must be.
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) layout: Option<LayoutHash>,
    pub(super) metadata: String,
    pub(super) digest: Digest,
    pub(super) body: Incoming,
}

impl Connection {
    /// Connects and does the handshake.
    pub(super) async fn open(
        address: SocketAddr,
        host: &str,
        identity: Arc<Identity>,
    ) -> Result<Self, PeerError> {
        let socket = Socket::connect(address).await.map_err(|_| PeerError::Unreachable)?;
        let (mut sender, driven) = http1::handshake(socket).await.map_err(|_| PeerError::Broken)?;
        let driver = glommio::spawn_local(async move {
            // The sender tells the asker what went wrong.
            let _ = driven.await;
        });
        let host = HeaderValue::try_from(host).map_err(|_| PeerError::Unreachable)?;
        let (mut client, handshake) = ClientHandshake::new(identity, nonce());
        let mut request = request(&Method::POST, call::HANDSHAKE_TARGET, &host, Outgoing::empty())?;
        request.headers_mut().insert(HANDSHAKE_HEADER, value(&handshake)?);
        let mut response = sender.send_request(request).await.map_err(|_| PeerError::Broken)?;
        let node = match response.headers().get(HANDSHAKE_HEADER) {
            Some(challenge) if response.status().as_u16() == STATUS_UNSIGNED => {
                client.accept_challenge(challenge.as_bytes()).map_err(PeerError::Untrusted)?
            }
            _ => return Err(PeerError::Refused(reason(response.headers()))),
        };
        read_refusal(&mut response).await?;
        Ok(Self { sender, client, host, node, idle_since: Instant::now(), _driver: driver })
    }

    /// Whether another question may be tried.
    pub(super) async fn is_usable(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Asks; the answer's body is still to come.
    pub(super) async fn ask(&mut self, ask: &OutgoingRequest) -> Result<Head, PeerError> {
        let question = Question { method: ask.method.as_str(), target: &ask.target };
        let fields = SignedFields { layout: Some(ask.layout), metadata: &ask.metadata };
        let digest = ask.body.digest();
        let proof = self.client.sign(&question, &fields, digest).map_err(PeerError::Untrusted)?;
        let mut request = request(&ask.method, &ask.target, &self.host, ask.body.clone())?;
        let headers = request.headers_mut();
        headers.insert(PROOF_HEADER, value(&proof.to_string())?);
        headers.insert(LAYOUT_HEADER, value(&ask.layout.to_string())?);
        if !ask.metadata.is_empty() {
            headers.insert(METADATA_HEADER, value(&ask.metadata)?);
        }
        let response = self.sender.send_request(request).await.map_err(|_| PeerError::Broken)?;
        let (head, body) = response.into_parts();
        let status = head.status.as_u16();
        let proof = head.headers.get(PROOF_HEADER).map(HeaderValue::as_bytes);
        if status == STATUS_UNSIGNED && proof.is_none() {
            return Err(PeerError::Refused(reason(&head.headers)));
        }
        let layout = text(&head.headers, LAYOUT_HEADER).and_then(|text| LayoutHash::parse(text).ok());
        let metadata = text(&head.headers, METADATA_HEADER).unwrap_or_default().to_owned();
        let fields = SignedFields { layout, metadata: &metadata };
        let digest = self.client.check(status, &fields, proof).map_err(PeerError::Untrusted)?;
        Ok(Head { status, layout, metadata, digest, body })
    }
}

fn request(
    method: &Method,
    target: &str,
    host: &HeaderValue,
    body: Outgoing,
) -> Result<Request<Sending>, PeerError> {
    let is_empty = matches!(&body, Outgoing::Bytes(bytes) if bytes.is_empty());
    let mut request = Request::builder().method(method).uri(target).header(HOST, host);
    if is_empty && *method != Method::GET && *method != Method::HEAD {
        request = request.header(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    // Targets and methods are made in this module.
    request.body(Sending::new(body)).map_err(|_| PeerError::Untrusted(AuthError::Unsigned))
}

/// Reads the text of a refusal to its end, so that the connection can be used again.
async fn read_refusal(response: &mut Response<Incoming>) -> Result<(), PeerError> {
    let mut left = REFUSAL_BYTES_MAX;
    while let Some(frame) = response.body_mut().frame().await {
        let frame = frame.map_err(|_| PeerError::Broken)?;
        let bytes = frame.data_ref().map_or(0, |bytes| bytes.len() as u64);
        left = left.checked_sub(bytes).ok_or(PeerError::TooLong)?;
    }
    Ok(())
}

/// The cause of a refusal. It is not authenticated, and fit for the log only.
fn reason(headers: &HeaderMap) -> Option<AuthError> {
    let text = text(headers, WWW_AUTHENTICATE.as_str())?;
    call::REASONS.into_iter().find(|(_, name)| text == call::challenge(name)).map(|(refusal, _)| refusal)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn value(text: &str) -> Result<HeaderValue, PeerError> {
    HeaderValue::try_from(text).map_err(|_| PeerError::Untrusted(AuthError::Unsigned))
}
