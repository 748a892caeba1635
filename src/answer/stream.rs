//! What a language model's server streams, put together: the words, what they cost, and whether they ended.

use serde::Deserialize;
use serde_json::Value;

use super::{GeneratorError, Usage};

/// Some models think aloud before they answer; nobody asked for that.
const THINKING: (&str, &str) = ("<think>", "</think>");

/// What came so far.
#[derive(Default)]
pub(super) struct Written {
    pub text: String,
    /// What may be the beginning of thinking aloud, or is within it.
    held: String,
    past_thinking: bool,
    pub usage: Option<Usage>,
    /// Whether it said why it stopped.
    pub finished: bool,
    /// Whether it said that nothing more comes.
    pub done: bool,
    /// Whether the prompt must be read anew.
    apart: bool,
}

/// One event of a stream, or the whole of an answer that is none.
#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Cost>,
    /// llama.cpp's, before the first word.
    #[serde(default)]
    prompt_progress: Option<Progress>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Progress {
    #[serde(default)]
    cache: u64,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Option<Said>,
    #[serde(default)]
    message: Option<Said>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    content: Option<String>,
}

#[derive(Deserialize)]
struct Cost {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
    #[serde(default)]
    prompt_tokens_details: Option<Details>,
}

#[derive(Default, Deserialize)]
struct Details {
    /// Tokens that were not read anew.
    #[serde(default)]
    cached_tokens: Option<u64>,
}

/// One line of Ollama's own stream.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    message: Option<Said>,
    #[serde(default)]
    done: bool,
    #[serde(default)]
    prompt_eval_count: u64,
    #[serde(default)]
    eval_count: u64,
    #[serde(default)]
    error: Option<Value>,
}

impl Written {
    /// Nothing yet. `apart`: a prompt that took up what was kept of another is an error.
    pub fn new(apart: bool) -> Self {
        Self { apart, ..Self::default() }
    }

    /// The data of one server-sent event.
    pub fn event(&mut self, data: &str, sink: &mut dyn FnMut(&str)) -> Result<(), GeneratorError> {
        if data == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        self.chunk(data.as_bytes(), sink)
    }

    /// An answer that is not streamed.
    pub fn whole(&mut self, body: &[u8], sink: &mut dyn FnMut(&str)) -> Result<(), GeneratorError> {
        self.chunk(body, sink)?;
        self.flush(sink);
        if self.text.is_empty() && !self.finished { Err(rubbish()) } else { Ok(()) }
    }

    /// One line of Ollama's own stream.
    pub fn line(&mut self, json: &str, sink: &mut dyn FnMut(&str)) -> Result<(), GeneratorError> {
        let line: Line = serde_json::from_str(json).map_err(|_| rubbish())?;
        if line.error.is_some() {
            return Err(GeneratorError::Failed("it says that it failed".into()));
        }
        if let Some(content) = line.message.and_then(|said| said.content) {
            self.content(&content, sink);
        }
        if line.done {
            self.done = true;
            self.usage = Some(Usage { prompt: line.prompt_eval_count, completion: line.eval_count });
        }
        Ok(())
    }

    fn chunk(&mut self, json: &[u8], sink: &mut dyn FnMut(&str)) -> Result<(), GeneratorError> {
        let chunk: Chunk = serde_json::from_slice(json).map_err(|_| rubbish())?;
        if chunk.error.is_some() {
            return Err(GeneratorError::Failed("it says that it failed".into()));
        }
        let mut kept = chunk.prompt_progress.map_or(0, |progress| progress.cache);
        if let Some(Cost { prompt_tokens, completion_tokens, prompt_tokens_details }) = chunk.usage {
            self.usage = Some(Usage { prompt: prompt_tokens, completion: completion_tokens });
            kept = kept.max(prompt_tokens_details.and_then(|details| details.cached_tokens).unwrap_or(0));
        }
        if self.apart && kept > 0 {
            let why = "it took up what it remembered of another prompt, though it was told not to";
            return Err(GeneratorError::Refused(why.into()));
        }
        let Some(choice) = chunk.choices.into_iter().next() else { return Ok(()) };
        self.finished |= choice.finish_reason.is_some();
        if let Some(content) = choice.delta.or(choice.message).and_then(|said| said.content) {
            self.content(&content, sink);
        }
        Ok(())
    }

