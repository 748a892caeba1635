//! Tells a damaged index, which a rebuild cures, from a failure that it would not cure.
//!
//! Messages name neither paths nor words: Tantivy's own may hold both.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tantivy::TantivyError;
use tantivy::directory::error::{OpenDirectoryError, OpenReadError, OpenWriteError};

use super::LexicalError;

/// Runs `work`; a panic in it means damage, since that is how Tantivy answers some kinds of it.
pub(super) fn guard<T>(work: impl FnOnce() -> tantivy::Result<T>) -> Result<T, LexicalError> {
    // Whatever `work` was in the middle of changing is dropped by its owner after a Damaged.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| from_tantivy(&error)),
        Err(_) => Err(damaged("its files do not hold together")),
    }
}

/// A damaged index, and why.
pub(super) fn damaged(why: &str) -> LexicalError {
    LexicalError::Damaged(why.to_owned())
}

/// A failure that has nothing to do with what the files hold.
pub(super) fn failed(why: &str) -> LexicalError {
    LexicalError::Failed(why.to_owned())
}

fn from_tantivy(error: &TantivyError) -> LexicalError {
    match error {
        TantivyError::IoError(error) => from_io(error),
        TantivyError::OpenReadError(OpenReadError::FileDoesNotExist(_)) => damaged("a file is missing"),
        TantivyError::OpenReadError(OpenReadError::IoError { io_error, .. })
        | TantivyError::OpenWriteError(OpenWriteError::IoError { io_error, .. })
        | TantivyError::OpenDirectoryError(OpenDirectoryError::IoError { io_error, .. }) => from_io(io_error),
        TantivyError::OpenReadError(OpenReadError::IncompatibleIndex(_)) | TantivyError::IncompatibleIndex(_) => {
            damaged("its files are of another version of the format")
        }
        TantivyError::OpenWriteError(OpenWriteError::FileAlreadyExists(_)) => damaged("a file is there that should not be"),
        TantivyError::DataCorruption(_) => damaged("a file holds something else than it should"),
        TantivyError::SchemaError(_) | TantivyError::FieldNotFound(_) => damaged("its fields are not the ones expected"),
        TantivyError::OpenDirectoryError(_) => failed("its folder cannot be opened"),
        TantivyError::LockFailure(..) => failed("another writer holds it"),
        TantivyError::ErrorInThread(_) => failed("a thread that writes it failed"),
        _ => failed("the engine reported an error"),
    }
}

/// The system's errors say something of the machine; those without a system's code come from reading what files hold.
fn from_io(error: &io::Error) -> LexicalError {
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::NotFound, _) => damaged("a file is missing"),
        (kind, Some(_)) => failed(&kind.to_string()),
        (io::ErrorKind::PermissionDenied | io::ErrorKind::StorageFull | io::ErrorKind::OutOfMemory, None) => {
            failed(&error.kind().to_string())
        }
        (_, None) => damaged("a file does not follow its format"),
    }
}
