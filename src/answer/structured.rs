//! A result in JSON that keeps to a schema, with a source for each of its values that stands in the passages.
//!
//! The schema is in the prompt and is told to servers that can hold a model to it; what comes is checked in any case. One that does
//! not keep to it is sent back once with what is wrong.

use std::ops::Range;

use serde_json::Value;

use super::chat::{Attested, ChatModel};
use super::grounded::LEAST_ROOM;
use super::{GenerateRequest, Generated, GeneratorError, Kind, Quote, Role, Schema, Turn, Work};
use crate::retrieve::Hit;

/// Values that are looked up in the passages, at most.
const VALUES: usize = 2_000;

impl ChatModel {
    pub(super) async fn structured(
        &self,
        model: &Attested,
        request: &GenerateRequest<'_>,
        schema: &Schema,
        sink: &mut dyn FnMut(&str),
    ) -> Result<Generated, GeneratorError> {
        let mut work = Work::default();
        let mut room = model.room;
        let (mut turns, said) = loop {
            let prompt = self.prompt(model, request, room).await;
            if prompt.given.is_empty() {
                return Ok(Generated::default());
            }
            match self.ask(model, &prompt.messages, Some(schema), &mut |_| ()).await {
                Err(GeneratorError::TooLong) if room / 2 >= LEAST_ROOM => room /= 2,
                Err(error) => return Err(error),
                Ok(completed) => {
                    work.add(&completed);
                    work.given = prompt.given;
                    break (prompt.messages, completed.text);
                }
            }
        };
        let value = match valid(&said, schema) {
            Ok(value) => value,
            Err(faults) => {
                work.repaired = true;
                turns.push(Turn { role: Role::Assistant, text: said });
                turns.push(Turn {
                    role: Role::User,
                    text: format!("That is not valid: {faults}\nWrite the whole JSON value anew."),
                });
                let again = self.ask(model, &turns, Some(schema), &mut |_| ()).await?;
                work.add(&again);
                valid(&again.text, schema).map_err(|_| {
                    let why = "its result does not keep to the schema, and did not after it was told what is wrong either";
                    GeneratorError::Failed(why.into())
                })?
            }
        };
        // A label is chosen, not quoted.
        let (quotes, unsupported) = match request.job.kind {
            Kind::Classify => (Vec::new(), Vec::new()),
            _ => sources(&value, request.passages, &work.given),
        };
        let text = value.to_string();
        sink(&text);
        Ok(Generated { text, quotes, result: Some(value), unsupported, work })
    }
}

/// The value that a model wrote, or what is wrong with it, for the model alone.
fn valid(said: &str, schema: &Schema) -> Result<Value, String> {
    let value: Value = serde_json::from_str(bare(said)).map_err(|error| format!("it is no JSON ({error})"))?;
    let faults = schema.faults(&value);
    if faults.is_empty() { Ok(value) } else { Err(faults.join("; ")) }
}

/// What a model wrote without the fence and the words that some put around it.
fn bare(said: &str) -> &str {
    let said = said.trim();
    let begins = said.find(['{', '[']);
    let ends = said.rfind(['}', ']']);
    match (begins, ends) {
        // A value that is neither object nor list has nothing to be found by.
        (Some(begins), Some(ends)) if begins < ends && serde_json::from_str::<Value>(said).is_err() => &said[begins..=ends],
        _ => said,
    }
}

/// A quote for each text and number of `value` that stands in a passage, and the pointers of those that stand in none.
fn sources(value: &Value, passages: &[Hit], given: &[usize]) -> (Vec<Quote>, Vec<String>) {
    let mut leaves = Vec::new();
    collect(value, String::new(), &mut leaves);
    let (mut quotes, mut unsupported) = (Vec::new(), Vec::new());
    for (pointer, leaf) in leaves {
        let found = given.iter().find_map(|&passage| Some((passage, find(leaf, &passages.get(passage)?.text)?)));
        match found {
            Some((passage, bytes)) => quotes.push(Quote { passage, bytes, pointer: Some(pointer) }),
            None => unsupported.push(pointer),
        }
    }
    (quotes, unsupported)
}

/// Texts and numbers, with their JSON pointers (RFC 6901).
fn collect<'a>(value: &'a Value, pointer: String, leaves: &mut Vec<(String, &'a Value)>) {
    if leaves.len() == VALUES {
        return;
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                collect(value, format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")), leaves);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                collect(item, format!("{pointer}/{at}"), leaves);
            }
        }
        Value::String(text) if !text.trim().is_empty() => leaves.push((pointer, value)),
        Value::Number(_) => leaves.push((pointer, value)),
        _ => {}
    }
}

fn find(leaf: &Value, text: &str) -> Option<Range<usize>> {
    match leaf {
        Value::String(words) => find_words(words, text),
        Value::Number(number) => {
            let wanted = number.as_f64()?;
            numbers(text).into_iter().find(|(_, value)| *value == wanted).map(|(range, _)| range)
        }
        _ => None,
    }
}

