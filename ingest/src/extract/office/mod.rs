//! Office formats: texts, presentations and spreadsheets of Microsoft Office and OpenDocument, and Rich Text.

pub(super) mod docx;
pub(super) mod encrypted;
pub(super) mod legacy;
pub(super) mod odf;
pub(super) mod pptx;
pub(super) mod rtf;
pub(super) mod sheet;
pub(super) mod xml;

mod flow;
mod package;
