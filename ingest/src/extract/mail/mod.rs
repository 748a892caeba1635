//! E-mail: messages (eml), Outlook messages, mailboxes, saved web pages. Attachments are members.

pub(super) mod mbox;
pub(super) mod mhtml;
pub(super) mod msg;

use super::Unreadable;
use super::desk::Desk;
use super::wire::Answer;
use crate::model::Reason;

pub(super) fn read(_bytes: &[u8], _desk: &mut Desk) -> Answer {
    Err(Unreadable::new(Reason::Unsupported, "this format is not read yet"))
}
