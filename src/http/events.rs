//! What comes of a question, as server-sent events: the same for answers and for the results of tasks.

use std::convert::Infallible;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use serde_json::json;

use super::asking::{Running, Told};
use crate::ask::Asked;

/// A question's steps as they come: words as events named `words`, and at the end what `whole` makes of it.
pub(super) fn streamed<T: Serialize>(
    running: Running,
    words: &'static str,
    whole: impl Fn(Asked) -> T + Clone + Send + 'static,
) -> Response {
    let events = stream::unfold(Some(running), move |running| {
        let whole = whole.clone();
        async move {
            let mut running = running?;
            let (event, goes_on) = event(running.next().await, words, &whole);
            Some((Ok::<_, Infallible>(event), goes_on.then_some(running)))
        }
    });
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

/// One event, and whether another may follow.
fn event<T: Serialize>(told: Told, words: &'static str, whole: &impl Fn(Asked) -> T) -> (Event, bool) {
    let (name, data, goes_on) = match told {
        Told::Words(delta) => (words, serde_json::to_string(&json!({ "delta": delta })), true),
        Told::Anew => ("anew", Ok("{}".to_owned()), true),
        Told::Held(generator, why, seconds) => {
            let status = json!({ "status": why.as_str(), "generator": generator, "seconds": seconds });
            ("status", serde_json::to_string(&status), true)
        }
        Told::End(Ok(asked)) => ("done", serde_json::to_string(&whole(*asked)), false),
        Told::End(Err(problem)) => ("error", serde_json::to_string(&problem.body("")), false),
    };
    // Strings and numbers always serialise; an empty event would be the lesser evil.
    (Event::default().event(name).data(data.unwrap_or_default()), goes_on)
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;
    use crate::answer::Held;
    use crate::http::problem::Problem;

    #[tokio::test]
    async fn words_come_as_deltas_and_errors_as_problems() {
        let held = Told::Held("gpu".to_owned(), Held::Waking, 4);
        let events = [Told::Words("In May [1].\nOr".to_owned()), Told::Anew, held, Told::End(Err(Problem::busy("Later.")))];
        let events = events.map(|told| Ok::<_, Infallible>(event(told, "answer", &|_: Asked| ()).0));
        let response = Sse::new(stream::iter(events)).into_response();
        let text = String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap();
        let events: Vec<&str> = text.trim_end().split("\n\n").collect();
        assert_eq!(events[..2], ["event: answer\ndata: {\"delta\":\"In May [1].\\nOr\"}", "event: anew\ndata: {}"]);
        let status = events[2].strip_prefix("event: status\ndata: ").unwrap();
        let status: serde_json::Value = serde_json::from_str(status).unwrap();
        assert_eq!(status, serde_json::json!({ "status": "waking", "generator": "gpu", "seconds": 4 }));
        assert!(events[3].starts_with("event: error\ndata: {\"type\":\"urn:strongroom:problem:busy\""), "{text}");
    }
}
