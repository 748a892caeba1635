//! E-books (epub): chapters in reading order.

use crate::extract::Unreadable;
use crate::extract::desk::Desk;
use crate::extract::wire::Answer;
use crate::model::Reason;

pub(in crate::extract) fn read(_bytes: &[u8], _desk: &mut Desk) -> Answer {
    Err(Unreadable::new(Reason::Unsupported, "this format is not read yet"))
}
