//! From a folder's own name to a collection's name, so that no two folders ever become one client.

use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;

/// Longest name of a collection, in characters.
const LONGEST: usize = 63;

/// What stands before the digits when nothing of the folder's name can be kept.
const NAMELESS: &str = "collection";

/// The collection name `[a-z0-9][a-z0-9-]{0,62}` for a folder called `folder`.
///
/// Capitals become small and spaces become `-`. When anything else is lost on the way, or the name is `taken`, `-` and
/// six hex digits of the SHA-256 of the folder's own name follow (more digits when that is taken as well).
pub fn collection_name(folder: &str, taken: &dyn Fn(&str) -> bool) -> String {
    if let Some(exact) = fold_exactly(folder)
        && !taken(&exact)
    {
        return exact;
    }
    let stem = fold_roughly(folder);
    let digest = hex(&Sha256::digest(folder.as_bytes()));
    let mut name = String::new();
    for digits in (6..=40).step_by(2) {
        name = with_digits(&stem, &digest[..digits]);
        if !taken(&name) {
            break;
        }
    }
    name
}

/// The folded name, if only case and spaces differ from the folder's.
fn fold_exactly(folder: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == ' ';
    let startable = folder.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !startable || folder.len() > LONGEST || !folder.chars().all(plain) {
        return None;
    }
    Some(folder.to_ascii_lowercase().replace(' ', "-"))
}

/// What can be kept of a name: letters without their accents, digits, and one `-` for each stretch of anything else.
fn fold_roughly(folder: &str) -> String {
    let mut stem = String::new();
    for c in folder.nfkd() {
        if c.is_ascii_alphanumeric() {
            stem.push(c.to_ascii_lowercase());
        } else if unicode_normalization::char::is_combining_mark(c) {
            continue;
        } else if !stem.is_empty() && !stem.ends_with('-') {
            stem.push('-');
        }
        if stem.len() >= LONGEST {
            break;
        }
    }
    stem.truncate(stem.trim_end_matches('-').len());
    if stem.is_empty() { NAMELESS.to_owned() } else { stem }
}

fn with_digits(stem: &str, digits: &str) -> String {
    let room = LONGEST - 1 - digits.len();
    let kept = stem.get(..room).unwrap_or(stem).trim_end_matches('-');
    format!("{kept}-{digits}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn free(folder: &str) -> String {
        collection_name(folder, &|_| false)
    }

    fn is_valid(name: &str) -> bool {
        (1..=LONGEST).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    }

    #[test]
    fn case_and_spaces_cost_no_digits() {
        assert_eq!(free("ACME"), "acme");
        assert_eq!(free("Acme Holdings 2"), "acme-holdings-2");
        assert_eq!(free("a--b "), "a--b-");
        assert_eq!(free(&"x".repeat(63)), "x".repeat(63));
    }

    #[test]
    fn anything_else_lost_brings_the_digits_of_the_whole_name() {
        // printf %s 'Acme Inc.' | sha256sum, and so on: written down, so that names stay what they are.
        let cases = [
            ("Müller & Söhne", "muller-sohne-6d9a29"),
            ("Acme Inc.", "acme-inc-ee6067"),
            ("日本", "collection-cf2abf"),
            ("---", "collection-cb3f91"),
        ];
        for (folder, name) in cases {
            assert_eq!(free(folder), name);
        }
        for (folder, stem) in [("a_b", "a-b-"), (" acme", "acme-"), ("", "collection-")] {
            let name = free(folder);
            assert!(name.starts_with(stem) && name.len() == stem.len() + 6, "{name}");
        }
    }

    #[test]
    fn a_taken_name_gets_digits_and_taken_digits_get_more() {
        let mut taken = HashSet::from(["acme".to_owned()]);
        let second = collection_name("ACME", &|name| taken.contains(name));
        assert_eq!(second.len(), "acme-".len() + 6);
        taken.insert(second.clone());
        let third = collection_name("ACME", &|name| taken.contains(name));
        assert_eq!(third.len(), "acme-".len() + 8);
        assert!(third.starts_with(&second));
    }

    #[test]
    fn long_names_are_cut_to_fit_their_digits() {
        let name = free(&"Long Name ".repeat(30));
        assert!(is_valid(&name) && name.len() > 50, "{name}");
        assert_ne!(name, free(&"Long Name ".repeat(31)));
    }

    proptest! {
        #[test]
        fn names_are_valid_and_never_shared(folders in prop::collection::hash_set(".{0,80}|[aA.& -]{0,4}", 0..30)) {
            let mut taken = HashSet::new();
            for folder in &folders {
                let name = collection_name(folder, &|name| taken.contains(name));
                prop_assert!(is_valid(&name), "{name:?}");
                prop_assert!(taken.insert(name));
            }
        }
    }
}
