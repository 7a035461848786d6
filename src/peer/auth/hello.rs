//! The two ends of a connection: their hellos, and the order of what follows.

use std::fmt;
use std::sync::Arc;

use super::proof::{Proof, Question, SignedFields};
use super::{Digest, Hex, Identity, Kind, Nonce, Refusal, Transcript, VERSION, read_hex};
use crate::cluster::layout::LayoutHash;
use crate::cluster::node::{Label, NodeId};

/// What one end says of itself.
#[derive(Clone, Debug)]
struct Hello {
    node: NodeId,
    nonce: Nonce,
}

/// The end that asks.
#[derive(Clone, Debug)]
pub struct Client {
    identity: Arc<Identity>,
    nonce: Nonce,
    ends: Option<Ends>,
    /// The number of the last request.
    number: u64,
}

/// The end that answers.
#[derive(Clone, Debug)]
pub struct Server {
    identity: Arc<Identity>,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Fresh,
    /// The number of the last request that was believed.
    Met(Ends, u64),
    Over,
}

/// Both ends of a connection: what every proof on it covers.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    client: Hello,
    server: Hello,
}

impl Client {
    /// A client that has said nothing, and the text of its hello.
    pub fn new(identity: Arc<Identity>, nonce: Nonce) -> (Self, String) {
        let hello = Hello { node: identity.node, nonce };
        let mac = identity.sign(&hello.transcript(Kind::Hello, &identity));
        let text = hello.print(&identity, &mac);
        (Self { identity, nonce, ends: None, number: 0 }, text)
    }

    /// Takes the welcome; says who is there.
    ///
    /// # Errors
    /// [`Refusal`]: do not use the connection.
    pub fn welcome(&mut self, text: &[u8]) -> Result<NodeId, Refusal> {
        let (server, mac) = Hello::parse(text, &self.identity)?;
        let client = Hello { node: self.identity.node, nonce: self.nonce };
        let text = client.field(server.transcript(Kind::Welcome, &self.identity));
        if !self.identity.verifies(&text, &mac) {
            return Err(Refusal::Proof);
        }
        let node = server.node;
        self.ends = Some(Ends { client, server });
        Ok(node)
    }

    /// The proof of the next request. Ask once for each request, in the order in which they are sent.
    ///
    /// # Errors
    /// [`Refusal::Over`] before the welcome.
    pub fn sign(
        &mut self,
        question: &Question<'_>,
        said: &SignedFields<'_>,
        digest: Digest,
    ) -> Result<Proof, Refusal> {
        let ends = self.ends.as_ref().ok_or(Refusal::Over)?;
        self.number += 1;
        let text = ends.request(self.number, question, said, digest);
        Ok(Proof { number: self.number, digest, mac: self.identity.sign(&text) })
    }

    /// Whether the answer to the last request is the server's, and what its body must be.
    ///
    /// # Errors
    /// [`Refusal`]: believe nothing of it and do not use the connection any more.
    pub fn check(
        &self,
        status: u16,
        said: &SignedFields<'_>,
        proof: Option<&[u8]>,
    ) -> Result<Digest, Refusal> {
        let ends = self.ends.as_ref().ok_or(Refusal::Over)?;
        let proof = Proof::parse(proof.ok_or(Refusal::Unsigned)?)?;
        let text = ends.answer(proof.number, status, said, proof.digest);
        if !self.identity.verifies(&text, &proof.mac) {
            return Err(Refusal::Proof);
        }
        if proof.number == self.number { Ok(proof.digest) } else { Err(Refusal::Number) }
    }
}

impl Server {
    /// A server that has heard nothing.
    pub fn new(identity: Arc<Identity>) -> Self {
        Self { identity, state: State::Fresh }
    }

    /// Takes a hello, the first thing on a connection; the text of the welcome, which goes out with a 401.
    ///
    /// # Errors
    /// [`Refusal`]: the 401 goes out without it.
    pub fn hello(&mut self, text: &[u8], nonce: Nonce) -> Result<String, Refusal> {
        // A second hello is as wrong as anything else.
        let State::Fresh = std::mem::replace(&mut self.state, State::Over) else { return Err(Refusal::Over) };
        let (client, mac) = Hello::parse(text, &self.identity)?;
        if !self.identity.verifies(&client.transcript(Kind::Hello, &self.identity), &mac) {
            return Err(Refusal::Proof);
        }
        let server = Hello { node: self.identity.node, nonce };
        let text = client.field(server.transcript(Kind::Welcome, &self.identity));
        let welcome = server.print(&self.identity, &self.identity.sign(&text));
        self.state = State::Met(Ends { client, server }, 0);
        Ok(welcome)
    }

