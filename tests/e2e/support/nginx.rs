//! A real nginx before a node: what a stranger who comes through the plainest reverse proxy can do.
//!
//! Each has a configuration, a directory and a free port on 127.0.0.1 of its own, and is gone when it is dropped. Where
//! no nginx is installed a test says that it did not run; with `CI=true` that is a failure.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use tempfile::TempDir;

use crate::support::client::{Answer, Connection, Request};
use crate::support::harness::{Node, free_port, skipped, wait_until};

/// Stands for the node's address and port in a location's directives; the upstream `kept` keeps connections to it.
const NODE: &str = "NODE";

/// What an administrator writes first: the node is asked by HTTP/1.0 and as `Host: 127.0.0.1`.
const PLAIN: &str = "proxy_pass http://NODE;";

/// The same with connections that are kept alive, and still without any forwarding header.
const KEEPING_ALIVE: &str =
    "proxy_pass http://kept; proxy_http_version 1.1; proxy_set_header Connection \"\";";

/// What a careful administrator writes.
const FORWARDING: &str = "proxy_pass http://kept; proxy_http_version 1.1; proxy_set_header Connection \"\"; \
    proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; \
    proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header Forwarded \"for=$remote_addr\"; \
    proxy_set_header Via \"1.1 nginx\";";

/// A running nginx.
pub(crate) struct Nginx {
    child: Child,
    port: u16,
    directory: TempDir,
}

impl Nginx {
    /// The plainest: it adds nothing. `None`: nginx is not installed.
    #[track_caller]
    pub(crate) fn plain(node: &Node) -> Option<Self> {
        Self::start(node, PLAIN)
    }

    /// The same over connections that it keeps, and shares among all who ask.
    #[track_caller]
    pub(crate) fn keeping_alive(node: &Node) -> Option<Self> {
        Self::start(node, KEEPING_ALIVE)
    }

    /// One that says for whom it asks, in every way there is.
    #[track_caller]
    pub(crate) fn forwarding(node: &Node) -> Option<Self> {
        Self::start(node, FORWARDING)
    }

    /// One whose only location has these directives. In them `NODE` is the node's address and port, and `kept` an
    /// upstream with connections to it that are kept alive.
    #[track_caller]
    pub(crate) fn start(node: &Node, directives: &str) -> Option<Self> {
        let Some(binary) = binary() else {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "CI runs with nginx: install it");
            skipped("nginx is not installed");
            return None;
        };
        let directory = TempDir::with_prefix("reticulum-nginx-").expect("a temporary directory");
        let port = free_port();
        let config = config(directory.path(), port, node.port(), directives);
        fs::write(directory.path().join("nginx.conf"), config).expect("write the config");
        let log = File::create(directory.path().join("output.log")).expect("a log file");
        let child = Command::new(binary)
            .arg("-p")
            .arg(directory.path())
            .args(["-c", "nginx.conf", "-e", "error.log"])
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("start nginx");
        let mut nginx = Self { child, port, directory };
        wait_until("nginx to answer", || {
            if let Some(status) = nginx.child.try_wait().expect("wait") {
                panic!("nginx ended: {status}\n{}", nginx.log());
            }
            Connection::try_open(nginx.port).is_ok()
        });
        Some(nginx)
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

    fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.directory.path().join(name)).unwrap_or_default();
        read("error.log") + &read("output.log")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It runs as one process, without workers.
        let _gone_already = self.child.kill();
        let _reaped_already = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- nginx on {}\n{}\n---", self.port, self.log());
        }
    }
}

/// Where Debian and most others have it; a user's path seldom names it.
fn binary() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = std::env::split_paths(&path).map(|folder| folder.join("nginx"));
    let usual = ["/usr/sbin/nginx", "/usr/local/sbin/nginx"].map(PathBuf::from);
    named.chain(usual).find(|path| path.is_file())
}

fn config(directory: &Path, port: u16, node: u16, directives: &str) -> String {
    let (scratch, node) = (directory.display(), format!("127.0.0.1:{node}"));
    let directives = directives.replace(NODE, &node);
    format!(
        "daemon off;
master_process off;
pid {scratch}/nginx.pid;
error_log {scratch}/error.log info;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {scratch}/body;
    proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi;
    uwsgi_temp_path {scratch}/uwsgi;
    scgi_temp_path {scratch}/scgi;
    client_max_body_size 64m;
    upstream kept {{
        server {node};
        keepalive 8;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            {directives}
        }}
    }}
}}
"
    )
}
