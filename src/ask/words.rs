//! Words on both ends of an answer: what is searched for a question that leans on the one before, and what may be handed out
//! while a generator writes.

use super::Step;
use crate::answer::{Role, Turn};

/// Words on their way to the asker.
pub(super) struct Words {
    binding: bool,
    /// What was written before the first citation, where words bind.
    held: String,
    /// Whether anything was handed out.
    pub out: bool,
}

impl Words {
    pub fn new(binding: bool) -> Self {
        Self { binding, held: String::new(), out: false }
    }

    /// Hands out the next piece, or holds it.
    pub fn add(&mut self, piece: &str, tell: &mut dyn FnMut(Step<'_>)) {
        if self.binding && !self.out {
            self.held.push_str(piece);
            if holds_citation(&self.held) {
                self.out = true;
                tell(Step::Words(&std::mem::take(&mut self.held)));
            }
            return;
        }
        self.out = true;
        tell(Step::Words(piece));
    }

    /// Says that what was handed out is void.
    pub fn void(&mut self, tell: &mut dyn FnMut(Step<'_>)) {
        self.held.clear();
        if std::mem::take(&mut self.out) {
            tell(Step::Anew);
        }
    }
}

/// Whether a text holds `[n]`. In what generators give, that is always a citation.
fn holds_citation(text: &str) -> bool {
    text.split('[').skip(1).any(|rest| {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        digits > 0 && rest[digits..].starts_with(']')
    })
}

/// Questions of fewer words, or with one of these words, lean on what was said before.
const FEW_WORDS: usize = 4;
const POINTING: [&str; 16] = [
    "it", "its", "that", "this", "these", "those", "they", "them", "their", "he", "she", "his", "her", "there", "same",
    "former",
];

/// What is searched for a question that may lean on the one before.
pub(super) fn searched(question: &str, history: &[Turn]) -> String {
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

    #[test]
    fn words_that_bind_wait_for_their_first_citation() {
        let mut told = Vec::new();
        let mut words = Words::new(true);
        for piece in ["Ninety", " days [sic] ", "[1]", " and"] {
            words.add(piece, &mut |step| told.push(format!("{step:?}")));
        }
        assert_eq!(told, ["Words(\"Ninety days [sic] [1]\")", "Words(\" and\")"]);
    }
}
