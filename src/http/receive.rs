//! A request's body, piece by piece.

use bytes::Bytes;
use futures_lite::future;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};

use super::exchange::Context;
use super::reply::Problem;

/// Waits for `arriving`, but not past the limit on silence.
pub(super) async fn unless_stalled<T>(
    context: &Context,
    arriving: impl Future<Output = T>,
) -> Result<T, Problem> {
    let stalled = async {
        context.link.timeouts.stalled.wait().await;
        Err(Problem::Stalled)
    };
    future::or(async { Ok(arriving.await) }, stalled).await
}

/// The next piece of a body; `None` at its end.
pub(super) async fn next(context: &Context, body: &mut Incoming) -> Result<Option<Bytes>, Problem> {
    while !body.is_end_stream() {
        match unless_stalled(context, body.frame()).await? {
            None => break,
            // Trailers say nothing that an upload needs.
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
            Some(Err(_)) => return Err(Problem::Aborted),
        }
    }
    Ok(None)
}

/// A whole body of at most `bytes_max` bytes.
pub(super) async fn whole(
    context: &Context,
    body: &mut Incoming,
    bytes_max: u64,
) -> Result<Vec<u8>, Problem> {
    let announced = body.size_hint().lower();
    if announced > bytes_max {
        return Err(Problem::TooLong(bytes_max));
    }
    context.link.timeouts.start_receiving();
    let mut bytes = Vec::new();
    while let Some(piece) = next(context, body).await? {
        bytes.extend_from_slice(&piece);
        if bytes.len() as u64 > bytes_max {
            return Err(Problem::TooLong(bytes_max));
        }
    }
    context.link.timeouts.start_work();
    Ok(bytes)
}
