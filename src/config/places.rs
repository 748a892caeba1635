//! Where files lie on this machine: the user's folders, and paths made absolute.

use std::path::{Component, Path, PathBuf};

use super::Environment;

/// Name of our folder inside the user's folders.
const OURS: &str = "strongroom";

/// The user's data folder for us: `$XDG_DATA_HOME` or `~/.local/share`, on macOS `~/Library/Application Support`.
pub(super) fn default_data(environment: &Environment) -> Option<PathBuf> {
    user_folder(environment, "XDG_DATA_HOME", ".local/share", "Library/Application Support")
}

/// The configuration file in the user's configuration folder, if it could be there.
pub(super) fn user_config(environment: &Environment) -> Option<PathBuf> {
    let folder = user_folder(environment, "XDG_CONFIG_HOME", ".config", "Library/Application Support")?;
    Some(folder.join("strongroom.toml"))
}

fn user_folder(environment: &Environment, variable: &str, below_home: &str, on_macos: &str) -> Option<PathBuf> {
    if cfg!(target_os = "macos") {
        return environment.home().map(|home| home.join(on_macos).join(OURS));
    }
    // The XDG rules: a relative value is to be ignored.
    let set = environment.get(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    set.or_else(|| environment.home().map(|home| home.join(below_home))).map(|folder| folder.join(OURS))
}

/// The path made absolute: `~/` is the home folder, a relative one starts at `base`; `.` and `..` are taken out of the text.
pub(super) fn absolute(path: &Path, base: &Path, environment: &Environment) -> PathBuf {
    let expanded = match (path.strip_prefix("~"), environment.home()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => base.join(path),
    };
    let mut clean = PathBuf::new();
    for part in expanded.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            _ => clean.push(part),
        }
    }
    clean
}

/// Whether the text is a folder rather than a model's name, which may have a `/` in its middle.
pub(super) fn looks_like_path(text: &str) -> bool {
    text.starts_with(['/', '.', '~'])
}
