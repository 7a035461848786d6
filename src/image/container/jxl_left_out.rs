//! JPEG XL in a build without its decoder.

pub(in crate::image) const fn profile(_source: &[u8]) -> Option<Vec<u8>> {
    None
}

pub(in crate::image) const fn is_lossy(_source: &[u8]) -> bool {
    false
}
