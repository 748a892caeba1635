//! Files that are read in passing and kept nowhere.

use super::{Pipeline, PipelineError};
use crate::extract::Source;
use crate::model::{Extraction, Reason, Recording};

/// What was read from a file that is kept nowhere.
#[derive(Clone, Debug)]
pub struct ReadFile {
    /// The file's own text.
    pub extraction: Extraction,
    /// Names and texts of what is inside it, as far as it could be read.
    pub members: Vec<(String, String)>,
}

impl Pipeline {
    /// Says in a worker what a recording is, and keeps nothing of it.
    ///
    /// # Errors
    /// Outside, what is our fault; inside, why it is no recording, with a sentence for people.
    pub fn measure(
        &self,
        name: &str,
        media_type: Option<&str>,
        mut bytes: &[u8],
    ) -> Result<Result<Recording, (Reason, String)>, PipelineError> {
        let len = bytes.len() as u64;
        let source = Source { bytes: &mut bytes, len, name, media_type, passwords: &[], hearing: None };
        let read = self.shared.extractor.extract(source).map_err(|error| PipelineError::Failed(error.to_string()))?;
        Ok(match read.outcome {
            Err(why) => why.recording.ok_or((why.reason, why.detail)),
            Ok(_) => Err((Reason::Unsupported, "it is no sound recording".into())),
        })
    }

    /// Reads a file in a worker, and keeps nothing of it.
    ///
    /// # Errors
    /// Outside, what is our fault; inside, why the file cannot be read, with a sentence for people.
    pub fn read(
        &self,
        name: &str,
        media_type: Option<&str>,
        bytes: &[u8],
    ) -> Result<Result<ReadFile, (Reason, String)>, PipelineError> {
        let mut from = bytes;
        let len = bytes.len() as u64;
        let source = Source { bytes: &mut from, len, name, media_type, passwords: &[], hearing: None };
        let read = self.shared.extractor.extract(source).map_err(|error| PipelineError::Failed(error.to_string()))?;
        let members = read.members.into_iter();
        let members = members.filter_map(|member| Some((member.name, member.outcome.ok()?.text))).collect();
        Ok(match read.outcome {
            Ok(extraction) => Ok(ReadFile { extraction, members }),
            Err(unreadable) => Err((unreadable.reason, unreadable.detail)),
        })
    }
}
