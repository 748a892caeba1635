//! Office 97-2003 texts and presentations (doc, ppt), by `catdoc` where it is installed.

use crate::extract::Unreadable;
use crate::extract::desk::Desk;
use crate::extract::detect::Format;
use crate::extract::wire::Answer;
use crate::model::Reason;

pub(in crate::extract) fn read(_bytes: &[u8], _format: Format, _desk: &mut Desk) -> Answer {
    Err(Unreadable::new(Reason::Unsupported, "this format is not read yet"))
}
