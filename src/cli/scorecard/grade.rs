//! Grades an answer by a rule, from 0 to 1. No model judges: the same answer has the same grade next year.

use serde_json::Value;

use super::file::{Criterion, Ready, Rule};

/// The grade of what `POST /api/v1/tasks` gave.
pub(super) fn grade(task: &Ready, done: &Value) -> f64 {
    let result = &done["result"];
    let text = match done["text"].as_str() {
        Some(text) => folded(text),
        None => folded(&words(result)),
    };
    let holds = |wanted: &String| text.contains(&folded(wanted));
    let share = |count: usize, of: usize| if of == 0 { 0.0 } else { count as f64 / of as f64 };
    match task.item.grade {
        Rule::Exact => f64::from(task.item.expect.iter().any(|wanted| bare(&text) == bare(&folded(wanted)))),
        Rule::Contains => share(task.item.expect.iter().filter(|wanted| holds(wanted)).count(), task.item.expect.len()),
        Rule::Schema => match &task.result {
            // The server answers with a result only where it keeps to the schema.
            None => f64::from(!result.is_null()),
            Some(Value::Object(wanted)) => {
                share(wanted.iter().filter(|(name, value)| same(&result[name.as_str()], value)).count(), wanted.len())
            }
            Some(wanted) => f64::from(same(result, wanted)),
        },
        Rule::Rubric => {
            let met = |criterion: &&Criterion| {
                let cites = |path: &String| {
                    let citations = done["citations"].as_array().map_or(&[][..], Vec::as_slice);
                    citations.iter().any(|citation| citation["document"]["path"] == **path && citation["verified"] == true)
                };
                (criterion.any.is_empty() || criterion.any.iter().any(holds))
                    && !criterion.none.iter().any(holds)
                    && criterion.cites.as_ref().is_none_or(cites)
            };
            let sum = |criteria: Vec<&Criterion>| criteria.iter().map(|criterion| criterion.points).sum::<f64>();
            let all = sum(task.item.rubric.iter().filter(|criterion| criterion.points > 0.0).collect());
            (sum(task.item.rubric.iter().filter(met).collect()) / all).clamp(0.0, 1.0)
        }
    }
}

/// All texts and numbers of a value.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(" "),
        Value::Object(fields) => fields.values().map(words).collect::<Vec<_>>().join(" "),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn same(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::String(value), Value::String(wanted)) => bare(&folded(value)) == bare(&folded(wanted)),
        (Value::Number(value), Value::Number(wanted)) => value.as_f64() == wanted.as_f64(),
        _ => value == wanted,
    }
}

/// Lower case, one space between words, no citations.
fn folded(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('[') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let digits = from[1..].bytes().take_while(u8::is_ascii_digit).count();
        let is_mark = digits > 0 && from[1 + digits..].starts_with(']');
        rest = if is_mark { &from[digits + 2..] } else { &from[1..] };
        if !is_mark {
            out.push('[');
        }
    }
    out.push_str(rest);
    out.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn bare(text: &str) -> &str {
    text.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '.' | '!' | '?' | ';' | ',')).trim()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::answer::Kind;

    fn graded(item: Value, result: Option<Value>, done: Value) -> f64 {
        let mut whole = json!({ "question": "?", "collections": ["acme"] });
        whole.as_object_mut().unwrap().extend(item.as_object().unwrap().clone());
        let task = Ready { item: serde_json::from_value(whole).unwrap(), kind: Kind::Ask, schema: None, result };
        grade(&task, &done)
    }

    #[test]
    fn each_rule_grades_from_nothing_to_all() {
        let exact = json!({ "grade": "exact", "expect": ["Ninety days"] });
        assert_eq!(graded(exact.clone(), None, json!({ "text": "ninety  days [1].[2]" })), 1.0);
        assert_eq!(graded(exact, None, json!({ "text": "Not ninety days" })), 0.0);
        let contains = json!({ "grade": "contains", "expect": ["ninety", "written notice"] });
        assert_eq!(graded(contains.clone(), None, json!({ "text": "Ninety [1] days." })), 0.5);
        assert_eq!(
            graded(contains, None, json!({ "text": null, "result": { "a": ["ninety", 3], "b": "written notice" } })),
            1.0
        );
        let schema = json!({ "grade": "schema" });
        let wanted = json!({ "rent": 4500.0, "party": "ACME" });
        assert_eq!(graded(schema.clone(), None, json!({ "result": {} })), 1.0);
        assert_eq!(graded(schema.clone(), None, json!({ "result": null })), 0.0);
        assert_eq!(graded(schema.clone(), Some(wanted.clone()), json!({ "result": { "rent": 4500, "party": "Acme." } })), 1.0);
        assert_eq!(graded(schema, Some(wanted), json!({ "result": { "rent": 1, "party": "Acme" } })), 0.5);
        let rubric = json!({ "grade": "rubric", "rubric": [
            { "points": 3.0, "any": ["ninety", "90"], "cites": "lease.txt" }, { "none": ["perhaps"] }, { "points": -2.0, "any": ["sure"] },
        ] });
        let cited = json!([{ "document": { "path": "lease.txt" }, "verified": true }]);
        assert_eq!(graded(rubric.clone(), None, json!({ "text": "90 days", "citations": cited })), 1.0);
        assert_eq!(graded(rubric.clone(), None, json!({ "text": "90 days, sure", "citations": cited })), 0.5);
        assert_eq!(graded(rubric, None, json!({ "text": "Perhaps 90 days", "citations": [] })), 0.0);
    }
}
