//! Writes the seeds into a folder, one file each: `seeds FOLDER`.

use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(env::args().nth(1).ok_or("seeds FOLDER")?);
    fs::create_dir_all(&folder)?;
    for (name, bytes) in reticulum_fuzz::seeds::seeds() {
        fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}
