//! What a task is done from: the best passages for what is asked, or documents whole.

use std::sync::Arc;

use strongroom_ingest::index::Collection;
use strongroom_ingest::index::records::DocumentFilter;

use super::{Ask, AskError, Question};
use crate::answer::{self, Kind, Role, Turn};
use crate::retrieve::{Hit, Mode, Query, stored};

/// Passages that an answer may be taken from.
const PASSAGES: usize = 10;
/// Passages of documents that are ranked; those behind them count less than any of these.
const RANKED: usize = 100;
/// Characters of a document's text that count as one token, on the safe side.
const CHARACTERS_A_TOKEN: usize = 3;

/// What a task is done from.
pub(super) struct Material {
    pub passages: Vec<Hit>,
    /// Documents of the asked collections that cannot be read.
    pub unreadable: u64,
    /// Whether these are whole documents.
    pub whole: bool,
}

impl Ask {
    pub(super) fn material(
        &self,
        question: &Question<'_>,
        from: &[Arc<Collection>],
        most: usize,
    ) -> Result<Material, AskError> {
        if let Some(paths) = &question.task.documents {
            return self.documents(question, paths, from, most);
        }
        let found = self.passages(&searched(question.text, question.history), PASSAGES, from)?;
        let passages = match question.task.kind {
            // What is written new is about names that no document needs to hold.
            Kind::Draft | Kind::Code | Kind::Classify => found.hits,
            Kind::Ask | Kind::Extract | Kind::Summarise => {
                stored::of_the_named(&answer::names(question.text), found.hits, from)?
            }
        };
        Ok(Material { passages, unreadable: found.unreadable, whole: false })
    }

    /// Documents whole. Those of a summary come in their order, the others' passages best first, for they may not all fit.
    fn documents(
        &self,
        question: &Question<'_>,
        paths: &[String],
        from: &[Arc<Collection>],
        most: usize,
    ) -> Result<Material, AskError> {
        let mut passages: Vec<Hit> = Vec::new();
        for path in paths {
            let before = passages.len();
            for collection in from {
                passages.extend(stored::whole(collection, path)?.unwrap_or_default());
            }
            if passages.len() == before {
                return Err(AskError::NoDocument(path.clone()));
            }
        }
        let tokens = passages.iter().map(|hit| hit.text.len()).sum::<usize>() / CHARACTERS_A_TOKEN;
        if tokens > most {
            return Err(AskError::TooMuch { tokens, limit: most });
        }
        let mut unreadable = 0;
        for collection in from {
            unreadable += collection.counts()?.unreadable;
        }
        if question.task.kind != Kind::Summarise {
            self.rank(question.text, paths, from, &mut passages)?;
        }
        Ok(Material { passages, unreadable, whole: true })
    }

    fn rank(&self, text: &str, paths: &[String], from: &[Arc<Collection>], passages: &mut Vec<Hit>) -> Result<(), AskError> {
        let filter = DocumentFilter { paths: Some(paths.to_vec()), ..DocumentFilter::default() };
        let query = Query { text: text.to_owned(), mode: Mode::Hybrid, limit: RANKED, filter, explain: false };
        let found = self.searched_by_words_at_least(query, from)?;
        let rank = |passage: &Hit| {
            let holds = |hit: &Hit| {
                (hit.collection, hit.version) == (passage.collection, passage.version)
                    && hit.span.start < passage.span.end
                    && passage.span.start < hit.span.end
            };
            found.hits.iter().position(holds).unwrap_or(usize::MAX)
        };
        let mut ranked: Vec<(usize, Hit)> = std::mem::take(passages).into_iter().map(|hit| (rank(&hit), hit)).collect();
        ranked.sort_by_key(|(at, _)| *at);
        let scored = |(at, hit): (usize, Hit)| Hit { score: found.hits.get(at).map_or(0.0, |found| found.score), ..hit };
        passages.extend(ranked.into_iter().map(scored));
        Ok(())
    }
}

/// Questions of fewer words, or with one of these words, lean on what was said before.
const FEW_WORDS: usize = 4;
const POINTING: [&str; 16] = [
    "it", "its", "that", "this", "these", "those", "they", "them", "their", "he", "she", "his", "her", "there", "same",
    "former",
];

/// What is searched for a question that may lean on the one before.
fn searched(question: &str, history: &[Turn]) -> String {
    let before = history.iter().rev().find(|turn| turn.role == Role::User);
    let mut words = question.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let leans = words.clone().count() <= FEW_WORDS || words.any(|word| POINTING.contains(&word.to_lowercase().as_str()));
    match before {
        Some(before) if leans => format!("{} {question}", before.text.trim()),
        _ => question.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_that_points_back_is_searched_with_the_one_before() {
        let turn = |role, text: &str| Turn { role, text: text.to_owned() };
        let history = [turn(Role::User, "What is the rent of the Acme lease?"), turn(Role::Assistant, "€4,500 [1].")];
        assert_eq!(
            searched("And when is it payable?", &history),
            "What is the rent of the Acme lease? And when is it payable?"
        );
        assert_eq!(searched("And parking?", &history), "What is the rent of the Acme lease? And parking?");
        let whole = "Which law governs the Globex services agreement?";
        assert_eq!(searched(whole, &history), whole);
        assert_eq!(searched("And parking?", &[]), "And parking?");
    }
}
