//! `reticulum put`: uploads files and folders, a few at a time.
//!
//! A file is read twice: once for its id, so that the node can refuse bytes that changed on the way,
//! and once to send it. Memory does not grow with a file or with the number of files.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value};

use super::ClientError;
use super::credentials;
use super::folder::{self, FoundFile};
use super::harmless::harmless;
use super::node::{NodeClient, UploadedImage};
use super::output::{self, CommandOutput};
use crate::cli::commands::Put;
use crate::object::{IdHasher, ObjectId, Spec};

/// Uploads at once. A node takes 64 by default, and leaves room for others with these.
const UPLOADS_MAX: usize = 4;

/// Paths found ahead of the uploads.
const WAITING_MAX: usize = 64;

/// Attempts for one file while the node answers 503.
const TRIES_MAX: u32 = 6;

/// The first pause between two tries; each further one is twice as long, and none shorter than the node asks.
const PAUSE: Duration = Duration::from_millis(200);

/// The longest pause, whatever the node asks.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Bytes read at once while hashing.
const CHUNK_BYTES: usize = 256 << 10;

const PROGRESS: &str = "{bar:30} {pos}/{len} files, {elapsed}{msg}";

type Sent = (PathBuf, Result<UploadedImage, ClientError>);

pub(super) fn run(flags: &Put) -> Result<(), ClientError> {
    let node = credentials::uploader(&flags.asked, flags.key.as_ref());
    let output = if output::is_watched() {
        CommandOutput::with_progress(Some(count(&flags.paths)), PROGRESS)
    } else {
        CommandOutput::plain()
    };
    let mut tally = Tally { flags, output, tried: 0, failed: 0, unreachable: None };
    let stopped = AtomicBool::new(false);
    let (paths, to_send) = flume::bounded::<FoundFile>(WAITING_MAX);
    let (results, sent) = flume::bounded::<Sent>(WAITING_MAX);
    let ended = thread::scope(|scope| {
        scope.spawn(move || folder::walk(&flags.paths, &mut |found| flow(paths.send(found).is_ok())));
        for _ in 0..UPLOADS_MAX {
            let sender = Uploader { node: &node, hints: &flags.hints, stopped: &stopped };
            let (to_send, results) = (to_send.clone(), results.clone());
            scope.spawn(move || sender.send_all(&to_send, &results));
        }
        // Only the threads keep these now, so that each side notices the end of the other.
        drop((to_send, results));
        sent.into_iter().try_for_each(|(path, result)| tally.take(&path, result))
    });
    tally.output.finish();
    ended?;
    match (tally.unreachable, tally.failed) {
        (Some(error), _) => Err(error),
        (None, 0) => Ok(()),
        (None, failed) => Err(ClientError::Some { failed, of: tally.tried }),
    }
}

/// The state of one uploading thread.
#[derive(Clone, Copy)]
struct Uploader<'a> {
    node: &'a NodeClient,
    hints: &'a [Spec],
    /// Set when the node is unreachable: the next file would fail in the same way.
    stopped: &'a AtomicBool,
}

impl Uploader<'_> {
    /// Uploads the found files until there are no more, or until the node is unreachable.
    fn send_all(self, found: &flume::Receiver<FoundFile>, results: &flume::Sender<Sent>) {
        for (path, found) in found {
            if self.stopped.load(Relaxed) {
                return;
            }
            let result = found.and_then(|()| send(self.node, self.hints, &path));
            if matches!(result, Err(ClientError::Unreachable { .. })) {
                self.stopped.store(true, Relaxed);
            }
            if results.send((path, result)).is_err() {
                return;
            }
        }
    }
}

