//! Words that a generator writes, on their way to the asker: held back until it is known that they are of use.

use super::Step;

/// Words on their way to the asker.
pub(super) struct Words {
    /// Whether only words with a citation among them are handed out.
    pub(super) binding: bool,
    /// What was written before the first citation, where words bind.
    pub(super) held: String,
    /// Whether anything was handed out.
    pub(super) out: bool,
}

impl Words {
    pub(super) fn add(&mut self, piece: &str, tell: &mut dyn FnMut(Step<'_>)) {
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

    /// Hands out what is still held: a whole answer that has no citation and needs none.
    pub(super) fn let_out(&mut self, tell: &mut dyn FnMut(Step<'_>)) {
        if !self.held.is_empty() {
            self.out = true;
            tell(Step::Words(&std::mem::take(&mut self.held)));
        }
    }

    pub(super) fn void(&mut self, tell: &mut dyn FnMut(Step<'_>)) {
        self.held.clear();
        if std::mem::take(&mut self.out) {
            tell(Step::Anew);
        }
    }
}

/// Whether a text holds `[n]`. In what generators give, that is always a citation.
pub(super) fn holds_citation(text: &str) -> bool {
    text.split('[').skip(1).any(|rest| {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        digits > 0 && rest[digits..].starts_with(']')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_bind_wait_for_their_first_citation() {
        let mut told = Vec::new();
        let mut words = Words { binding: true, held: String::new(), out: false };
        for piece in ["Ninety", " days [sic] ", "[1]", " and"] {
            words.add(piece, &mut |step| told.push(format!("{step:?}")));
        }
        assert_eq!(told, ["Words(\"Ninety days [sic] [1]\")", "Words(\" and\")"]);
    }
}
