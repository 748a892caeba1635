//! The binary: the extraction worker if it was started as that, else the process is made safe and the command line takes over.

use std::process::ExitCode;

fn main() -> ExitCode {
    // The worker is on its own from its first line: it has no configuration, no log, and nothing of what follows.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == strongroom::app::WORKER) {
        return strongroom_ingest::extract::worker_main();
    }
    strongroom::app::set_up_process();
    strongroom::egress::install_crypto();
    strongroom::cli::run()
}
