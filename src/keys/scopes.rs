//! What a key may do, and where what it reads may go, as words.

use std::fmt;
use std::str::FromStr;

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Search and ask.
    Search,
    /// See lists of documents, their records, texts and originals.
    Read,
    /// Put and delete documents, make collections.
    Ingest,
    /// Everything, on the collections that the key reaches: destroy, rebuild, pause, metrics too.
    Admin,
}

const ALL: [(Scope, &str); 4] =
    [(Scope::Search, "search"), (Scope::Read, "read"), (Scope::Ingest, "ingest"), (Scope::Admin, "admin")];

impl Scope {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        ALL.iter().find(|(scope, _)| *scope == self).map_or("", |(_, word)| word)
    }
}

/// Several scopes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes(pub(super) Vec<Scope>);

impl Scopes {
    /// Every scope.
    pub fn all() -> Self {
        Self(vec![Scope::Admin])
    }

    /// Whether they allow it; `admin` allows everything.
    pub fn allow(&self, scope: Scope) -> bool {
        self.0.contains(&scope) || self.0.contains(&Scope::Admin)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(","))
    }
}

impl FromStr for Scopes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut scopes = Vec::new();
        for word in text.split(',').map(str::trim) {
            let found = ALL.iter().find(|(_, name)| *name == word).map(|(scope, _)| *scope);
            let scope = found.ok_or_else(|| format!("{word:?} is no scope: say some of search,read,ingest,admin"))?;
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        Ok(Self(scopes))
    }
}

/// Where what a key reads may go, as its owner declares it. We can't see it; a report tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// It stays on machines of the owner.
    Local,
    /// A cloud model reads it.
    Cloud,
    /// Nobody said.
    Unknown,
}

impl Destination {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Cloud => "cloud",
            Self::Unknown => "unknown",
        }
    }
}

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "local" => Ok(Self::Local),
            "cloud" => Ok(Self::Cloud),
            "unknown" => Ok(Self::Unknown),
            _ => Err("say local, cloud or unknown".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_words_and_admin_is_all_of_them() {
        let scopes: Scopes = "search, read,search".parse().unwrap();
        assert_eq!(scopes.to_string(), "search,read");
        assert!(scopes.allow(Scope::Read) && !scopes.allow(Scope::Ingest) && Scopes::all().allow(Scope::Ingest));
        assert!("".parse::<Scopes>().is_err() && "root".parse::<Scopes>().is_err());
    }
}
