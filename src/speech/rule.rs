//! Which lane a recording goes to, by where it lies and how long it is.

use std::time::Duration;

use strongroom_ingest::model::Lane;

/// The rule. Folders are a collection's name and a path there, in parts; `*` is any one name.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    /// Recordings up to this length are written down accurately.
    pub accurate_up_to: Duration,
    /// Folders whose recordings are written down accurately.
    pub accurate_folders: Vec<Vec<String>>,
    /// Folders whose recordings are written down fast.
    pub fast_folders: Vec<Vec<String>>,
}

impl Rule {
    /// The lane of the innermost folder that a place lies in and that has one.
    pub(super) fn by_folder(&self, place: &str) -> Option<Lane> {
        let deepest =
            |folders: &[Vec<String>]| folders.iter().filter(|folder| is_in(place, folder)).map(Vec::len).max().unwrap_or(0);
        let (accurate, fast) = (deepest(&self.accurate_folders), deepest(&self.fast_folders));
        match accurate.max(fast) {
            0 => None,
            depth if depth == accurate => Some(Lane::Accurate),
            _ => Some(Lane::Fast),
        }
    }

    /// The lane by length. One that nobody knows may be long.
    pub(super) fn by_length(&self, length_ms: Option<u64>) -> Lane {
        let short = length_ms.is_some_and(|length| Duration::from_millis(length) <= self.accurate_up_to);
        if short { Lane::Accurate } else { Lane::Fast }
    }
}

fn is_in(place: &str, folder: &[String]) -> bool {
    let parts: Vec<&str> = place.split('/').collect();
    parts.len() > folder.len() && folder.iter().zip(parts).all(|(wanted, part)| wanted == "*" || wanted == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_folder_counts() {
        let folder = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
        let rule = Rule {
            accurate_up_to: Duration::ZERO,
            accurate_folders: vec![folder("acme"), folder("*/calls/*/board")],
            fast_folders: vec![folder("acme/calls")],
        };
        for (place, expected) in [
            ("acme/a.wav", Some(Lane::Accurate)),
            ("acme/calls/a.wav", Some(Lane::Fast)),
            ("acme/calls/2026/board/a.wav", Some(Lane::Accurate)),
            ("acme/callsheet/a.wav", Some(Lane::Accurate)),
            ("bolt/calls/a.wav", None),
            ("acme", None),
            ("", None),
        ] {
            assert_eq!(rule.by_folder(place), expected, "{place}");
        }
    }
}
