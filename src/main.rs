//! The binary: the extraction worker or a tool's launcher if it was started as that, else the process is made safe and the
//! command line takes over.

use std::process::ExitCode;

use strongroom::app::{TOOL, WORKER};
use strongroom_ingest::extract::{tool_main, worker_main};

fn main() -> ExitCode {
    // These are on their own from their first line: they have no configuration, no log, and nothing of what follows.
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        Some(first) if first == WORKER => return worker_main(),
        Some(first) if first == TOOL => {
            let rest: Vec<String> = arguments.map(|argument| argument.to_string_lossy().into_owned()).collect();
            return tool_main(&rest);
        }
        _ => {}
    }
    strongroom::app::set_up_process();
    strongroom::egress::install_crypto();
    strongroom::cli::run()
}