    /// Whether a request is the client's next, and what its body must be. Whatever is not ends the connection.
    ///
    /// # Errors
    /// [`Refusal`]: answer 401 and do nothing.
    pub fn check(
        &mut self,
        question: &Question<'_>,
        said: &SignedFields<'_>,
        proof: Option<&[u8]>,
    ) -> Result<(NodeId, Digest), Refusal> {
        let (ends, number) = match std::mem::replace(&mut self.state, State::Over) {
            State::Fresh => return Err(Refusal::Unsigned),
            State::Met(ends, number) => (ends, number),
            State::Over => return Err(Refusal::Over),
        };
        let proof = Proof::parse(proof.ok_or(Refusal::Unsigned)?)?;
        let text = ends.request(proof.number, question, said, proof.digest);
        if !self.identity.verifies(&text, &proof.mac) {
            return Err(Refusal::Proof);
        }
        if proof.number != number + 1 {
            return Err(Refusal::Number);
        }
        let node = ends.client.node;
        self.state = State::Met(ends, proof.number);
        Ok((node, proof.digest))
    }

    /// The proof of the answer to the request that was believed last; `None` if there is none.
    pub fn sign(&self, status: u16, said: &SignedFields<'_>, digest: Digest) -> Option<Proof> {
        let State::Met(ends, number) = &self.state else { return None };
        let text = ends.answer(*number, status, said, digest);
        Some(Proof { number: *number, digest, mac: self.identity.sign(&text) })
    }

    /// The body of the request that was believed last is not what it must be: nothing more is believed.
    pub fn end(&mut self) {
        self.state = State::Over;
    }
}

impl Ends {
    fn request(
        &self,
        number: u64,
        question: &Question<'_>,
        said: &SignedFields<'_>,
        digest: Digest,
    ) -> Transcript {
        let text = self.both(Kind::Request, number);
        let text = text.field(question.method.as_bytes()).field(question.target.as_bytes());
        said.field(text).field(digest.to_string().as_bytes())
    }

    fn answer(&self, number: u64, status: u16, said: &SignedFields<'_>, digest: Digest) -> Transcript {
        let text = self.both(Kind::Answer, number).field(&status.to_be_bytes());
        said.field(text).field(digest.to_string().as_bytes())
    }

    fn both(&self, kind: Kind, number: u64) -> Transcript {
        let text = self.server.field(self.client.field(Transcript::new(kind)));
        text.field(&number.to_be_bytes())
    }
}

impl Hello {
    fn transcript(&self, kind: Kind, identity: &Identity) -> Transcript {
        self.field(Transcript::new(kind).field(identity.cluster.as_str().as_bytes()))
    }

    fn field(&self, text: Transcript) -> Transcript {
        text.field(self.node.bytes()).field(&self.nonce)
    }

    fn print(&self, identity: &Identity, mac: &[u8; 32]) -> String {
        let Self { node, nonce } = self;
        format!("{VERSION} {node} {} {} {}", Hex(nonce), identity.cluster, Hex(mac))
    }

    /// Reads a hello of this cluster; its proof is still to be checked.
    fn parse(text: &[u8], identity: &Identity) -> Result<(Self, [u8; 32]), Refusal> {
        let text = str::from_utf8(text).map_err(|_| Refusal::Unsigned)?;
        let mut fields = text.split(' ');
        let mut next = || fields.next().ok_or(Refusal::Unsigned);
        // Of another version nothing but the number is known.
        if next()? != VERSION.to_string() {
            return Err(Refusal::Version);
        }
        let node = NodeId::from_bytes(read_hex(next()?).ok_or(Refusal::Unsigned)?);
        let nonce = read_hex(next()?).ok_or(Refusal::Unsigned)?;
        let cluster = Label::parse(next()?).map_err(|_| Refusal::Unsigned)?;
        let mac = read_hex(next()?).ok_or(Refusal::Unsigned)?;
        if fields.next().is_some() {
            return Err(Refusal::Unsigned);
        }
        if cluster == identity.cluster { Ok((Self { node, nonce }, mac)) } else { Err(Refusal::Cluster) }
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
