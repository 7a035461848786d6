//! The two ends of a connection: their handshake, and the order of what follows.

use std::fmt;
use std::sync::Arc;

use super::proof::{Proof, Question, SignedFields};
use super::{AuthError, Digest, Hex, Identity, Nonce, Transcript, TranscriptKind, VERSION, read_hex};
use crate::cluster::layout::LayoutHash;
use crate::cluster::node::{Label, NodeId};

/// One end's half of the handshake.
#[derive(Clone, Debug)]
struct HandshakeEnd {
    node: NodeId,
    nonce: Nonce,
}

/// The asking end.
#[derive(Clone, Debug)]
pub struct ClientHandshake {
    identity: Arc<Identity>,
    nonce: Nonce,
    ends: Option<Ends>,
    /// The number of the last request.
    number: u64,
}

/// The answering end.
#[derive(Clone, Debug)]
pub struct ServerHandshake {
    identity: Arc<Identity>,
    state: HandshakeState,
}

#[derive(Clone, Debug)]
enum HandshakeState {
    Fresh,
    /// The number of the last accepted request.
    Established(Ends, u64),
    Over,
}

/// Both ends of a connection: what every proof on it covers.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    client: HandshakeEnd,
    server: HandshakeEnd,
}

impl ClientHandshake {
    /// A client that has sent nothing, and the text of its handshake.
    pub fn new(identity: Arc<Identity>, nonce: Nonce) -> (Self, String) {
        let handshake = HandshakeEnd { node: identity.node, nonce };
        let mac = identity.sign(&handshake.transcript(TranscriptKind::Handshake, &identity));
        let text = handshake.print(&identity, &mac);
        (Self { identity, nonce, ends: None, number: 0 }, text)
    }

    /// Checks the challenge and returns the server's node id.
    ///
    /// # Errors
    /// [`AuthError`]: do not use the connection.
    pub fn accept_challenge(&mut self, text: &[u8]) -> Result<NodeId, AuthError> {
        let (server, mac) = HandshakeEnd::parse(text, &self.identity)?;
        let client = HandshakeEnd { node: self.identity.node, nonce: self.nonce };
        let text = client.field(server.transcript(TranscriptKind::Challenge, &self.identity));
        if !self.identity.verifies(&text, &mac) {
            return Err(AuthError::Proof);
        }
        let node = server.node;
        self.ends = Some(Ends { client, server });
        Ok(node)
    }

    /// The proof of the next request. Ask once for each request, in the order in which they are sent.
    ///
    /// # Errors
    /// [`AuthError::Over`] before the challenge.
    pub fn sign(
        &mut self,
        question: &Question<'_>,
        fields: &SignedFields<'_>,
        digest: Digest,
    ) -> Result<Proof, AuthError> {
        let ends = self.ends.as_ref().ok_or(AuthError::Over)?;
        self.number += 1;
        let text = ends.request(self.number, question, fields, digest);
        Ok(Proof { number: self.number, digest, mac: self.identity.sign(&text) })
    }

    /// Whether the answer to the last request is the server's, and what its body must be.
    ///
    /// # Errors
    /// [`AuthError`]: discard the answer and close the connection.
    pub fn check(
        &self,
        status: u16,
        fields: &SignedFields<'_>,
        proof: Option<&[u8]>,
    ) -> Result<Digest, AuthError> {
        let ends = self.ends.as_ref().ok_or(AuthError::Over)?;
        let proof = Proof::parse(proof.ok_or(AuthError::Unsigned)?)?;
        let text = ends.answer(proof.number, status, fields, proof.digest);
        if !self.identity.verifies(&text, &proof.mac) {
            return Err(AuthError::Proof);
        }
        if proof.number == self.number { Ok(proof.digest) } else { Err(AuthError::Number) }
    }
}

impl ServerHandshake {
    /// A server before its handshake.
    pub fn new(identity: Arc<Identity>) -> Self {
        Self { identity, state: HandshakeState::Fresh }
    }

    /// Checks a handshake, the first message on a connection. Returns the challenge, which goes out with a 401.
    ///
    /// # Errors
    /// [`AuthError`]: the 401 goes out without it.
    pub fn accept_handshake(&mut self, text: &[u8], nonce: Nonce) -> Result<String, AuthError> {
        // A second handshake is an error like any other.
        let HandshakeState::Fresh = std::mem::replace(&mut self.state, HandshakeState::Over) else {
            return Err(AuthError::Over);
        };
        let (client, mac) = HandshakeEnd::parse(text, &self.identity)?;
        if !self.identity.verifies(&client.transcript(TranscriptKind::Handshake, &self.identity), &mac) {
            return Err(AuthError::Proof);
        }
        let server = HandshakeEnd { node: self.identity.node, nonce };
        let text = client.field(server.transcript(TranscriptKind::Challenge, &self.identity));
        let challenge = server.print(&self.identity, &self.identity.sign(&text));
        self.state = HandshakeState::Established(Ends { client, server }, 0);
        Ok(challenge)
    }

