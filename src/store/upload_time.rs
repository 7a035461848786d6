//! When an image was uploaded, by its file. Pure.

use std::time::{Duration, SystemTime};

/// A file's modification time, kept within the years 1970 to 9999: dates are printed in forms that know
/// no others, and anybody may `touch` a file.
pub(super) fn upload_time(seconds: i64, nanoseconds: i64) -> SystemTime {
    const LAST_SECOND: u64 = 253_402_300_799;
    let seconds = u64::try_from(seconds).unwrap_or(0).min(LAST_SECOND);
    let nanoseconds = u32::try_from(nanoseconds).unwrap_or(0).min(999_999_999);
    SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_time_can_be_printed_whatever_the_file_says() {
        for (seconds, text) in [
            (i64::MIN, "1970-01-01T00:00:00Z"),
            (-1, "1970-01-01T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (i64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            let time = upload_time(seconds, 999_999_999);
            assert_eq!(humantime::format_rfc3339_seconds(time).to_string(), text);
            assert!(httpdate::fmt_http_date(time).ends_with("GMT"));
        }
    }
}
