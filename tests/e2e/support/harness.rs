//! A running node in a directory of its own, and what a test asks of it beside HTTP.
//!
//! The node is ready when [`Node::start`] returns, and gone when the [`Node`] is dropped. What it printed is
//! kept in its directory; when the test fails, that is shown and the directory stays.

mod config;
mod limits;

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sha1::{Digest, Sha1};
use tempfile::TempDir;

pub(crate) use super::ports::{free_port, free_ports};
use crate::support::client::{Answer, Connection, PATIENCE, Request};

const BINARY: &str = env!("CARGO_BIN_EXE_reticulum");

/// The operator key of nodes whose config says nothing of access, and of the commands that [`run`] runs.
pub(crate) const OPERATOR_KEY: &str = "the-operator-key-of-the-tests";

/// What a node is started with.
#[derive(Clone, Default)]
pub(crate) struct Options {
    /// 0 means one.
    pub(crate) shards: usize,
    /// The text of its config file.
    pub(crate) config: String,
    /// Where its data lies; by default in the node's own directory.
    pub(crate) data: Option<PathBuf>,
    /// Where it listens; by default on a port that is free.
    pub(crate) port: Option<u16>,
    /// More flags of `serve`.
    pub(crate) flags: Vec<&'static str>,
    /// Variables of its environment.
    pub(crate) variables: Vec<(&'static str, String)>,
    /// File descriptors that it may have; by default as many as this process.
    pub(crate) descriptors: Option<u64>,
}

/// A running node.
pub(crate) struct Node {
    child: Child,
    options: Options,
    port: u16,
    scratch: TempDir,
}

impl Node {
    /// Starts a node and waits until it is ready.
    #[track_caller]
    pub(crate) fn start(options: Options) -> Self {
        let mut node = Self::begin(options);
        node.wait_until_ready();
        node
    }

    /// Starts a node and waits until it takes requests, ready or not.
    #[track_caller]
    pub(crate) fn start_unready(options: Options) -> Self {
        let mut node = Self::begin(options);
        node.wait_until("/healthz");
        node
    }

    fn begin(options: Options) -> Self {
        let scratch = TempDir::with_prefix("reticulum-e2e-").expect("a temporary directory");
        fs::write(scratch.path().join("reticulum.toml"), config::completed(&options.config))
            .expect("write the config");
        let port = options.port.unwrap_or_else(free_port);
        let child = spawn(&options, port, scratch.path());
        Self { child, options, port, scratch }
    }

    /// A node of one shard with the defaults.
    #[track_caller]
    pub(crate) fn plain() -> Self {
        Self::start(Options::default())
    }

    /// A node of one shard with this config.
    #[track_caller]
    pub(crate) fn with_config(config: &str) -> Self {
        Self::start(Options { config: config.into(), ..Options::default() })
    }

    /// A node with the defaults and so many shards.
    #[track_caller]
    pub(crate) fn with_shards(shards: usize) -> Self {
        Self::start(Options { shards, ..Options::default() })
    }

    /// Starts it again, after its end, on the same directory and port.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        self.restart_unready();
        self.wait_until_ready();
    }

    /// The same, but it may take long until it is ready, if ever.
    #[track_caller]
    pub(crate) fn restart_unready(&mut self) {
        assert!(self.child.try_wait().expect("wait").is_some(), "end the node before starting it again");
        self.child = spawn(&self.options, self.port, self.scratch.path());
    }

    /// Starts it again as above, with so many shards from now on.
    #[track_caller]
    pub(crate) fn restart_with_shards(&mut self, shards: usize) {
        self.options.shards = shards;
        self.restart();
    }

    /// SIGKILL.
    pub(crate) fn kill9(&mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// Sends a signal and returns at once.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("send a signal");
    }

