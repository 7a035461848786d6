//! What a node's config says where a test does not care.

use std::fs::File;
use std::io::Read;
use std::sync::LazyLock;

use super::OPERATOR_KEY;

/// The config with what most tests need and few are about: open uploads and a known operator key, unless it says
/// something of access; the tests' secret, where there is a section of the cluster without one; patience.
pub(super) fn completed(config: &str) -> String {
    let mut config = patient(config);
    if !config.contains("[access]\n") {
        config += &format!("\n[access]\nopen_uploads = true\noperator_key = \"{OPERATOR_KEY}\"\n");
    }
    if config.contains("[cluster]\n") && !config.contains("\nsecret") {
        config = config.replacen("[cluster]\n", &format!("[cluster]\nsecret = \"{}\"\n", secret()), 1);
    }
    config
}

/// The secret of all clusters of this run of the tests, made for it.
fn secret() -> &'static str {
    static SECRET: LazyLock<String> = LazyLock::new(|| {
        let mut bytes = [0; 16];
        File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).expect("random bytes");
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    });
    &SECRET
}

/// The config with a long deadline for resizes, unless it names one: their workers run at the lowest priority,
/// and no test may depend on what else the machine does.
fn patient(config: &str) -> String {
    const KEY: &str = "resize_deadline";
    let limits = format!("[limits]\n{KEY} = \"300s\"\n");
    if config.contains(KEY) {
        config.to_owned()
    } else if config.contains("[limits]\n") {
        config.replacen("[limits]\n", &limits, 1)
    } else {
        format!("{config}\n{limits}")
    }
}