    fn content(&mut self, content: &str, sink: &mut dyn FnMut(&str)) {
        if self.past_thinking {
            self.text.push_str(content);
            sink(content);
            return;
        }
        self.held.push_str(content);
        let begun = self.held.trim_start();
        if let Some(thought) = begun.strip_prefix(THINKING.0) {
            if let Some((_, after)) = thought.split_once(THINKING.1) {
                self.held = after.trim_start().to_owned();
                self.flush(sink);
            }
        } else if !THINKING.0.starts_with(begun) {
            self.flush(sink);
        }
    }

    /// Hands out what was held, unless it is a thought that never ended.
    pub fn flush(&mut self, sink: &mut dyn FnMut(&str)) {
        let held = std::mem::take(&mut self.held);
        if !self.past_thinking && held.trim_start().starts_with(THINKING.0) {
            return;
        }
        self.past_thinking = true;
        if !held.is_empty() {
            self.text.push_str(&held);
            sink(&held);
        }
    }
}

fn rubbish() -> GeneratorError {
    GeneratorError::Failed("what it answered is no chat completion".into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(deltas: &[&str]) -> String {
        let (mut written, mut out) = (Written::default(), String::new());
        for delta in deltas {
            let data = json!({ "choices": [{ "delta": { "content": delta } }] }).to_string();
            written.event(&data, &mut |piece: &str| out.push_str(piece)).unwrap();
        }
        written.flush(&mut |piece: &str| out.push_str(piece));
        assert_eq!(out, written.text);
        out
    }

    #[test]
    fn thinking_aloud_is_not_handed_out() {
        assert_eq!(written(&["<th", "ink>hmm [1]", " so</thi", "nk>\n\nNinety", " days"]), "Ninety days");
        assert_eq!(written(&["<", "b>x"]), "<b>x");
        assert_eq!(written(&["\n", "Ninety"]), "\nNinety");
        assert_eq!(written(&["<think>never ends"]), "");
    }

    #[test]
    fn what_is_no_completion_is_an_error_and_not_repeated() {
        for data in ["a secret", "[1,2]", r#"{"choices":3}"#, r#"{"error":{"message":"a secret"}}"#] {
            let error = Written::default().event(data, &mut |_| ()).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert!(Written::default().whole(b"{}", &mut |_| ()).is_err());
        let whole = br#"{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
        let mut read = Written::default();
        read.whole(whole, &mut |_| ()).unwrap();
        assert_eq!((read.text.as_str(), read.usage), ("Hi", Some(Usage { prompt: 3, completion: 1 })));
    }

    #[test]
    fn a_prompt_that_was_not_read_anew_is_refused_before_its_first_word() {
        let progress = r#"{"choices":[{"delta":{"content":null}}],"prompt_progress":{"total":9,"cache":3,"processed":0}}"#;
        let usage = r#"{"choices":[],"usage":{"prompt_tokens":9,"prompt_tokens_details":{"cached_tokens":3}}}"#;
        for data in [progress, usage] {
            let told = |data: &str, apart| Written::new(apart).event(data, &mut |_| ());
            assert!(matches!(told(data, true), Err(GeneratorError::Refused(_))), "{data}");
            assert!(told(data, false).is_ok() && told(&data.replace('3', "0"), true).is_ok(), "{data}");
        }
    }

    #[test]
    fn the_lines_of_an_ollama_are_read() {
        let (mut written, mut out) = (Written::default(), String::new());
        let lines = [
            r#"{"message":{"role":"assistant","content":"Ninety"},"done":false}"#,
            r#"{"message":{"role":"assistant","content":" days"},"done":false}"#,
            r#"{"message":{"role":"assistant","content":""},"done":true,"prompt_eval_count":7,"eval_count":2}"#,
        ];
        for line in lines {
            assert!(!written.done);
            written.line(line, &mut |piece: &str| out.push_str(piece)).unwrap();
        }
        assert_eq!((out.as_str(), written.usage), ("Ninety days", Some(Usage { prompt: 7, completion: 2 })));
        assert!(written.done && Written::default().line(r#"{"error":"a secret"}"#, &mut |_| ()).is_err());
    }
}