fn send(node: &NodeClient, hints: &[Spec], path: &Path) -> Result<UploadedImage, ClientError> {
    let failure = |error| ClientError::File("read", path.to_path_buf(), error);
    let mut file = File::open(path).map_err(failure)?;
    let (id, length) = digest(&mut file).map_err(failure)?;
    let mut pause = PAUSE;
    let mut tries = 1;
    loop {
        file.rewind().map_err(failure)?;
        let mut body = Exactly { file: &mut file, left: length, failed: None };
        let sent = match hints {
            [] => node.put(&id, &mut body, length),
            hints => node.post_form(&id, hints, &mut body, length),
        };
        match (sent, body.failed) {
            (Ok(uploaded), _) if uploaded.id == id => return Ok(uploaded),
            // The form does not name the id in advance; the image is stored nevertheless.
            (Ok(_), _) => return Err(ClientError::Changed),
            (Err(_), Some(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(ClientError::Changed);
            }
            (Err(_), Some(error)) => return Err(failure(error)),
            (Err(ClientError::Refused { status: 503, retry_after: Some(asked), .. }), None)
                if tries < TRIES_MAX =>
            {
                thread::sleep(pause.max(asked).min(PAUSE_MAX));
                pause *= 2;
                tries += 1;
            }
            (Err(error), None) => return Err(error),
        }
    }
}

fn digest(file: &mut File) -> io::Result<(ObjectId, u64)> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let (mut hasher, mut length) = (IdHasher::default(), 0);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((hasher.finish(), length)),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                length += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reads exactly as many bytes of a file as were announced; it keeps the error of a shorter file.
struct Exactly<'a> {
    file: &'a mut File,
    left: u64,
    failed: Option<io::Error>,
}

impl Read for Exactly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if wanted == 0 {
            return Ok(0);
        }
        let read = match self.file.read(&mut buffer[..wanted]) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            read => read,
        };
        read.inspect(|count| self.left -= *count as u64).map_err(|error| {
            let kind = error.kind();
            self.failed = Some(error);
            kind.into()
        })
    }
}

/// The totals so far.
struct Tally<'a> {
    flags: &'a Put,
    output: CommandOutput,
    tried: u64,
    failed: u64,
    /// The reason for stopping early.
    unreachable: Option<ClientError>,
}

impl Tally<'_> {
    /// Reports the result of one file.
    fn take(&mut self, path: &Path, result: Result<UploadedImage, ClientError>) -> Result<(), ClientError> {
        self.tried += 1;
        self.output.advance(1);
        let shown = path.to_string_lossy();
        match result {
            Ok(uploaded) if self.flags.json => {
                let mut answer = uploaded.answer;
                answer.insert("path".to_owned(), shown.into());
                self.output.line(Value::Object(answer))
            }
            Ok(UploadedImage { id, format, .. }) => {
                let (node, extension, shown) =
                    (&self.flags.asked.target.node, format.extension(), harmless(&shown));
                self.output.line(format_args!("{id} {node}/image/{id}/full/image.{extension} {shown}"))
            }
            Err(error) => {
                self.failed += 1;
                let failed = self.failed;
                self.output.say(|| format!(", {failed} failed"));
                self.complain(&shown, error)
            }
        }
    }

    fn complain(&mut self, path: &str, error: ClientError) -> Result<(), ClientError> {
        if self.flags.json {
            let fields = [("path", path.to_owned()), ("error", error.to_string())];
            let fields: Map<_, _> =
                fields.into_iter().map(|(key, text)| (key.to_owned(), text.into())).collect();
            self.output.line(Value::Object(fields))?;
        }
        match error {
            // Reported once, at the end.
            ClientError::Unreachable { .. } => {
                self.output.complain(format_args!("{path} was not sent, and nothing that follows will be"));
                self.unreachable = Some(error);
            }
            _ if self.flags.json => {}
            // It names the path itself.
            ClientError::File(..) => self.output.complain(error),
            error => self.output.complain(format_args!("{path}: {error}")),
        }
        Ok(())
    }
}

fn count(paths: &[PathBuf]) -> u64 {
    let mut files = 0;
    let _ = folder::walk(paths, &mut |_| {
        files += 1;
        ControlFlow::Continue(())
    });
    files
}

fn flow(goes_on: bool) -> ControlFlow<()> {
    if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}