    /// SIGTERM; its exit code.
    #[track_caller]
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.wait_for_exit().code()
    }

    #[track_caller]
    pub(crate) fn wait_for_exit(&mut self) -> ExitStatus {
        wait_for_exit(&mut self.child)
    }

    /// What it is started with the next time; the config is written once.
    pub(crate) fn options_mut(&mut self) -> &mut Options {
        &mut self.options
    }

    /// The number of its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    #[track_caller]
    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.port)
    }

    /// The answer to one request on a connection of its own.
    #[track_caller]
    pub(crate) fn ask(&self, request: &Request) -> Answer {
        self.connect().ask(request)
    }

    #[track_caller]
    pub(crate) fn get(&self, target: &str) -> Answer {
        self.ask(&Request::get(target))
    }

    /// The key that may do everything: as configured, or as the node made it.
    #[track_caller]
    pub(crate) fn operator_key(&self) -> String {
        let config = fs::read_to_string(self.scratch.path().join("reticulum.toml")).expect("read the config");
        let configured = config.split_once("operator_key = \"").and_then(|(_, rest)| rest.split_once('"'));
        if let Some((key, _)) = configured {
            return key.to_owned();
        }
        let path = self.data().join("operator.key");
        fs::read_to_string(path).expect("an operator key").trim().to_owned()
    }

    /// The request, with the operator key.
    #[track_caller]
    pub(crate) fn with_operator_key(&self, request: Request) -> Request {
        request.header("Authorization", &format!("Bearer {}", self.operator_key()))
    }

    /// The answer to the operator.
    #[track_caller]
    pub(crate) fn operate(&self, target: &str) -> Answer {
        self.ask(&self.with_operator_key(Request::get(target)))
    }

    /// Uploads an image, with the operator key, that must be taken; its id.
    #[track_caller]
    pub(crate) fn upload(&self, bytes: &[u8]) -> String {
        let id = sha1(bytes);
        let answer = self.ask(&self.with_operator_key(put(bytes))).expect(200);
        assert_eq!(answer.json()["hash"], id.as_str(), "{answer:?}");
        id
    }

    /// The sum of the series that a selector like `name{label="value"}` picks; 0 when there is none.
    #[track_caller]
    pub(crate) fn metric(&self, selector: &str) -> f64 {
        let answer = self.operate("/metrics").expect(200);
        let text = String::from_utf8(answer.body).expect("metrics are UTF-8");
        let (name, labels) = selector.trim_end_matches('}').split_once('{').unwrap_or((selector, ""));
        let wanted: Vec<&str> = labels.split(',').filter(|label| !label.is_empty()).collect();
        let series = text.lines().filter_map(|line| line.rsplit_once(' '));
        let picked = series.filter(|(key, _)| {
            key.split('{').next() == Some(name) && wanted.iter().all(|label| key.contains(label))
        });
        picked.map(|(_, value)| value.parse::<f64>().expect("a number")).sum()
    }

    /// The most memory it ever held, in bytes.
    pub(crate) fn rss_peak(&self) -> u64 {
        self.process_status("VmHWM:")
    }

    /// The memory that it holds now, in bytes.
    pub(crate) fn rss(&self) -> u64 {
        self.process_status("VmRSS:")
    }

    fn process_status(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of that name");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.scratch.path().join("node.log")).expect("read the log")
    }

    pub(crate) fn data(&self) -> PathBuf {
        data_directory(&self.options, self.scratch.path())
    }

    /// Where the bytes of an image lie.
    pub(crate) fn stored(&self, id: &str, extension: &str) -> PathBuf {
        self.data().join("store").join(&id[..2]).join(&id[2..4]).join(format!("{id}.{extension}"))
    }

    /// Every file below a folder of the data directory.
    pub(crate) fn files(&self, folder: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        walk(&self.data().join(folder), &mut found);
        // By which the store is known again.
        found.retain(|path| !path.ends_with("store/.reticulum"));
        found
    }

    /// Panics unless nothing of a refused upload remains: no image, and soon no temporary file.
    #[track_caller]
    pub(crate) fn expect_nothing_stored(&self) {
        assert_eq!(self.files("store"), Vec::<PathBuf>::new());
        self.wait_until_tmp_is_empty();
    }

    #[track_caller]
    pub(crate) fn wait_until_tmp_is_empty(&self) {
        wait_until("tmp/ to be empty", || self.files("tmp").is_empty());
    }

    /// Deletes the whole variant cache, whether the node runs or not. It writes meanwhile (what an image looks like is
    /// learnt in the background), and a directory that has got a new file since it was listed is not empty.
    pub(crate) fn remove_cache(&self) {
        let cache = self.data().join("cache");
        wait_until("the cache to be gone", || match fs::remove_dir_all(&cache) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => false,
            Err(error) => panic!("cannot remove the cache: {error}"),
        });
    }

    /// Panics unless the SHA-1 of every stored file is its name.
    #[track_caller]
    pub(crate) fn expect_store_is_whole(&self) {
        for path in self.files("store") {
            let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name");
            assert_eq!(sha1(&fs::read(&path).expect("read")), name, "{} is torn", path.display());
        }
    }

    #[track_caller]
    pub(crate) fn wait_until_ready(&mut self) {
        self.wait_until("/readyz");
    }

    /// Waits until this page is there.
    #[track_caller]
    fn wait_until(&mut self, page: &str) {
        let begin = Instant::now();
        loop {
            let answer = Connection::try_open(self.port);
            let answer = answer.and_then(|mut connection| connection.try_ask(&Request::get(page)));
            if answer.is_ok_and(|answer| answer.status == 200) {
                return;
            }
            if let Some(status) = self.child.try_wait().expect("wait") {
                panic!("the node ended while {page} was awaited: {status}");
            }
            assert!(begin.elapsed() < PATIENCE, "{page} is not there after {PATIENCE:?}");
            pause();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped_already = self.child.wait();
        if std::thread::panicking() {
            self.scratch.disable_cleanup(true);
            show_logs(&self.options, self.scratch.path());
        }
    }
}

