//! Hands what the fuzzer makes to the check of the same name.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| reticulum_fuzz::jxl(data));
