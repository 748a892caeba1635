//! A summary of documents that are longer than a model takes in: parts are shortened one by one, and the results put together,
//! again in parts where they are many. Every statement keeps its source, a sentence of a document, on the way.

use super::chat::{Attested, ChatModel};
use super::rewrite::Rewriter;
use super::{GenerateRequest, Generated, GeneratorError, Quote, Work, prompt};
use crate::retrieve::Hit;

/// A summary of a part is at most this share of what a prompt has room for, so that several fit into one.
const SHARE: usize = 4;

/// A text with `[n]` where its n-th quote belongs.
struct Note {
    text: String,
    quotes: Vec<Quote>,
}

impl ChatModel {
    /// Summarises all of the passages, in their order.
    pub(super) async fn summary(
        &self,
        model: &Attested,
        request: &GenerateRequest<'_>,
        sink: &mut dyn FnMut(&str),
    ) -> Result<Generated, GeneratorError> {
        let mut order: Vec<usize> = (0..request.passages.len()).collect();
        order.sort_by_key(|&at| (&request.passages[at].document.path, request.passages[at].span.start));
        let passages: Vec<Hit> = order.iter().map(|&at| request.passages[at].clone()).collect();
        let ordered = GenerateRequest { passages: &passages, ..*request };
        let mut work = Work { given: (0..passages.len()).collect(), ..Work::default() };
        let note = self.summarised(model, &ordered, &mut work, sink).await?;
        let back = |quote: Quote| Quote { passage: order[quote.passage], ..quote };
        let quotes = note.quotes.into_iter().map(back).collect();
        Ok(Generated { text: note.text, quotes, work, ..Generated::default() })
    }

    async fn summarised(
        &self,
        model: &Attested,
        request: &GenerateRequest<'_>,
        work: &mut Work,
        sink: &mut dyn FnMut(&str),
    ) -> Result<Note, GeneratorError> {
        let mut short = model.clone();
        short.answer_tokens = model.answer_tokens.min(model.room / SHARE).max(1);
        let mut notes = Vec::new();
        let mut from = 0;
        while from < request.passages.len() {
            let rest = GenerateRequest { passages: &request.passages[from..], history: &[], ..*request };
            let is_first = from == 0;
            let tell = &mut |piece: &str, is_all: bool| {
                if is_first && is_all {
                    sink(piece)
                }
            };
            let (taken, note) = self.part([model, &short], &rest, work, tell).await?;
            if let Some(mut note) = note {
                note.quotes.iter_mut().for_each(|quote| quote.passage += from);
                notes.push(note);
            }
            from += taken;
        }
        while notes.len() > 1 {
            notes = self.put_together([model, &short], request, notes, work, sink).await?;
        }
        Ok(notes.pop().unwrap_or(Note { text: String::new(), quotes: Vec::new() }))
    }

    /// Shortens as many of the first passages as fit; gives how many, and nothing where they hold nothing of what is wanted.
    /// What is written is told with whether these were all.
    async fn part(
        &self,
        [model, short]: [&Attested; 2],
        request: &GenerateRequest<'_>,
        work: &mut Work,
        tell: &mut dyn FnMut(&str, bool),
    ) -> Result<(usize, Option<Note>), GeneratorError> {
        let mut most = prompt::in_a_row(request, model.room).max(1);
        loop {
            let part = GenerateRequest { passages: &request.passages[..most], ..*request };
            let prompt = prompt::grounded(&part, usize::MAX);
            if let Some(counted) = self.count(model, &prompt.messages).await
                && counted > model.room
                && most > 1
            {
                // A tenth less than fits by the average.
                most = (most * model.room / counted * 9 / 10).clamp(1, most - 1);
                continue;
            }
            let whole = most == request.passages.len();
            let mut rewriter = Rewriter::new(part.passages, &prompt.given, request.job.kind);
            let sink = &mut |piece: &str| tell(piece, whole);
            let asked = if whole { model } else { short };
            match self.ask(asked, &prompt.messages, None, &mut |piece| rewriter.push(piece, sink)).await {
                Err(GeneratorError::TooLong) if most > 1 => most /= 2,
                Err(error) => return Err(error),
                Ok(completed) => {
                    work.add(&completed);
                    let (text, quotes) = rewriter.finish(sink);
                    return Ok((most, (!quotes.is_empty()).then_some(Note { text, quotes })));
                }
            }
        }
    }

