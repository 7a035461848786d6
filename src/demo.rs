//! `reticulum demo`: a cluster in a temporary directory with sample images, until Ctrl-C.
//!
//! The nodes are child processes of the same program, as real ones would be, and end with this one however it ends;
//! the images are drawn by the program itself.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::cli::Demo;
use crate::cli::address::{HeaderKey, NodeAddress};
use crate::client::{self, ClientError, UploadedImage};
use crate::config::PREFIX;
use crate::image::draw;
use crate::image::error::RenderError;

/// The nodes must be ready and know each other within this time.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// Lines of its log that a node which does not start is given.
const LOG_LINES: usize = 10;

/// Why there is no demo.
#[derive(Debug)]
pub enum DemoError {
    /// The system's refusal, with what was being done.
    Io(&'static str, io::Error),
    /// A sample could not be drawn.
    Draw(RenderError),
    /// A node ended or was not ready in time; these last lines of its log say why.
    Node(String),
    /// There are not so many ports behind the first one.
    Port,
    /// A node did not take a sample.
    Upload(ClientError),
}

/// Secrets of the nodes, made for this demo alone. They go by the environment: every user of the machine can see the
/// arguments of a process.
struct Secrets {
    cluster: String,
    operator: String,
}

/// A running node; dropping it stops it.
struct DemoNode {
    child: Child,
    log: PathBuf,
    address: SocketAddr,
    client: client::NodeClient,
}

/// Runs the demo until it is interrupted.
///
/// # Errors
/// [`DemoError`]; nothing is left behind.
pub fn run(flags: &Demo) -> Result<(), DemoError> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM]).map_err(|error| DemoError::Io("watch signals", error))?;
    let directory = tempfile::Builder::new()
        .prefix("reticulum-demo-")
        .tempdir()
        .map_err(|error| DemoError::Io("make a temporary directory", error))?;
    println!("Starting {} of Reticulum. Their logs:\n", count(flags.nodes));
    (1..=flags.nodes).for_each(|number| println!("  {}", log_of(directory.path(), number).display()));
    println!();
    let secrets = Secrets { cluster: random()?, operator: random()? };
    let mut nodes = Vec::new();
    for number in 0..flags.nodes {
        let port = flags.port.checked_add(number.into()).ok_or(DemoError::Port)?;
        let first = nodes.first().map(|node: &DemoNode| node.address);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut node = DemoNode::start(number + 1, address, first, directory.path(), &secrets)?;
        node.wait_until(client::NodeClient::is_ready)?;
        nodes.push(node);
    }
    for node in &mut nodes {
        node.wait_until(|client| client.members() == usize::from(flags.nodes))?;
    }
    print_addresses(&nodes, &secrets.operator);
    let first = &nodes[0];
    for (name, bytes) in draw::samples().map_err(DemoError::Draw)? {
        let UploadedImage { id, format, .. } = first.client.upload(&bytes).map_err(DemoError::Upload)?;
        let extension = format.extension();
        println!("{name}");
        for spec in ["full", "600w", "300w200h,fill", "100s"] {
            println!("  http://{}/image/{id}/{spec}/{name}.{extension}", first.address);
        }
        println!();
    }
    println!("Press Ctrl-C to stop; nothing is left behind.");
    signals.forever().next();
    drop(nodes);
    directory.close().map_err(|error| DemoError::Io("remove the temporary directory", error))
}

/// 128 random bits, as text.
fn random() -> Result<String, DemoError> {
    let mut bytes = [0; 16];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(|error| DemoError::Io("read random bytes", error))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn count(nodes: u8) -> String {
    if nodes == 1 { "1 node".to_owned() } else { format!("{nodes} nodes") }
}

/// The log of a node. It goes with the directory.
fn log_of(directory: &Path, number: u8) -> PathBuf {
    directory.join(format!("demo{number}.log"))
}

/// The end of a log, for somebody who looks at it once.
fn last_lines(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

fn print_addresses(nodes: &[DemoNode], key: &str) {
    match nodes {
        [node] => println!("The node is running on http://{}. Its pages, with their key:\n", node.address),
        nodes => {
            println!("The {} nodes are running as one cluster. Their pages, with their key:\n", nodes.len())
        }
    }
    nodes.iter().for_each(|node| println!("  http://operator:{key}@{}/status.json", node.address));
    println!("\nUploads need the same key:\n");
    println!("  curl -u operator:{key} -F image=@photo.jpg http://{}/", nodes[0].address);
    println!("\nThese images are there:\n");
}

impl DemoNode {
    fn start(
        number: u8,
        address: SocketAddr,
        first: Option<SocketAddr>,
        directory: &Path,
        secrets: &Secrets,
    ) -> Result<Self, DemoError> {
        let start = |error| DemoError::Io("start the node", error);
        let mut command = Command::new(std::env::current_exe().map_err(start)?);
        // Variables that are set for a real node must not change this one.
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
                command.env_remove(name);
            }
        }
        command
            .args(["serve", "--name", &format!("demo{number}"), "--listen", &address.to_string()])
            .args(["--with-parent", &std::process::id().to_string(), "--data"])
            .arg(directory.join(number.to_string()))
            .env(format!("{PREFIX}ACCESS_OPERATOR_KEY"), &secrets.operator)
            .env(format!("{PREFIX}CLUSTER_SECRET"), &secrets.cluster);
        if let Some(first) = first {
            command.args(["--join", &format!("http://{first}")]);
        }
        let log = log_of(directory, number);
        let file = File::create(&log).map_err(|error| DemoError::Io("make a log file", error))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        let child = command.spawn().map_err(start)?;
        let key: Option<HeaderKey> = secrets.operator.parse().ok();
        Ok(Self {
            child,
            log,
            address,
            client: client::NodeClient::with_key(&NodeAddress::at(address), key.as_ref()),
        })
    }

    fn wait_until(&mut self, is_so: impl Fn(&client::NodeClient) -> bool) -> Result<(), DemoError> {
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                break;
            }
            // While the child lives and the port answers, it is the child: it would have ended at once if
            // another program held the port.
            if is_so(&self.client) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(DemoError::Node(last_lines(&self.log)))
    }
}

impl Drop for DemoNode {
    fn drop(&mut self) {
        // Ctrl-C on a terminal has reached the child too, and a second signal would cut its end short;
        // so it is only asked if it does not end by itself.
        for _ in 0..50 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // Nothing in the temporary directory needs an orderly end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl fmt::Display for DemoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(doing, error) => write!(f, "cannot {doing}: {error}"),
            Self::Draw(error) => write!(f, "cannot draw a sample: {error}"),
            Self::Node(log) => {
                write!(f, "a node did not start; choose another --port, or see the end of its log:\n{log}")
            }
            Self::Port => f.write_str("there are no ports behind 65535; choose a lower --port"),
            Self::Upload(error) => write!(f, "cannot upload a sample: {error}"),
        }
    }
}

impl std::error::Error for DemoError {}
