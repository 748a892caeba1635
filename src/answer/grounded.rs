//! A text with citations from as many of the passages as a model takes in.

use super::chat::{Attested, ChatModel};
use super::rewrite::Rewriter;
use super::{GenerateRequest, Generated, GeneratorError, Work};

/// Below this many tokens it makes no sense to try again with fewer passages.
pub(super) const LEAST_ROOM: usize = 400;

impl ChatModel {
    /// Has a text written from as many of the passages as fit.
    pub(super) async fn grounded(
        &self,
        model: &Attested,
        request: &GenerateRequest<'_>,
        sink: &mut dyn FnMut(&str),
    ) -> Result<Generated, GeneratorError> {
        let mut room = model.room;
        loop {
            let prompt = self.prompt(model, request, room).await;
            if prompt.given.is_empty() && (request.job.kind.needs_sources() || !request.passages.is_empty()) {
                // Without a passage there is nothing that it could work from.
                return Ok(Generated::default());
            }
            let mut rewriter = Rewriter::new(request.passages, &prompt.given, request.job.kind);
            let asked = self.ask(model, &prompt.messages, None, &mut |piece| rewriter.push(piece, sink)).await;
            match asked {
                // Its tokens are smaller than we thought, or its context is. Nothing was written yet.
                Err(GeneratorError::TooLong) if room / 2 >= LEAST_ROOM => room /= 2,
                Err(error) => return Err(error),
                Ok(completed) => {
                    let (text, quotes) = rewriter.finish(sink);
                    let mut work = Work { given: prompt.given, ..Work::default() };
                    work.add(&completed);
                    return Ok(Generated { text, quotes, work, ..Generated::default() });
                }
            }
        }
    }
}