/// What a run of the binary to its end gave.
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

/// Runs the binary with these arguments and the operator key of the tests; it must end by itself.
#[track_caller]
pub(crate) fn run(arguments: &[&str]) -> Finished {
    run_with(arguments, &[])
}

/// Runs it as above, with these variables in its environment.
#[track_caller]
pub(crate) fn run_with(arguments: &[&str], variables: &[(&str, &str)]) -> Finished {
    let scratch = TempDir::with_prefix("reticulum-e2e-").expect("a temporary directory");
    run_in(scratch.path(), arguments, variables)
}

/// Runs it as above in this directory.
#[track_caller]
pub(crate) fn run_in(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Finished {
    let scratch = TempDir::with_prefix("reticulum-e2e-").expect("a temporary directory");
    let [out, log] = ["stdout", "stderr.log"].map(|name| scratch.path().join(name));
    let mut command = command(directory);
    command.args(arguments).env("RETICULUM_OPERATOR_KEY", OPERATOR_KEY).envs(variables.iter().copied());
    command.stdout(File::create(&out).expect("a file")).stderr(File::create(&log).expect("a log file"));
    let mut child = command.spawn().expect("start the binary");
    let code = wait_for_exit(&mut child).code();
    let stdout = fs::read(out).expect("read the output");
    Finished { code, stdout, stderr: fs::read_to_string(log).expect("read the log") }
}

/// Runs `work` with 0, 1, … in so many threads that all begin at the same moment; the results in that order.
pub(crate) fn at_once<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let gate = Barrier::new(count);
    let run = |index| {
        gate.wait();
        work(index)
    };
    let run = &run;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|index| scope.spawn(move || run(index))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic in a thread")).collect()
    })
}

/// Waits for an event that is sure to come; panics when it does not come in time.
#[track_caller]
pub(crate) fn wait_until(what: &str, happened: impl FnMut() -> bool) {
    wait_until_within(PATIENCE, what, happened);
}

/// The same, where the time is what was promised.
#[track_caller]
pub(crate) fn wait_until_within(time: Duration, what: &str, mut happened: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !happened() {
        assert!(begin.elapsed() < time, "waited {time:?} for {what}");
        pause();
    }
}

/// `PUT /image/{id}` of these bytes.
pub(crate) fn put(bytes: &[u8]) -> Request {
    Request::new("PUT", &format!("/image/{}", sha1(bytes))).body(bytes)
}

/// Lower-case hex SHA-1.
pub(crate) fn sha1(bytes: &[u8]) -> String {
    Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Says that a test did not run, past the capturing of a test's output.
pub(crate) fn skipped(reason: &str) {
    let mut stderr = std::io::stderr();
    writeln!(stderr, "SKIPPED: {reason}").expect("write to stderr");
}

#[track_caller]
fn wait_for_exit(child: &mut Child) -> ExitStatus {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("wait") {
            return status;
        }
        if begin.elapsed() > PATIENCE {
            child.kill().expect("kill");
            child.wait().expect("wait");
            panic!("the process does not end");
        }
        pause();
    }
}

/// The only sleep of these tests: between two looks at a state.
fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}

fn spawn(options: &Options, port: u16, scratch: &Path) -> Child {
    let log = File::options().create(true).append(true).open(scratch.join("node.log")).expect("a log file");
    let mut command = command(scratch);
    if let Some(descriptors) = options.descriptors {
        command = limits::with_descriptors(&command, descriptors);
    }
    command.arg("serve").args(["--listen", &format!("127.0.0.1:{port}")]);
    command.args(["--shards", &options.shards.max(1).to_string()]);
    command.arg("--data").arg(data_directory(options, scratch));
    command.arg("--config").arg(scratch.join("reticulum.toml"));
    command.args(&options.flags).envs(options.variables.iter().cloned());
    command.stdout(log.try_clone().expect("a second handle")).stderr(log);
    command.spawn().expect("start the binary")
}

/// The binary in `scratch`, hearing nothing of the environment's `RETICULUM_…`.
fn command(scratch: &Path) -> Command {
    let mut command = Command::new(BINARY);
    command.current_dir(scratch);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RETICULUM_") {
            command.env_remove(name);
        }
    }
    command
}

fn data_directory(options: &Options, scratch: &Path) -> PathBuf {
    options.data.clone().unwrap_or_else(|| scratch.join("data"))
}

fn show_logs(options: &Options, scratch: &Path) {
    let log = fs::read_to_string(scratch.join("node.log")).unwrap_or_default();
    let (shards, config) = (options.shards.max(1), &options.config);
    eprintln!("--- node with {shards} shards, kept in {}\n{config}\n{log}\n---", scratch.display());
}

fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
    // A file or folder may vanish while the node works: then it is not there.
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&entry.path(), found),
            Ok(_) => found.push(entry.path()),
            Err(_) => {}
        }
    }
}
