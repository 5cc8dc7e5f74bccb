# The steps of CI, one by one. `tests/run` does them all, and installs what they need.

# Show the steps.
default:
    @just --list

# Check the format.
fmt:
    cargo fmt --all --check

# Lint, with warnings as errors.
clippy:
    cargo clippy --workspace --all-targets -- -D warnings

# Run all tests; those of pages, Socket.IO clients and JetStream need what tests/run installs.
test:
    cargo test --workspace

# Check licences, advisories, duplicates and sources; needs `cargo install cargo-deny`.
deny:
    cargo deny check

# Measure placement, encoding, the core's fan-out, and JetStream, which needs tests/nats/install.
bench:
    cargo bench --workspace

# Measure Trunkline beside what a user would run in its place: `just compare --smoke`.
compare *ARGS:
    tests/compare/run {{ARGS}}

# Count what the hot paths cost, with valgrind; `just cost --accept` takes what is counted.
cost *ARGS:
    tests/cost/check {{ARGS}}

# Disturb a cluster under load and see what clients notice: `just promise --store jetstream`.
promise *ARGS:
    tests/promise/run {{ARGS}}

# The same, with the network cut between routers and shards.
promise-partition *ARGS:
    tests/promise/partition {{ARGS}}

# Everything that a change must pass.
all:
    tests/run
