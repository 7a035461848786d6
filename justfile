# The commands of a contributor: `just` lists them. Each is plain cargo, so that it also works without just.

# List the commands
default:
    @just --list

# All checks, as CI runs them: formatting, lints, documentation, licences, tests
check:
    .ci/run

# Three nodes with sample images on loopback; prints URLs to click
demo *arguments:
    cargo run --release -- demo {{ arguments }}

# Seeded clusters in virtual time, with every answer checked
sim count="100" seed="1":
    cargo run --release --bin reticulum-simulate -- --seed {{ seed }} --count {{ count }}

# One target of the fuzzer for so many seconds; needs nightly Rust and cargo-fuzz
fuzz target="render" seconds="600":
    LSAN_OPTIONS=suppressions=tools/fuzz/suppressions.txt \
        cargo +nightly fuzz run --fuzz-dir tools/fuzz --release {{ target }} -- -max_total_time={{ seconds }}

# One question of `benches`: entropy, hit, mesh, placement or stages
bench question="stages" *arguments:
    cargo bench --bench {{ question }} -- --quick {{ arguments }}