    /// Puts neighbouring notes together, as many at a time as fit. What makes one of all of them is handed out.
    async fn put_together(
        &self,
        [model, short]: [&Attested; 2],
        request: &GenerateRequest<'_>,
        notes: Vec<Note>,
        work: &mut Work,
        sink: &mut dyn FnMut(&str),
    ) -> Result<Vec<Note>, GeneratorError> {
        let before = notes.len();
        let empty = prompt::combined(request, &[]);
        let fixed: usize = empty.iter().map(|turn| prompt::tokens(&turn.text)).sum::<usize>() + 64;
        let mut groups: Vec<Vec<Note>> = Vec::new();
        let mut left = 0;
        for note in notes {
            let cost = prompt::tokens(&note.text) + 16;
            match groups.last_mut() {
                Some(group) if cost <= left => {
                    left -= cost;
                    group.push(note);
                }
                _ => {
                    left = model.room.saturating_sub(fixed + cost);
                    groups.push(vec![note]);
                }
            }
        }
        if groups.len() == before {
            return Err(GeneratorError::Failed("its summaries of the parts are too long for it to put together".into()));
        }
        let is_last = groups.len() == 1;
        let mut together = Vec::new();
        for group in groups {
            let [_, _, ..] = group[..] else {
                together.extend(group);
                continue;
            };
            // The sentences quoted so far are the passages of this step: a number can only lead to one of them.
            let (mut texts, mut quotes) = (Vec::new(), Vec::new());
            for note in group {
                texts.push(shifted(&note.text, quotes.len()));
                quotes.extend(note.quotes);
            }
            let sentences: Vec<Hit> = quotes.iter().map(|quote: &Quote| sentence(quote, request.passages)).collect();
            let all: Vec<usize> = (0..sentences.len()).collect();
            let mut rewriter = Rewriter::new(&sentences, &all, request.job.kind);
            let hand_out = &mut |piece: &str| {
                if is_last {
                    sink(piece)
                }
            };
            let turns = prompt::combined(request, &texts);
            let asked = if is_last { model } else { short };
            let completed = self.ask(asked, &turns, None, &mut |piece| rewriter.push(piece, hand_out)).await?;
            work.add(&completed);
            let (text, kept) = rewriter.finish(hand_out);
            let original = |kept: Quote| {
                let quote = &quotes[kept.passage];
                let start = quote.bytes.start;
                Quote { passage: quote.passage, bytes: start + kept.bytes.start..start + kept.bytes.end, pointer: None }
            };
            let quotes: Vec<Quote> = kept.into_iter().map(original).collect();
            if !quotes.is_empty() {
                together.push(Note { text, quotes });
            }
        }
        Ok(together)
    }
}

/// A quoted sentence as a passage of its own.
fn sentence(quote: &Quote, passages: &[Hit]) -> Hit {
    let hit = &passages[quote.passage];
    let text = hit.text.get(quote.bytes.clone()).unwrap_or_default().to_owned();
    Hit { text, ..hit.clone() }
}

/// The text with each `[n]` raised by so much.
fn shifted(text: &str, by: usize) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut parts = text.split('[');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        match part[..digits].parse::<usize>() {
            Ok(number) if part[digits..].starts_with(']') => out.push_str(&format!("[{}{}", number + by, &part[digits..])),
            _ => {
                out.push('[');
                out.push_str(part);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_raised_and_nothing_else() {
        assert_eq!(shifted("a [1][12], [x] [3 [4]", 10), "a [11][22], [x] [3 [14]");
        assert_eq!(shifted("", 3), "");
    }
}
