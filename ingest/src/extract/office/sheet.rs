//! Spreadsheets (xlsx, xls, xlsb, ods): sheets as pages, rows with header names beside values.

use crate::extract::Unreadable;
use crate::extract::desk::Desk;
use crate::extract::wire::Answer;
use crate::model::Reason;

pub(in crate::extract) fn read(_bytes: Vec<u8>, _desk: &mut Desk) -> Answer {
    Err(Unreadable::new(Reason::Unsupported, "this format is not read yet"))
}
