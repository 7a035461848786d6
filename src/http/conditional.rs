//! Validators and ranges (RFC 9110 §13, §14). Pure.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE};

/// The verdict of a request's conditions on a representation, before any range (RFC 9110 §13.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// It is to be sent.
    Holds,
    /// The client has it already: 304.
    NotModified,
    /// The client wants another one: 412.
    Failed,
}

/// Judges a representation by its tag, strong and quoted, and its date.
pub(super) fn evaluate(headers: &HeaderMap, etag: &str, modified: SystemTime) -> Condition {
    if fails_match(headers, etag) || is_modified_since(headers, modified) {
        Condition::Failed
    } else if is_fresh(headers, etag, Some(modified)) {
        Condition::NotModified
    } else {
        Condition::Holds
    }
}

/// Whether `If-Match` names other representations alone. Tags are compared strongly: a weak one names none.
pub(super) fn fails_match(headers: &HeaderMap, etag: &str) -> bool {
    let names_it = |list: &str| list.split(',').map(str::trim).any(|tag| tag == "*" || tag == etag);
    let mut lists = headers.get_all(IF_MATCH).iter().map(|value| value.to_str().unwrap_or_default());
    headers.contains_key(IF_MATCH) && !lists.any(names_it)
}

/// Whether it is later than `If-Unmodified-Since`, which counts only without `If-Match`.
fn is_modified_since(headers: &HeaderMap, modified: SystemTime) -> bool {
    if headers.contains_key(IF_MATCH) {
        return false;
    }
    let date = headers.get(IF_UNMODIFIED_SINCE).and_then(|value| value.to_str().ok());
    let since = date.and_then(|date| httpdate::parse_http_date(date).ok());
    since.is_some_and(|since| whole_seconds(modified) > since)
}

/// Whether the client has this representation already: `If-None-Match` decides, and only without it
/// `If-Modified-Since`. `etag` is strong and quoted.
fn is_fresh(headers: &HeaderMap, etag: &str, modified: Option<SystemTime>) -> bool {
    if headers.contains_key(IF_NONE_MATCH) {
        return matches_etag(headers, etag);
    }
    let Some(modified) = modified else { return false };
    let since =
        headers.get(IF_MODIFIED_SINCE).and_then(|value| httpdate::parse_http_date(value.to_str().ok()?).ok());
    since.is_some_and(|since| whole_seconds(modified) <= since)
}

/// Whether `If-None-Match` names this representation: lists, weak tags and `*`, compared weakly.
pub(super) fn matches_etag(headers: &HeaderMap, etag: &str) -> bool {
    let lists_it = |list: &str| lists(list, etag.as_bytes());
    headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(lists_it)
}

/// Whether one value of `If-None-Match` names this tag.
pub(super) fn lists(list: &str, etag: &[u8]) -> bool {
    list.split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == etag)
}

/// A part of a representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Range {
    /// All of it: 200.
    Whole,
    /// Bytes `start..end`: 206.
    Part { start: u64, end: u64 },
    /// Nothing of it: 416.
    Outside,
}

impl Range {
    /// The first byte of it and the one behind its last, of `length` bytes; nothing is the empty range at the end.
    pub(super) const fn bounds(self, length: u64) -> (u64, u64) {
        match self {
            Self::Whole => (0, length),
            Self::Part { start, end } => (start, end),
            Self::Outside => (length, length),
        }
    }
}

/// The part of `length` bytes that is asked for. Several ranges, another unit and bad syntax mean the
/// whole, as does an `If-Range` that is neither this strong tag nor this date.
pub(super) fn range(headers: &HeaderMap, length: u64, etag: &str, modified: SystemTime) -> Range {
    let Some(value) = headers.get(RANGE).and_then(|value| value.to_str().ok()) else { return Range::Whole };
    if let Some(condition) = headers.get(IF_RANGE) {
        let condition = condition.to_str().unwrap_or_default();
        let same_date =
            || httpdate::parse_http_date(condition).is_ok_and(|date| date == whole_seconds(modified));
        if condition != etag && !same_date() {
            return Range::Whole;
        }
    }
    parse_range(value, length).unwrap_or(Range::Whole)
}

fn parse_range(value: &str, length: u64) -> Option<Range> {
    let (unit, range) = value.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // More digits than a number holds is past every end.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let part = |start: u64, end: u64| {
        if start < end { Range::Part { start, end } } else { Range::Outside }
    };
    match (first.trim(), last.trim()) {
        ("", last) => Some(part(length.saturating_sub(number(last)?), length)),
        (first, "") => Some(part(number(first)?, length)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| part(first, last.saturating_add(1).min(length)))
        }
    }
}

