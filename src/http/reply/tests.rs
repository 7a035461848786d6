use super::*;
use crate::cluster::operator::LayoutRefusal;
use crate::telemetry::metrics::STATUSES;

fn every_problem() -> Vec<Problem> {
    let text = || "x".to_owned();
    vec![
        Problem::Unsigned,
        Problem::UnknownRoute,
        Problem::Method("GET"),
        Problem::BadId,
        Problem::BadUrl("x"),
        Problem::BadSpec(text()),
        Problem::OnlyPresets,
        Problem::Originals,
        Problem::Gone,
        Problem::DeletedMeanwhile,
        Problem::Banned,
        Problem::NotDeleted,
        Problem::TooFewRecords,
        Problem::NotPurged(vec!["a".to_owned()]),
        Problem::Upload(AccessError::NoKey),
        Problem::Upload(AccessError::LateKey),
        Problem::Upload(AccessError::ForeignPage),
        Problem::Call(AccessError::WrongKey),
        Problem::Url(UrlRefusal::Unsigned),
        Problem::Url(UrlRefusal::Bad),
        Problem::Url(UrlRefusal::Expired),
        Problem::Unreadable,
        Problem::HeadTooLong,
        Problem::Framing("x"),
        Problem::BadForm(text()),
        Problem::Aborted,
        Problem::Stalled,
        Problem::TooLong(1),
        Problem::UnsupportedImage(text()),
        Problem::BadImage(text()),
        Problem::WrongId,
        Problem::Absent,
        Problem::Unproven,
        Problem::Damaged,
        Problem::CannotMake(text()),
        Problem::OutsideRange(1),
        Problem::Busy("x"),
        Problem::TooFast(TooFast { retry_after_s: 7 }),
        Problem::Deadline,
        Problem::Stopping,
        Problem::NotMember(MembershipStatus::Joining),
        Problem::NotReady(MembershipStatus::Founding, text()),
        Problem::TooFewCopies(vec![text()]),
        Problem::DiskFull,
        Problem::Disk,
        Problem::Layout(LayoutProblem::Bad(text())),
        Problem::Layout(LayoutProblem::Late),
        Problem::Layout(LayoutProblem::Refused(LayoutRefusal::UnknownNode)),
        Problem::Layout(LayoutProblem::Refused(LayoutRefusal::LastActive)),
        Problem::Internal,
    ]
}

#[test]
fn every_status_is_counted_by_the_metrics() {
    for problem in every_problem() {
        let status = problem.kind().0.as_u16();
        assert!(STATUSES.contains(&status), "{status} is missing in telemetry::metrics::STATUSES");
    }
}

#[test]
fn every_429_and_503_says_when_to_come_back_and_nothing_but_absence_is_cached() {
    for problem in every_problem() {
        let response = Response::<Body>::from(problem.clone());
        let passes =
            [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&response.status());
        assert_eq!(response.headers().contains_key(RETRY_AFTER), passes, "{problem:?}");
        let stored = response.headers()[CACHE_CONTROL] != "no-store";
        assert_eq!(stored, problem == Problem::Absent, "{problem:?}");
    }
}
