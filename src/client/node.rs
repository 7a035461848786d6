//! A node as its clients see it.
//!
//! No proxy, no cookies, no https: a node is asked directly. Redirects are followed, a few. Nothing of
//! an answer is held in memory but what is bounded here.

use std::io::{self, Read};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use ureq::http::Response;
use ureq::{Agent, Body, RequestBuilder, SendBody};

use super::ClientError;
use super::harmless::harmless;
use crate::cli::address::{HeaderKey, NodeAddress};
use crate::object::{Extension, Format, ObjectId, Spec};

/// For the host to be found and to take the connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// Longest time without a byte on a connection. A node may take 10 s for a variant, and it syncs a received upload
/// before its answer.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// The canonical form is one redirect away.
const REDIRECTS_MAX: u32 = 3;

/// Bytes of an answer that is read whole; a page of the listing is about 150 KB.
const TEXT_BYTES_MAX: u64 = 4 << 20;

/// From this length on, the client asks the node first whether it accepts the body. The node reads only a part of a
/// body that it refused, and a cut body would lose the refusal.
const ASK_FIRST_BYTES: u64 = 64 << 10;

/// A client of one node.
#[derive(Debug)]
pub struct NodeClient {
    agent: Agent,
    url: NodeAddress,
    bearer: Option<String>,
}

/// Time for a node to say whether it is ready. Another program on its port may never answer.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// The hint that is added when a key is missing.
const NO_KEY: &str =
    "no key was sent: give one with --operator-key, or name the node's data directory with --data";

/// A node's answer to an upload.
#[derive(Clone, Debug)]
pub struct UploadedImage {
    /// The id.
    pub id: ObjectId,
    /// By content.
    pub format: Format,
    /// The whole answer.
    pub answer: Map<String, Value>,
}

impl NodeClient {
    /// The node at `url`; nothing is sent yet.
    pub fn new(url: &NodeAddress) -> Self {
        Self::with_key(url, None)
    }

    /// The same, sending `key` with every request.
    pub fn with_key(url: &NodeAddress, key: Option<&HeaderKey>) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(REDIRECTS_MAX)
            .user_agent(concat!("reticulum/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(CONNECT_WITHIN))
            .timeout_connect(Some(CONNECT_WITHIN))
            .timeout_per_read(Some(SILENCE_MAX))
            .timeout_per_write(Some(SILENCE_MAX));
        let key = key.map(HeaderKey::as_str).filter(|key| !key.is_empty());
        Self {
            agent: config.build().new_agent(),
            url: url.clone(),
            bearer: key.map(|key| format!("Bearer {key}")),
        }
    }

    /// Whether it says that it is ready.
    pub fn is_ready(&self) -> bool {
        let request = self.agent.get(self.at("/readyz")).config().timeout_global(Some(READY_WITHIN)).build();
        request.call().is_ok_and(|answer| answer.status().is_success())
    }

    /// The number of members that the node sees as active and alive; 0 while it gives none.
    pub fn members(&self) -> usize {
        let status = self.get_json::<Value>("/status.json").unwrap_or_default();
        let nodes = status["nodes"].as_array().cloned().unwrap_or_default();
        nodes.iter().filter(|node| node["state"] == "active" && node["alive"] == true).count()
    }

    /// Uploads an image.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn upload(&self, bytes: &[u8]) -> Result<UploadedImage, ClientError> {
        let mut body = bytes;
        self.send(self.agent.post(self.at("/image")), &mut body, bytes.len() as u64)
    }

    /// Uploads `length` bytes, whose id is known.
    pub(super) fn put(
        &self,
        id: &ObjectId,
        body: &mut dyn Read,
        length: u64,
    ) -> Result<UploadedImage, ClientError> {
        self.send(self.agent.put(self.at(&format!("/image/{id}"))), body, length)
    }

    /// Uploads with the form that carries hints.
    pub(super) fn post_form(
        &self,
        id: &ObjectId,
        hints: &[Spec],
        body: &mut dyn Read,
        length: u64,
    ) -> Result<UploadedImage, ClientError> {
        // No image contains its own SHA-1, so the boundary cannot occur in it.
        let boundary = format!("reticulum-{id}");
        let hints: Vec<_> = hints.iter().map(Spec::to_string).collect();
        let field = format!("--{boundary}\r\nContent-Disposition: form-data; name=");
        let before = format!(
            "{field}\"size_hints\"\r\n\r\n{}\r\n{field}\"image\"; filename=\"image\"\r\n\r\n",
            hints.join(",")
        );
        let after = format!("\r\n--{boundary}--\r\n");
        let whole = (before.len() + after.len()) as u64 + length;
        let mut form = before.as_bytes().chain(body).chain(after.as_bytes());
        let media_type = format!("multipart/form-data; boundary={boundary}");
        self.send(self.agent.post(self.at("/")).header("Content-Type", media_type), &mut form, whole)
    }

    /// Fetches a page, file or text of one of the media types in `accept`.
    pub(super) fn get(&self, path: &str, accept: &str) -> Result<Response<Body>, ClientError> {
        let request = self.authorise(self.agent.get(self.at(path))).header("Accept", accept);
        self.require_success(request.call().map_err(|error| self.failure(&error))?)
    }