/// HTTP dates have no fractions.
fn whole_seconds(time: SystemTime) -> SystemTime {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    const TAG: &str = "\"abc\"";

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn a_tag_matches_in_lists_weakly_and_by_star() {
        for value in ["\"abc\"", "W/\"abc\"", "\"x\", \"abc\"", "*", "\"x\" ,W/\"abc\""] {
            assert!(is_fresh(&headers(&[(IF_NONE_MATCH, value)]), TAG, None), "{value}");
        }
        for value in ["\"x\"", "abc", "", "\"abc"] {
            assert!(!is_fresh(&headers(&[(IF_NONE_MATCH, value)]), TAG, None), "{value}");
        }
    }

    #[test]
    fn a_date_counts_only_without_tags() {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000_500);
        let same = httpdate::fmt_http_date(modified);
        let earlier = httpdate::fmt_http_date(modified - Duration::from_secs(1));
        assert!(is_fresh(&headers(&[(IF_MODIFIED_SINCE, &same)]), TAG, Some(modified)));
        assert!(!is_fresh(&headers(&[(IF_MODIFIED_SINCE, &earlier)]), TAG, Some(modified)));
        let both = headers(&[(IF_MODIFIED_SINCE, &same), (IF_NONE_MATCH, "\"x\"")]);
        assert!(!is_fresh(&both, TAG, Some(modified)));
    }

    #[test]
    fn single_ranges_are_cut_to_the_length() {
        let part = |start, end| Range::Part { start, end };
        for (value, expected) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=2-3", part(2, 4)),
            ("bytes=5-", part(5, 10)),
            ("bytes=-3", part(7, 10)),
            ("bytes=-30", part(0, 10)),
            ("bytes=8-99999999999999999999999", part(8, 10)),
            ("bytes=10-", Range::Outside),
            ("bytes=-0", Range::Outside),
            ("bytes=3-2", Range::Whole),
            ("bytes=0-1,3-4", Range::Whole),
            ("bytes=a-b", Range::Whole),
            ("bytes=+1-2", Range::Whole),
            ("lines=0-1", Range::Whole),
            ("bytes", Range::Whole),
        ] {
            let asked = range(&headers(&[(RANGE, value)]), 10, TAG, SystemTime::UNIX_EPOCH);
            assert_eq!(asked, expected, "{value}");
        }
    }

    #[test]
    fn a_failed_if_range_means_the_whole() {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let date = httpdate::fmt_http_date(modified);
        let ask = |condition: &str| {
            range(&headers(&[(RANGE, "bytes=1-2"), (IF_RANGE, condition)]), 10, TAG, modified)
        };
        assert_eq!(ask(TAG), Range::Part { start: 1, end: 3 });
        assert_eq!(ask(&date), Range::Part { start: 1, end: 3 });
        assert_eq!(ask("\"x\""), Range::Whole);
        assert_eq!(ask("W/\"abc\""), Range::Whole);
    }

    #[test]
    fn a_client_that_wants_another_representation_is_told_before_it_is_told_that_it_has_this_one() {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_500);
        let [same, earlier] = [1000, 999]
            .map(|seconds| httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)));
        let judged = |all: &[(HeaderName, &str)]| evaluate(&headers(all), TAG, modified);
        for named in [TAG, "*", "\"x\", \"abc\""] {
            assert_eq!(judged(&[(IF_MATCH, named)]), Condition::Holds, "{named}");
        }
        for other in ["\"x\"", "", &format!("W/{TAG}")] {
            assert_eq!(judged(&[(IF_MATCH, other)]), Condition::Failed, "{other}");
            assert_eq!(judged(&[(IF_MATCH, other), (IF_NONE_MATCH, TAG)]), Condition::Failed, "{other}");
        }
        assert_eq!(judged(&[(IF_UNMODIFIED_SINCE, &same)]), Condition::Holds);
        assert_eq!(judged(&[(IF_UNMODIFIED_SINCE, &earlier)]), Condition::Failed);
        assert_eq!(judged(&[(IF_UNMODIFIED_SINCE, "yesterday")]), Condition::Holds);
        assert_eq!(judged(&[(IF_MATCH, TAG), (IF_UNMODIFIED_SINCE, &earlier)]), Condition::Holds);
        assert_eq!(judged(&[(IF_MATCH, TAG), (IF_NONE_MATCH, TAG)]), Condition::NotModified);
    }
}
