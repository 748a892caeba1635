//! How much of a question a text holds: words, their rarity, and what kind of thing is asked for.

use std::collections::{HashMap, HashSet};

use crate::retrieve::words::is_function_word;

/// The words of a question that an answer has to be about, each with a weight.
#[derive(Debug)]
pub(super) struct Wanted {
    weights: HashMap<String, f32>,
    total: f32,
    /// What kind of thing is asked for.
    pub kind: Kind,
}

/// What kind of thing a question asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Date,
    Amount,
    Name,
    Other,
}

impl Wanted {
    /// The telling words of `question`, weighed by how few of `texts` hold them. One that none holds weighs most.
    pub fn of(question: &str, texts: &[HashSet<String>]) -> Self {
        let all = texts.len() as f32;
        let mut weights = HashMap::new();
        for word in words(question) {
            let holding = texts.iter().filter(|text| text.contains(&word)).count() as f32;
            // Never near zero: what all passages hold is the matter that was asked about, which is why they are here.
            weights.insert(word, ((all + 1.0) / (holding + 1.0)).ln_1p());
        }
        let total = weights.values().sum();
        Self { weights, total, kind: Kind::of(question) }
    }

    /// Which share of the question `text` holds, by weight: 0 to 1.
    pub fn share(&self, text: &HashSet<String>) -> f32 {
        if self.total <= 0.0 {
            return 0.0;
        }
        let held: f32 = self.weights.iter().filter(|(word, _)| text.contains(*word)).map(|(_, weight)| weight).sum();
        held / self.total
    }

    /// How many of the question's words `text` holds, and how many there are.
    pub fn count(&self, text: &HashSet<String>) -> (usize, usize) {
        (self.weights.keys().filter(|word| text.contains(*word)).count(), self.weights.len())
    }
}

impl Kind {
    fn of(question: &str) -> Self {
        let question = question.to_lowercase();
        let asks = |openings: &[&str]| openings.iter().any(|opening| question.contains(opening));
        if asks(&["how long", "when ", "what date", "which date", "how soon", "until when", "deadline", "period", "notice"]) {
            Self::Date
        } else if asks(&[
            "how much",
            "how many",
            "what amount",
            "what is the price",
            "what is the fee",
            "cost",
            "percentage",
            "rate",
        ]) {
            Self::Amount
        } else if asks(&["who ", "whose ", "whom ", "which party", "which company"]) {
            Self::Name
        } else {
            Self::Other
        }
    }

    /// Whether `sentence` holds such a thing.
    pub fn is_in(self, sentence: &str) -> bool {
        let digits = || sentence.chars().any(|c| c.is_ascii_digit());
        let lower = || sentence.to_lowercase();
        match self {
            Self::Date => {
                const TIMES: [&str; 16] = [
                    "day",
                    "week",
                    "month",
                    "year",
                    "january",
                    "february",
                    "march",
                    "april",
                    "june",
                    "july",
                    "august",
                    "september",
                    "october",
                    "november",
                    "december",
                    "hour",
                ];
                let lower = lower();
                (digits() || lower.contains("date")) && TIMES.iter().any(|time| lower.contains(time)) || has_year(sentence)
            }
            Self::Amount => digits() || sentence.contains(['$', '€', '£', '%']) || lower().contains("percent"),
            Self::Name => sentence.split_whitespace().skip(1).any(|word| word.chars().next().is_some_and(char::is_uppercase)),
            Self::Other => false,
        }
    }
}

fn has_year(sentence: &str) -> bool {
    sentence.split(|c: char| !c.is_ascii_digit()).any(|run| run.len() == 4 && (run.starts_with("19") || run.starts_with("20")))
}

/// The telling words of a text, cut to their stems.
pub(super) fn words(text: &str) -> HashSet<String> {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty() && *word != "s");
    words.filter(|word| !is_function_word(word)).map(stem).collect()
}

