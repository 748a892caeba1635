//! Background tasks of Open WebUI (titles, tags, search queries), which come to the same model as questions: told apart, and
//! done plainly where no language model is configured.

use axum::http::HeaderMap;
use serde_json::{Value, json};

/// The header that Open WebUI can be told to name its task in.
const HEADER: &str = "x-kb-task";
/// What the prompts of such tasks begin with.
const OPENING: &str = "### Task:";
/// Words of a title.
const TITLE_WORDS: usize = 6;

/// A task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// A title for the conversation.
    Title,
    /// Tags for it.
    Tags,
    /// Queries to search with.
    Queries,
    /// Questions that may follow.
    FollowUps,
    /// The rest of what is being typed.
    Autocomplete,
    /// Anything else.
    Other,
}

impl Task {
    /// The task that a request is; none if it is a question.
    pub fn of(headers: &HeaderMap, prompt: &str) -> Option<Self> {
        let named = headers.get(HEADER).and_then(|name| name.to_str().ok()).unwrap_or_default().trim();
        // A template that was not filled in names no task.
        let named = if named.starts_with("{{") || named.eq_ignore_ascii_case("none") { "" } else { named };
        let by_name = [
            ("title", Self::Title),
            ("tag", Self::Tags),
            ("quer", Self::Queries),
            ("follow", Self::FollowUps),
            ("autocomplet", Self::Autocomplete),
        ];
        if !named.is_empty() {
            let known = by_name.iter().find(|(part, _)| named.to_ascii_lowercase().contains(part));
            return Some(known.map_or(Self::Other, |(_, task)| *task));
        }
        if !prompt.trim_start().starts_with(OPENING) {
            return None;
        }
        // The shape that the prompt asks for tells it best.
        let by_shape = [
            ("\"queries\"", Self::Queries),
            ("\"follow_ups\"", Self::FollowUps),
            ("\"tags\"", Self::Tags),
            ("\"title\"", Self::Title),
            ("\"text\"", Self::Autocomplete),
        ];
        if let Some((_, task)) = by_shape.iter().find(|(shape, _)| prompt.contains(shape)) {
            return Some(*task);
        }
        let first = prompt.lines().take(2).collect::<String>().to_lowercase();
        Some(by_name.iter().find(|(part, _)| first.contains(part)).map_or(Self::Other, |(_, task)| *task))
    }

    /// Whether a language model's text can be used. What is no JSON where queries are asked for becomes a query as it is.
    pub fn is_served_by(self, text: &str) -> bool {
        let json = || {
            let (start, end) = (text.find('{')?, text.rfind('}')?);
            serde_json::from_str::<Value>(text.get(start..=end)?).ok()
        };
        match self {
            Self::Queries => json().is_some_and(|value| value["queries"].is_array()),
            _ => !text.trim().is_empty(),
        }
    }

    /// The task done without a language model.
    pub fn without_model(self, prompt: &str) -> String {
        let question = question(prompt);
        match self {
            Self::Title => json!({ "title": title(&question) }).to_string(),
            Self::Tags => json!({ "tags": [] }).to_string(),
            Self::Queries => {
                let queries: Vec<&str> = if question.is_empty() { Vec::new() } else { vec![&question] };
                json!({ "queries": queries }).to_string()
            }
            Self::FollowUps => json!({ "follow_ups": [] }).to_string(),
            Self::Autocomplete => json!({ "text": "" }).to_string(),
            Self::Other => "No language model is configured for this.".to_owned(),
        }
    }
}

/// What the user said last in the conversation that the prompt quotes.
fn question(prompt: &str) -> String {
    let Some(at) = prompt.rfind("USER:") else {
        let quoted = prompt.split_once("<chat_history>").and_then(|(_, rest)| rest.split_once("</chat_history>"));
        let said = match quoted {
            Some((said, _)) => said,
            None if prompt.trim_start().starts_with(OPENING) => "",
            None => prompt,
        };
        return squeezed(said);
    };
    let said = &prompt[at + "USER:".len()..];
    let end = ["ASSISTANT:", "</chat_history>", "\n### "].iter().filter_map(|end| said.find(end)).min();
    squeezed(&said[..end.unwrap_or(said.len())])
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn title(question: &str) -> String {
    let mut words: Vec<&str> = question.split_whitespace().collect();
    let cut = words.len() > TITLE_WORDS;
    words.truncate(TITLE_WORDS);
    let title = words.join(" ");
    let title = title.trim_end_matches(['?', '.', ',', '!', ':', ';']);
    match (title.is_empty(), cut) {
        (true, _) => "Question".to_owned(),
        (false, true) => format!("{title}…"),
        (false, false) => title.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(task: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, task.parse().unwrap());
        headers
    }

    const QUERIES: &str = "### Task:\nAnalyze the chat history.\n### Output:\n{ \"queries\": [\"q\"] }\n### Chat History:\n<chat_history>\n\
        USER: Hello\nASSISTANT: Hi \"x\"\nUSER: When does the\nlease end?\n</chat_history>";

    #[test]
    fn tasks_are_told_by_header_or_first_line() {
        let plain = HeaderMap::new();
        assert_eq!(Task::of(&plain, "When does it end?"), None);
        assert_eq!(Task::of(&plain, "What is a ### Task: title?"), None);
        assert_eq!(Task::of(&plain, QUERIES), Some(Task::Queries));
        assert_eq!(Task::of(&plain, "### Task:\nGenerate a concise, 3-5 word title"), Some(Task::Title));
        assert_eq!(Task::of(&headers("title_generation"), "x"), Some(Task::Title));
        assert_eq!(Task::of(&headers("emoji_generation"), "x"), Some(Task::Other));
        assert_eq!(Task::of(&headers("{{TASK}}"), "x"), None);
        assert_eq!(Task::of(&headers(""), "x"), None);
    }

    #[test]
    fn without_a_model_the_question_itself_is_the_query_and_the_title() {
        let read = |task: Task| serde_json::from_str::<Value>(&task.without_model(QUERIES)).unwrap();
        assert_eq!(read(Task::Queries), json!({ "queries": ["When does the lease end?"] }));
        assert_eq!(read(Task::Title), json!({ "title": "When does the lease end" }));
        assert_eq!(read(Task::Tags), json!({ "tags": [] }));
        assert_eq!(title("one two three four five six seven"), "one two three four five six…");
    }

    #[test]
    fn prose_is_no_list_of_queries() {
        assert!(!Task::Queries.is_served_by("Sure! Here you go") && !Task::Queries.is_served_by("{}"));
        assert!(Task::Queries.is_served_by("```json\n{\"queries\": [\"a\"]}\n```") && Task::Title.is_served_by("A lease"));
    }
}