    /// Fetches a JSON object of a known form.
    pub(super) fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let answer = self.get(path, "application/json")?;
        self.json(answer)
    }

    /// Posts a JSON object, and reads one of a known form.
    pub(super) fn post_json<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, ClientError> {
        let request =
            self.authorise(self.agent.post(self.at(path))).header("Content-Type", "application/json");
        let sent = request.send(body.to_string());
        let answer = self.require_success(sent.map_err(|error| self.failure(&error))?)?;
        self.json(answer)
    }

    /// Posts nothing, and reads a JSON object of a known form.
    pub(super) fn post<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let sent = self.authorise(self.agent.post(self.at(path))).send_empty();
        let answer = self.require_success(sent.map_err(|error| self.failure(&error))?)?;
        self.json(answer)
    }

    /// Deletes an image.
    pub(super) fn delete(&self, path: &str) -> Result<Map<String, Value>, ClientError> {
        let request = self.authorise(self.agent.delete(self.at(path)));
        let answer = self.require_success(request.call().map_err(|error| self.failure(&error))?)?;
        self.json(answer)
    }

    /// The error for an answer that does not come from a node, for this reason.
    pub(super) fn strange(&self, what: &'static str) -> ClientError {
        ClientError::Strange { node: self.url.to_string(), what }
    }

    fn send(
        &self,
        request: RequestBuilder<ureq::typestate::WithBody>,
        body: &mut dyn Read,
        length: u64,
    ) -> Result<UploadedImage, ClientError> {
        let mut request = self.authorise(request).header("Content-Length", length);
        if length >= ASK_FIRST_BYTES {
            request = request.header("Expect", "100-continue");
        }
        let sent = request.send(SendBody::from_reader(body));
        let answer = self.require_success(sent.map_err(|error| self.failure(&error))?)?;
        let answer: Map<String, Value> = self.json(answer)?;
        let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
        match (ObjectId::parse(text("hash")), Extension::parse(text("extension"))) {
            (Ok(id), Some(Extension::Format(format))) => Ok(UploadedImage { id, format, answer }),
            _ => Err(self.strange("its answer to an upload names no image")),
        }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn authorise<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.bearer {
            Some(bearer) => request.header("Authorization", bearer),
            None => request,
        }
    }

    /// The answer; an error if it is a refusal.
    fn require_success(&self, mut answer: Response<Body>) -> Result<Response<Body>, ClientError> {
        #[derive(Deserialize)]
        struct ProblemBody {
            r#type: String,
            detail: String,
        }
        let status = answer.status().as_u16();
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        let retry_after = answer.headers().get("Retry-After").and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| text.parse().ok()).map(Duration::from_secs);
        let text = read_text(&mut answer).unwrap_or_default();
        let (kind, detail) = match serde_json::from_slice(&text) {
            Ok(ProblemBody { r#type, detail }) if r#type == "key" && self.bearer.is_none() => {
                (r#type, format!("{} ({NO_KEY})", harmless(&detail)))
            }
            Ok(ProblemBody { r#type, detail }) => (r#type, harmless(&detail)),
            Err(_) => (String::new(), "the answer does not say why; look at --node".to_owned()),
        };
        Err(ClientError::Refused { status, kind, detail, retry_after })
    }

    fn json<T: DeserializeOwned>(&self, mut answer: Response<Body>) -> Result<T, ClientError> {
        let text = read_text(&mut answer).map_err(|error| self.failure(&error))?;
        serde_json::from_slice(&text).map_err(|_| self.strange("its answer is not the JSON of the contract"))
    }

    fn failure(&self, error: &ureq::Error) -> ClientError {
        use io::ErrorKind as Kind;
        let unreachable = |cause| ClientError::Unreachable { node: self.url.to_string(), cause };
        match error {
            ureq::Error::Io(error) => match error.kind() {
                Kind::ConnectionRefused | Kind::HostUnreachable | Kind::NetworkUnreachable => {
                    unreachable(error.to_string())
                }
                _ => ClientError::Broken(error.to_string()),
            },
            ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => {
                unreachable(format!("no answer within {} s", CONNECT_WITHIN.as_secs()))
            }
            ureq::Error::HostNotFound => unreachable("no such host".to_owned()),
            ureq::Error::ConnectionFailed => unreachable("the connection failed".to_owned()),
            ureq::Error::Timeout(_) => {
                ClientError::Broken(format!("nothing moved for {} s", SILENCE_MAX.as_secs()))
            }
            ureq::Error::Protocol(_) => self.strange("it does not speak HTTP"),
            ureq::Error::TooManyRedirects => self.strange("it redirects in circles"),
            ureq::Error::BodyExceedsLimit(_) => self.strange("its answer is too long"),
            error => ClientError::Broken(harmless(&error.to_string())),
        }
    }
}

/// The answer's bytes, if they are few enough.
fn read_text(answer: &mut Response<Body>) -> Result<Vec<u8>, ureq::Error> {
    answer.body_mut().with_config().limit(TEXT_BYTES_MAX).read_to_vec()
}
