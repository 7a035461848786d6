//! `Server-Timing`: what an answer took, in milliseconds.

use std::time::Duration;

use http::{HeaderName, Response};

use super::text_value;
use crate::http::body::Body;
use crate::image::progress::RenderStage;
use crate::shard::timings::StageTimings;

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Says how long the answer took from the request's head to its own, and the steps of what was made for it.
pub(in crate::http) fn timing(response: &mut Response<Body>, elapsed: Duration, timings: &StageTimings) {
    let mut text = entry("total", elapsed);
    for (step, elapsed) in timings.steps() {
        text.push_str(", ");
        text.push_str(&entry(name(step), elapsed));
    }
    response.headers_mut().insert(SERVER_TIMING, text_value(text));
}

fn entry(name: &str, elapsed: Duration) -> String {
    format!("{name};dur={:.3}", elapsed.as_secs_f64() * 1000.0)
}

const fn name(step: RenderStage) -> &'static str {
    match step {
        RenderStage::Decode => "decode",
        RenderStage::Resize => "resize",
        RenderStage::Encode => "encode",
    }
}
