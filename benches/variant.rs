//! What does one variant of one file cost, in time and memory? `variant FILE SPEC EXTENSION COUNT [OUT [LATER]]`.
//!
//! With LATER, which names a file to write, the variant is a later one of its file: an earlier size has left its samples.
//!
//! Reads the file and makes the variant COUNT times after one that does not count, on this thread alone, and
//! prints processor microseconds and bytes of a variant, and the peak of resident memory in KiB, as
//! `{"us":…,"bytes":…,"peak_kib":…}`. `tools/peers/images.sh` runs it beside sharp and libvips.

#[path = "support/settings.rs"]
mod settings;

use std::error::Error;
use std::fs;
use std::io::Read;
use std::path::Path;

use reticulum::image::decoded_planes::{self, DecodedPlanes};
use reticulum::image::header::Limits;
use reticulum::image::recipe::Recipe;
use reticulum::image::variant;
use reticulum::object::{Extension, Spec};
use reticulum::store::proof;
use rustix::time::{ClockId, clock_gettime};

use settings::SETTINGS;

fn main() -> Result<(), Box<dyn Error>> {
    // cargo passes a flag of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|text| text != "--bench").collect();
    let [file, spec, extension, count, out @ ..] = &arguments[..] else {
        println!("variant FILE SPEC EXTENSION COUNT [OUT [LATER]]");
        return Ok(());
    };
    let count: u32 = count.parse()?;
    let Some(Extension::Format(format)) = Extension::parse(extension) else {
        return Err("what extension?".into());
    };
    let recipe = Recipe::resolve(&Spec::parse(spec)?, format, &SETTINGS)?;
    let limits = Limits { pixels_max: 100_000_000, frames_max: 1000 };
    let first = |decoded_planes: &mut DecodedPlanes| -> Result<Vec<u8>, Box<dyn Error>> {
        Ok(variant::prepare(&fs::read(file)?, &recipe, &limits)?.make(decoded_planes, &|| true)?)
    };
    // As the resize worker does it, but for the shard's bookkeeping.
    let later = |path: &String| -> Result<Vec<u8>, Box<dyn Error>> {
        let mut start = Vec::new();
        fs::File::open(file)?.take(64 << 10).read_to_end(&mut start)?;
        let head = decoded_planes::head(&start).ok_or("no head")?;
        let prepared = variant::prepare(&head, &recipe, &limits)?;
        let (_, length) = prepared.planes().ok_or("no samples")?;
        let samples = proof::read(Path::new(path), length)?.ok_or("damaged samples")?;
        Ok(prepared.make(&mut DecodedPlanes::Reuse(samples), &|| true)?)
    };
    if let [_, path] = out {
        let mut left = DecodedPlanes::Collect;
        first(&mut left)?;
        let DecodedPlanes::Collected(samples) = left else { return Err("nothing was left".into()) };
        let trailer = proof::trailer(&samples);
        fs::write(path, [samples, trailer.to_vec()].concat())?;
    }
    let make = || match out {
        [_, path] => later(path),
        _ => first(&mut DecodedPlanes::Ignore),
    };
    let variant = make()?;
    let before = cpu_us();
    for _ in 0..count {
        make()?;
    }
    let us = (cpu_us() - before) / f64::from(count);
    println!("{{\"us\":{us:.0},\"bytes\":{},\"peak_kib\":{}}}", variant.len(), peak_kib()?);
    if let [out, ..] = out {
        fs::write(out, variant)?;
    }
    Ok(())
}

fn cpu_us() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

fn peak_kib() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
