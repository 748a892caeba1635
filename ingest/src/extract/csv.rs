//! Tables as text (csv, tsv): rows with header names beside values.

use super::Unreadable;
use super::desk::Desk;
use super::wire::Answer;
use crate::model::Reason;

pub(super) fn read(_bytes: &[u8], _desk: &mut Desk) -> Answer {
    Err(Unreadable::new(Reason::Unsupported, "this format is not read yet"))
}
