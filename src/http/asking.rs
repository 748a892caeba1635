//! A question on its way: answered on a blocking thread, told step by step, and given up once its asker has gone.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::access::Access;
use super::problem::Problem;
use super::{Context, blocking};
use crate::answer::{Held, Turn, Waiting, waiting};
use crate::ask::{AskError, Asked, Question, Step, Task};

/// A question with all that belongs to it, as [`Question`] has it.
pub(super) struct Asking {
    pub collections: Option<Vec<String>>,
    pub text: String,
    pub task: Task,
    pub history: Vec<Turn>,
    pub binding: bool,
}

/// What comes of it.
pub(super) enum Told {
    Words(String),
    /// The words so far are void.
    Anew,
    /// A generator cannot begin yet, for this reason and for so many seconds.
    Held(String, Held, u64),
    /// The whole, or why there is none. Nothing comes after it.
    End(Result<Box<Asked>, Problem>),
}

/// A question that is being answered. Dropping it gives the question up.
pub(super) struct Running {
    // As long as the answer at most: the thread that fills it may not wait for a slow reader.
    told: mpsc::UnboundedReceiver<Told>,
    found: usize,
    _waiting: Waiting,
}

impl Running {
    /// Begins. Comes back when passages were found.
    ///
    /// # Errors
    /// Whatever is wrong with the question.
    pub async fn begin(context: &Context, access: &Access, asking: Asking) -> Result<Self, Problem> {
        let (waiting, cancel) = waiting();
        let (tell, mut told) = mpsc::unbounded_channel();
        let (find, found) = tokio::sync::oneshot::channel();
        let ask = context.door.ask.within(access.reach());
        tokio::spawn(async move {
            let telling = tell.clone();
            let mut find = Some(find);
            let work = move || -> Result<Asked, AskError> {
                let Asking { collections, text, task, history, binding } = &asking;
                let collections = collections.as_deref();
                let question = Question { collections, text, task, history, binding: *binding, cancel: &cancel };
                ask.answered(&question, &mut |step| {
                    let told = match step {
                        Step::Words(words) => Told::Words(words.to_owned()),
                        Step::Anew => Told::Anew,
                        Step::Held { generator, why, seconds } => Told::Held(generator.to_owned(), why, seconds),
                        Step::Found(number) => {
                            if let Some(find) = find.take() {
                                // Whoever has gone has also cancelled.
                                let _ = find.send(number);
                            }
                            return;
                        }
                    };
                    let _ = telling.send(told);
                })
            };
            let _ = tell.send(Told::End(blocking(work).await.map(Box::new)));
        });
        match found.await {
            Ok(found) => Ok(Self { told, found, _waiting: waiting }),
            // It ended before anything was found.
            Err(_) => match told.recv().await {
                Some(Told::End(Err(problem))) => Err(problem),
                _ => Err(Problem::internal("a question ended without an answer")),
            },
        }
    }

    /// Passages that were found.
    pub fn found(&self) -> usize {
        self.found
    }

    /// What comes next.
    pub async fn next(&mut self) -> Told {
        let ended = || Told::End(Err(Problem::internal("a question ended without an answer")));
        self.told.recv().await.unwrap_or_else(ended)
    }

    /// The whole answer, without its steps.
    pub async fn whole(mut self) -> Result<Box<Asked>, Problem> {
        loop {
            if let Told::End(end) = self.next().await {
                return end;
            }
        }
    }
}

/// Runs a conversation without documents, given up once the future is dropped.
pub(super) async fn completed(
    context: &Arc<Context>,
    access: &Access,
    collections: Vec<String>,
    turns: Vec<Turn>,
) -> Result<Option<(crate::answer::Completed, crate::answer::GeneratorInfo)>, Problem> {
    let (_waiting, cancel) = waiting();
    let ask = context.door.ask.within(access.reach());
    blocking(move || Ok::<_, Problem>(ask.complete(Some(&collections), &turns, &cancel)?)).await
}