/// Enough of a stemmer to see that "terminates", "terminated" and "termination" are one word. Both sides go through it, so
/// that it need not give real stems.
fn stem(word: &str) -> String {
    const ENDINGS: [&str; 12] = ["ations", "ation", "ment", "ance", "ence", "ions", "ion", "ing", "ate", "ed", "es", "e"];
    if word.len() < 4 || !word.is_ascii() {
        return word.to_owned();
    }
    let singular = match word.strip_suffix("ies") {
        Some(rest) if rest.len() > 1 => format!("{rest}y"),
        _ if word.ends_with("ss") || word.ends_with("us") || word.ends_with("is") => word.to_owned(),
        _ => word.strip_suffix('s').unwrap_or(word).to_owned(),
    };
    let mut stem = singular.as_str();
    // Twice: "terminated" loses "ed", then "terminat" is what "terminate" less its "e" is.
    for _ in 0..2 {
        for ending in ENDINGS {
            if let Some(rest) = stem.strip_suffix(ending).filter(|rest| rest.len() >= 3) {
                stem = rest;
                break;
            }
        }
    }
    let stem = stem.strip_suffix("at").filter(|rest| rest.len() >= 5).unwrap_or(stem);
    stem.to_owned()
}

/// Written large like names, but kinds of documents and roles: they seldom stand in the text in short.
const KINDS: [&str; 16] =
    ["ceo", "cfo", "cto", "dpa", "eula", "faq", "gdpr", "hr", "ip", "loi", "mou", "msa", "nda", "po", "sla", "sow"];

/// The names in a question: words written large where no sentence begins, and identifiers with digits. What is asked about
/// a name is not answered by a document that nowhere holds it.
pub(crate) fn names(question: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut begins = true;
    for piece in question.split_whitespace() {
        let word = piece.trim_matches(|c: char| !c.is_alphanumeric());
        let word = word.strip_suffix("'s").or_else(|| word.strip_suffix("’s")).unwrap_or(word);
        let large = word.chars().next().is_some_and(char::is_uppercase);
        let all_large = word.chars().count() > 1 && word.chars().all(|c| c.is_uppercase() || !c.is_alphabetic());
        let digits = word.chars().any(|c| c.is_ascii_digit()) && word.chars().any(char::is_alphabetic);
        let is_name = (large && !begins || all_large || digits)
            && !is_function_word(&word.to_lowercase())
            && !KINDS.contains(&word.to_lowercase().as_str());
        if is_name && !names.iter().any(|name| name == word) {
            names.push(word.to_owned());
        }
        begins = piece.ends_with(['.', '?', '!', ':', ';']);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_word_are_one() {
        for forms in [
            &["terminate", "terminates", "terminated", "termination", "terminating"][..],
            &["party", "parties"],
            &["notice", "notices"],
            &["pay", "payment", "payments"],
            &["agree", "agreed"],
            &["obligation", "obligations"],
        ] {
            let stems: HashSet<String> = forms.iter().map(|form| stem(form)).collect();
            assert_eq!(stems.len(), 1, "{forms:?} {stems:?}");
        }
        assert_ne!(stem("license"), stem("lice"));
    }

    #[test]
    fn names_are_what_is_written_large_inside_a_sentence() {
        let check = |question: &str, expect: &[&str]| assert_eq!(names(question), expect, "of {question:?}");
        check("What does Acme's lease with Blue Sky say?", &["Acme", "Blue", "Sky"]);
        check("IBM pays? Globex does", &["IBM"]);
        check("what is in INV-2024-0093", &["INV-2024-0093"]);
        check("What is the governing law", &[]);
        check("Does the NDA end?", &[]);
    }

    #[test]
    fn kinds_are_told_apart() {
        assert_eq!(Kind::of("When does it end?"), Kind::Date);
        assert_eq!(Kind::of("How much is the rent?"), Kind::Amount);
        assert_eq!(Kind::of("Who signs?"), Kind::Name);
        assert_eq!(Kind::of("Is subletting allowed?"), Kind::Other);
        assert!(Kind::Date.is_in("within thirty (30) days") && Kind::Date.is_in("in 2021") && !Kind::Date.is_in("Clause 4"));
        assert!(Kind::Amount.is_in("€ 5") && !Kind::Amount.is_in("nothing"));
    }
}
