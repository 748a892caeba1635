//! What each route needs of whoever calls it. What is not listed needs everything.

use axum::http::Method;

use crate::keys::Scope;

/// What a caller must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Not even a key.
    Nothing,
    /// Some key, whatever it allows.
    Key,
    /// A key with this scope.
    Scope(Scope),
}

/// What the route needs; `route` is its template, none for paths that are no route.
pub(super) fn needs(method: &Method, route: Option<&str>, path: &str) -> Needs {
    let Some(route) = route else {
        return if below(path, "/docs") { Needs::Nothing } else { Needs::Key };
    };
    let reads = matches!(*method, Method::GET | Method::HEAD);
    if matches!(route, "/healthz" | "/readyz") || below(route, "/docs") {
        return Needs::Nothing;
    }
    if matches!(route, "/v1/process" | "/process") {
        // One of two scopes: the handler asks.
        return Needs::Key;
    }
    if below(route, "/qdrant") || below(route, "/mcp") || below(route, "/v1") {
        return Needs::Scope(Scope::Search);
    }
    let scope = match route {
        "/openapi.json" | "/tools.json" => return Needs::Key,
        "/api/v1/search"
        | "/api/v1/answers"
        | "/api/v1/tasks"
        | "/api/v1/tasks/{id}"
        | "/api/v1/tools/query_knowledge_files" => Scope::Search,
        "/api/v1/tools/view_file" => Scope::Read,
        "/api/v1/collections" | "/api/v1/collections/{collection}" if reads => return Needs::Key,
        "/api/v1/collections" => Scope::Ingest,
        "/api/v1/collections/{collection}/coverage" | "/api/v1/usage" => Scope::Read,
        "/api/v1/collections/{collection}/passwords" | "/api/v1/collections/{collection}/retry" => Scope::Ingest,
        "/api/v1/collections/{collection}/documents"
        | "/api/v1/collections/{collection}/documents/"
        | "/api/v1/collections/{collection}/documents/{*path}" => {
            if reads {
                Scope::Read
            } else {
                Scope::Ingest
            }
        }
        _ => Scope::Admin,
    };
    Needs::Scope(scope)
}

fn below(path: &str, door: &str) -> bool {
    path.strip_prefix(door).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_route_has_its_scope_and_the_unknown_needs_everything() {
        let check = |method: Method, route: &str| needs(&method, Some(route), route);
        assert_eq!(check(Method::GET, "/healthz"), Needs::Nothing);
        assert_eq!(check(Method::GET, "/docs/{*rest}"), Needs::Nothing);
        assert_eq!(check(Method::GET, "/docsx"), Needs::Scope(Scope::Admin));
        assert_eq!(check(Method::GET, "/metrics"), Needs::Scope(Scope::Admin));
        assert_eq!(check(Method::POST, "/v1/chat/completions"), Needs::Scope(Scope::Search));
        assert_eq!(check(Method::DELETE, "/api/v1/collections/{collection}"), Needs::Scope(Scope::Admin));
        assert_eq!(check(Method::PUT, "/api/v1/collections/{collection}/documents/{*path}"), Needs::Scope(Scope::Ingest));
        assert_eq!(check(Method::GET, "/api/v1/collections/{collection}/documents/{*path}"), Needs::Scope(Scope::Read));
        assert_eq!(check(Method::GET, "/api/v1/something/new"), Needs::Scope(Scope::Admin));
        assert_eq!(needs(&Method::GET, None, "/nowhere"), Needs::Key);
    }
}
