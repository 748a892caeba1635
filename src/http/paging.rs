//! Cursors of lists: opaque to clients, in truth the last name or path that they have seen, and of which kind of list.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::problem::Problem;

/// The kinds of list; a cursor of one is refused by the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    /// Collections, by name.
    Collections,
    /// Documents of one collection, by path.
    Documents,
    /// What of one collection was not read, by path.
    Unread,
    /// Changes of what was found out about generators, by number.
    Attestations,
}

impl List {
    fn tag(self) -> char {
        match self {
            Self::Collections => 'c',
            Self::Documents => 'd',
            Self::Unread => 'u',
            Self::Attestations => 'a',
        }
    }

    /// The cursor that continues after `last`.
    pub fn cursor(self, last: &str) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}{last}", self.tag()))
    }

    /// What the given cursor continues after.
    pub fn after(self, cursor: &str) -> Result<String, Problem> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let after = text.as_deref().and_then(|text| text.strip_prefix(self.tag())).map(str::to_owned);
        after.ok_or_else(|| Problem::bad_field("cursor", "is not one that this list gave"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_leads_back_to_where_it_came_from(last in ".*") {
            let cursor = List::Documents.cursor(&last);
            prop_assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
            prop_assert_eq!(List::Documents.after(&cursor).unwrap(), last);
            prop_assert!(List::Collections.after(&cursor).is_err());
        }

        #[test]
        fn any_text_as_a_cursor_is_at_most_refused(cursor in ".*") {
            let _ = List::Documents.after(&cursor);
        }
    }
}