/// Where the words stand in the text one after another, whatever white space is between them, and as whole words.
fn find_words(words: &str, text: &str) -> Option<Range<usize>> {
    let mut words = words.split_whitespace();
    let first = words.next()?;
    let rest: Vec<&str> = words.collect();
    text.match_indices(first).map(|(start, _)| start).find_map(|start| {
        let mut end = start + first.len();
        for word in &rest {
            let after = &text[end..];
            let gap = after.len() - after.trim_start().len();
            if gap == 0 || !after[gap..].starts_with(word) {
                return None;
            }
            end += gap + word.len();
        }
        let cuts = |before: Option<char>, after: Option<char>| {
            before.is_some_and(char::is_alphanumeric) && after.is_some_and(char::is_alphanumeric)
        };
        let found = &text[start..end];
        let begins_within = cuts(text[..start].chars().next_back(), found.chars().next());
        let ends_within = cuts(found.chars().next_back(), text[end..].chars().next());
        (!begins_within && !ends_within).then_some(start..end)
    })
}

/// The numbers in a text as people write them: `4,500.00`, `4.500,00`, `4 500`. One that can be read two ways is there twice.
fn numbers(text: &str) -> Vec<(Range<usize>, f64)> {
    let mut found = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let mut end = at;
        while end < bytes.len() {
            let parts = matches!(bytes[end], b',' | b'.' | b'\'' | b' ') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
            if !bytes[end].is_ascii_digit() && !parts {
                break;
            }
            end += 1;
        }
        read(text, at..end, &mut found);
        at = end;
    }
    found
}

fn read(text: &str, range: Range<usize>, found: &mut Vec<(Range<usize>, f64)>) {
    // A space joins groups of a number, and parts numbers as well.
    let mut start = range.start;
    for piece in text[range.clone()].split(' ') {
        readings(piece, start, found);
        start += piece.len() + 1;
    }
    let groups: Vec<&str> = text[range.clone()].split(' ').collect();
    if groups.len() > 1 && groups[1..].iter().all(|group| group.bytes().take_while(u8::is_ascii_digit).count() == 3) {
        let mut joined = Vec::new();
        readings(&text[range.clone()].replace(' ', ""), 0, &mut joined);
        found.extend(joined.into_iter().map(|(_, value)| (range.clone(), value)));
    }
}

fn readings(piece: &str, start: usize, found: &mut Vec<(Range<usize>, f64)>) {
    let mut add = |text: String| {
        if let Ok(value) = text.parse::<f64>() {
            found.push((start..start + piece.len(), value));
        }
    };
    add(piece.replace([',', '\''], ""));
    if piece.contains(',') || piece.matches('.').count() > 0 {
        add(piece.replace(['.', '\''], "").replace(',', "."));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::hit;
    use super::*;

    #[test]
    fn values_are_found_word_for_word() {
        let passages = [
            hit(1, "a.txt", 0, "not shown 4,500", 0.9),
            hit(2, "b.txt", 0, "Acme\n  Holdings pays €4,500.00 from 1 May, 1 234 567 in all.", 0.8),
        ];
        let value = json!({
            "party": "Acme Holdings", "rent": 4500, "sum": 1_234_567, "part": "cme", "made/up": ["x y"], "yes": true, "none": null, "e": ""
        });
        let (quotes, mut unsupported) = sources(&value, &passages, &[1]);
        unsupported.sort();
        let found: Vec<(&str, &str)> = quotes
            .iter()
            .map(|quote| (quote.pointer.as_deref().unwrap(), &passages[quote.passage].text[quote.bytes.clone()]))
            .collect();
        assert!(found.contains(&("/party", "Acme\n  Holdings")) && found.contains(&("/rent", "4,500.00")), "{found:?}");
        assert!(found.contains(&("/sum", "1 234 567")), "{found:?}");
        assert_eq!(unsupported, ["/made~1up/0", "/part"]);
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        let values = |text: &str| numbers(text).into_iter().map(|(_, value)| value).collect::<Vec<f64>>();
        assert!(values("4.500,25").contains(&4500.25) && values("4,500.25").contains(&4500.25));
        assert!(values("12 and 7").contains(&7.0) && values("1'000").contains(&1000.0) && values("ü 3,5%").contains(&3.5));
        assert!(values("1.2.3").is_empty() || !values("1.2.3").contains(&1.2));
    }

    #[test]
    fn what_stands_around_a_value_is_taken_off() {
        let schema = Schema::new(json!({ "type": "object", "required": ["a"] })).unwrap();
        for said in ["{\"a\":1}", "```json\n{\"a\":1}\n```", "Here it is: {\"a\":1} Done."] {
            assert_eq!(valid(said, &schema), Ok(json!({ "a": 1 })), "{said}");
        }
        for said in ["", "nothing", "{\"b\":1}", "}{", "[1]"] {
            assert!(valid(said, &schema).is_err(), "{said}");
        }
    }
}
