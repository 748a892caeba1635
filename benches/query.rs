//! How fast a large store answers, how soon after a start, beside indexing, and in how much memory.
//!
//! `cargo bench --profile dev --bench query` takes some minutes: it makes 100,000 seeded chunks, then asks them through the
//! library and through the real server. `STRONGROOM_BENCH_CHUNKS=10000` makes it short. The machine decides absolute times, so
//! each line stands beside the quiet figure of the same run.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints what it measured")]

mod searching;

fn main() {
    // Cargo passes `--bench`; nothing else is asked of us.
    if let Err(error) = searching::run() {
        eprintln!("the bench could not be run: {error}");
        std::process::exit(1);
    }
}