    /// Whether a request is the client's next, and what its body must be. Whatever is not ends the connection.
    ///
    /// # Errors
    /// [`AuthError`]: answer 401 and do nothing.
    pub fn check(
        &mut self,
        question: &Question<'_>,
        fields: &SignedFields<'_>,
        proof: Option<&[u8]>,
    ) -> Result<(NodeId, Digest), AuthError> {
        let (ends, number) = match std::mem::replace(&mut self.state, HandshakeState::Over) {
            HandshakeState::Fresh => return Err(AuthError::Unsigned),
            HandshakeState::Established(ends, number) => (ends, number),
            HandshakeState::Over => return Err(AuthError::Over),
        };
        let proof = Proof::parse(proof.ok_or(AuthError::Unsigned)?)?;
        let text = ends.request(proof.number, question, fields, proof.digest);
        if !self.identity.verifies(&text, &proof.mac) {
            return Err(AuthError::Proof);
        }
        if proof.number != number + 1 {
            return Err(AuthError::Number);
        }
        let node = ends.client.node;
        self.state = HandshakeState::Established(ends, proof.number);
        Ok((node, proof.digest))
    }

    /// The proof of the answer to the last accepted request; `None` if there is none.
    pub fn sign(&self, status: u16, fields: &SignedFields<'_>, digest: Digest) -> Option<Proof> {
        let HandshakeState::Established(ends, number) = &self.state else { return None };
        let text = ends.answer(*number, status, fields, digest);
        Some(Proof { number: *number, digest, mac: self.identity.sign(&text) })
    }

    /// The body of the last accepted request has another digest: nothing more is accepted.
    pub fn end(&mut self) {
        self.state = HandshakeState::Over;
    }
}

impl Ends {
    fn request(
        &self,
        number: u64,
        question: &Question<'_>,
        fields: &SignedFields<'_>,
        digest: Digest,
    ) -> Transcript {
        let text = self.both(TranscriptKind::Request, number);
        let text = text.field(question.method.as_bytes()).field(question.target.as_bytes());
        fields.field(text).field(digest.to_string().as_bytes())
    }

    fn answer(&self, number: u64, status: u16, fields: &SignedFields<'_>, digest: Digest) -> Transcript {
        let text = self.both(TranscriptKind::Answer, number).field(&status.to_be_bytes());
        fields.field(text).field(digest.to_string().as_bytes())
    }

    fn both(&self, kind: TranscriptKind, number: u64) -> Transcript {
        let text = self.server.field(self.client.field(Transcript::new(kind)));
        text.field(&number.to_be_bytes())
    }
}

impl HandshakeEnd {
    fn transcript(&self, kind: TranscriptKind, identity: &Identity) -> Transcript {
        self.field(Transcript::new(kind).field(identity.cluster.as_str().as_bytes()))
    }

    fn field(&self, text: Transcript) -> Transcript {
        text.field(self.node.bytes()).field(&self.nonce)
    }

    fn print(&self, identity: &Identity, mac: &[u8; 32]) -> String {
        let Self { node, nonce } = self;
        format!("{VERSION} {node} {} {} {}", Hex(nonce), identity.cluster, Hex(mac))
    }

    /// Reads a handshake of this cluster; its proof is still to be checked.
    fn parse(text: &[u8], identity: &Identity) -> Result<(Self, [u8; 32]), AuthError> {
        let text = str::from_utf8(text).map_err(|_| AuthError::Unsigned)?;
        let mut fields = text.split(' ');
        let mut next = || fields.next().ok_or(AuthError::Unsigned);
        // Of another version nothing but the number is known.
        if next()? != VERSION.to_string() {
            return Err(AuthError::Version);
        }
        let node = NodeId::from_bytes(read_hex(next()?).ok_or(AuthError::Unsigned)?);
        let nonce = read_hex(next()?).ok_or(AuthError::Unsigned)?;
        let cluster = Label::parse(next()?).map_err(|_| AuthError::Unsigned)?;
        let mac = read_hex(next()?).ok_or(AuthError::Unsigned)?;
        if fields.next().is_some() {
            return Err(AuthError::Unsigned);
        }
        if cluster == identity.cluster { Ok((Self { node, nonce }, mac)) } else { Err(AuthError::Cluster) }
    }
}

impl SignedFields<'_> {
    fn field(&self, text: Transcript) -> Transcript {
        let layout = self.layout.map(|hash: LayoutHash| hash.to_string()).unwrap_or_default();
        text.field(layout.as_bytes()).field(self.metadata.as_bytes())
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.number, self.digest, Hex(&self.mac))
    }
}
