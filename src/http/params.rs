//! Query parameters: the known ones are taken one by one, what is left over is refused by name.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;

use super::problem::Problem;

/// The parameters of one request that nobody took yet.
pub(super) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<Vec<(String, String)>>::from_request_parts(parts, state).await {
            Ok(Query(pairs)) => Ok(Self(pairs)),
            Err(_) => Err(Problem::of_status(axum::http::StatusCode::BAD_REQUEST)),
        }
    }
}

impl Params {
    /// Takes a parameter out. Given twice, it is refused.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let mut found = None;
        let mut twice = false;
        self.0.retain_mut(|(key, value)| {
            if key != name {
                return true;
            }
            twice |= found.replace(std::mem::take(value)).is_some();
            false
        });
        if twice { Err(Problem::bad_field(name, "is given twice")) } else { Ok(found) }
    }

    /// Takes a yes or no out; absent means no.
    pub fn flag(&mut self, name: &str) -> Result<bool, Problem> {
        match self.text(name)?.as_deref() {
            // Open WebUI writes booleans as Python does.
            None | Some("false" | "False" | "0") => Ok(false),
            Some("true" | "True" | "1") => Ok(true),
            Some(_) => Err(Problem::bad_field(name, "must be `true` or `false`")),
        }
    }

    /// Takes the length of a page out: 1 to 1000, 100 if it is not given.
    pub fn page_limit(&mut self) -> Result<usize, Problem> {
        let Some(text) = self.text("limit")? else {
            return Ok(100);
        };
        match text.parse() {
            Ok(limit @ 1..=1000) => Ok(limit),
            _ => Err(Problem::bad_field("limit", "must be a whole number from 1 to 1000")),
        }
    }

    /// Refuses what nobody took.
    pub fn finish(self) -> Result<(), Problem> {
        let names: Vec<String> = self.0.into_iter().take(20).map(|(name, _)| name.chars().take(64).collect()).collect();
        if names.is_empty() { Ok(()) } else { Err(Problem::unknown_fields(names)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Params {
        Params(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn a_page_has_1_to_1000_entries() {
        assert_eq!(params(&[]).page_limit().unwrap(), 100);
        assert_eq!(params(&[("limit", "1000")]).page_limit().unwrap(), 1000);
        for bad in ["0", "1001", "-1", "ten", "", "1.5"] {
            assert_eq!(params(&[("limit", bad)]).page_limit().unwrap_err().code(), "bad_field", "{bad}");
        }
    }

    #[test]
    fn what_is_left_over_is_named() {
        let mut given = params(&[("wait", "true"), ("wiat", "x"), ("limit", "3")]);
        assert!(given.flag("wait").unwrap());
        let problem = given.finish().unwrap_err();
        assert_eq!(problem.code(), "unknown_field");
        assert_eq!(problem.body("r").fields, ["wiat", "limit"]);
    }

    #[test]
    fn a_flag_is_true_or_false_and_given_once() {
        assert!(!params(&[]).flag("wait").unwrap());
        assert!(!params(&[("wait", "0")]).flag("wait").unwrap());
        assert!(params(&[("wait", "True")]).flag("wait").unwrap() && !params(&[("wait", "False")]).flag("wait").unwrap());
        assert!(params(&[("wait", "yes")]).flag("wait").is_err());
        assert!(params(&[("wait", "true"), ("wait", "true")]).flag("wait").is_err());
    }
}
