//! The command that tells a machine to sleep: run as it was written, without a shell, and never quoted.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// How long the command may take.
const LONGEST: Duration = Duration::from_secs(60);

/// How a machine is told to sleep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SleepOptions {
    /// A program and its arguments.
    pub command: Vec<String>,
    /// How long nobody must have used the machine.
    pub after: Duration,
}

impl SleepOptions {
    /// Runs the command. What it prints is thrown away: it may name whatever the user's scripts name.
    pub(super) async fn run(&self) -> Result<(), String> {
        let Some((program, arguments)) = self.command.split_first() else { return Err("there is none".into()) };
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        match timeout(LONGEST, command.status()).await {
            Err(_) => Err(format!("it did not end within {} s", LONGEST.as_secs())),
            Ok(Err(error)) => Err(format!("it cannot be run: {}", error.kind())),
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(format!("it ended with {status}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_run_without_a_shell_and_its_end_is_told() {
        let run = |command: &[&str]| {
            let command = command.iter().map(|word| (*word).to_owned()).collect();
            async { SleepOptions { command, after: Duration::ZERO }.run().await }
        };
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join("a $(b) ; c");
        run(&["touch", odd.to_str().unwrap()]).await.unwrap();
        assert!(odd.exists());
        assert!(run(&["false"]).await.unwrap_err().contains("exit status: 1"));
        assert_eq!(run(&["no-such-program-at-all"]).await.unwrap_err(), "it cannot be run: entity not found");
    }
}
