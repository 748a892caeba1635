//! Has an answer written: one generator after the other until one can, each over passages that are still what they were.

use std::sync::Arc;
use std::time::Instant;

use strongroom_ingest::index::Collection;
use strongroom_ingest::model::{CollectionId, Span, VersionId};

use super::task::Clock;
use super::words::Words;
use super::{AskError, Question, Step, Tried};
use crate::answer::{self, Answer, Extracts, GenerateRequest, Generator, GeneratorError, Job, Piece};
use crate::retrieve::{Hit, stored};

/// What every generator that is tried is given.
pub(super) struct Attempt<'a> {
    pub question: &'a Question<'a>,
    pub job: Job<'a>,
    pub from: &'a [Arc<Collection>],
    pub walls: &'a [CollectionId],
    pub clock: &'a mut Clock,
}

/// Has an answer written, by the first generator that can; of what needs no language model, the built-in one always can.
pub(super) fn generated(
    generators: &[&Arc<dyn Generator>],
    attempt: &mut Attempt<'_>,
    passages: &mut Vec<Hit>,
    tell: &mut dyn FnMut(Step<'_>),
) -> Result<(Answer, Vec<Tried>), AskError> {
    let mut tried: Vec<Tried> = Vec::new();
    let extracts: Arc<dyn Generator> = Arc::new(Extracts);
    let binding = attempt.question.binding;
    // Who asks for one generator by name wants its answer or none.
    let last = attempt.question.task.generator.is_none().then_some(&extracts);
    for generator in generators.iter().copied().chain(last) {
        let mut words = Words { binding, held: String::new(), out: false };
        match by_one(generator.as_ref(), attempt, passages, &mut words, tell) {
            Err(Stop::Generator(GeneratorError::Cancelled)) => return Err(AskError::Cancelled),
            Err(Stop::Generator(error)) => {
                tell_failure(generator.as_ref(), &error);
                if words.out && binding {
                    return Err(AskError::BrokeOff(error.to_string()));
                }
                words.void(tell);
                tried.push(Tried { name: generator.info().name, why: error.to_string() });
            }
            Err(Stop::Ask(error)) => return Err(error),
            Ok(answer) => {
                if !answer.grounded && answer.text == answer::NOT_FOUND {
                    words.void(tell);
                    tell(Step::Words(&answer.text));
                } else {
                    words.let_out(tell);
                }
                return Ok((answer, tried));
            }
        }
    }
    let why: Vec<String> = tried.iter().map(|Tried { name, why }| format!("{name}: {why}")).collect();
    Err(AskError::NotDone(why.join("; ")))
}

/// Has one generator write. Passages that are no longer what they were when they were found are taken away, and it writes
/// again without them.
fn by_one(
    generator: &dyn Generator,
    attempt: &mut Attempt<'_>,
    passages: &mut Vec<Hit>,
    words: &mut Words,
    tell: &mut dyn FnMut(Step<'_>),
) -> Result<Answer, Stop> {
    let Question { text, history, cancel, binding, .. } = *attempt.question;
    let name = generator.info().name;
    loop {
        let request = GenerateRequest {
            question: text,
            passages: passages.as_slice(),
            walls: attempt.walls,
            history,
            job: attempt.job,
            cancel,
        };
        attempt.clock.asked = Some(Instant::now());
        attempt.clock.first = None;
        let Clock { asked, first, .. } = &mut *attempt.clock;
        let written = generator.generate(&request, &mut |piece| match piece {
            Piece::Words(piece) => {
                first.get_or_insert_with(Instant::now);
                words.add(piece, tell);
            }
            // A model that sleeps, or works for others, is not slow.
            Piece::Held(why, time) => {
                *asked = Some(Instant::now());
                tell(Step::Held { generator: &name, why, seconds: time.as_secs() });
            }
        });
        let generated = written.map_err(Stop::Generator)?;
        let mut changed: Vec<(CollectionId, VersionId, Span)> = Vec::new();
        let answer = answer::cite(generated, attempt.job.kind, passages, generator.info(), |hit, span| {
            let stored = stored::slice(attempt.from, hit, span)?;
            if stored.is_none() {
                changed.push((hit.collection, hit.version, hit.span));
            }
            Ok::<_, AskError>(stored)
        })
        .map_err(Stop::Ask)?;
        if changed.is_empty() {
            return Ok(answer);
        }
        if words.out && binding {
            return Err(Stop::Ask(AskError::BrokeOff("a document changed meanwhile".into())));
        }
        words.void(tell);
        passages.retain(|hit| !changed.contains(&(hit.collection, hit.version, hit.span)));
    }
}

/// Why a generator's answer was not taken.
enum Stop {
    /// The generator's fault: another may be tried.
    Generator(GeneratorError),
    /// Ours.
    Ask(AskError),
}

pub(super) fn tell_failure(generator: &dyn Generator, error: &GeneratorError) {
    tracing::warn!(generator = generator.info().name, %error, "a generator did not answer; the next one is tried");
}
