//! Warnings about a valid configuration, printed at the start and by `check-config`.

use super::setting::text::Secret;
use super::values::Values;

/// Bytes of a key below which an attacker can guess it.
const KEY_BYTES: usize = 16;

/// One sentence for each warning; none shows a secret.
pub(super) fn warnings(values: &Values) -> Vec<String> {
    let access = &values.access;
    let mut warnings = Vec::new();
    if access.upload_keys.0.iter().any(Secret::is_under::<KEY_BYTES>) {
        warnings.push(short("access.upload_keys has a key"));
    }
    if !access.operator_key.is_empty() && access.operator_key.is_under::<KEY_BYTES>() {
        warnings.push(short("access.operator_key is"));
    }
    warnings
}

fn short(what: &str) -> String {
    format!("{what} under {KEY_BYTES} bytes, which can be guessed: write a longer one with random characters")
}
