//! Holds `openapi/openapi.json` against the routes, and the document against its promises.

use std::path::Path;

use serde_json::Value;
use strongroom::http::openapi;

#[test]
fn openapi_file_is_what_the_routes_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/openapi.json");
    let text = openapi::text().unwrap();
    if std::env::var_os("STRONGROOM_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == text, "openapi/openapi.json is out of date: run `STRONGROOM_BLESS=1 cargo test openapi`");
}

#[test]
fn openapi_operations_are_named_and_all_their_errors_described() {
    let api: Value = serde_json::from_str(&openapi::text().unwrap()).unwrap();
    assert!(api["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut names = Vec::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        assert!(!path.contains('*'), "{path}");
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap();
            names.push(name.to_owned());
            assert!(operation["summary"].is_string(), "{name} has no summary");
            for (parameter, declared) in path.split('{').skip(1).filter_map(|rest| {
                let parameter = rest.split('}').next()?;
                let declared = operation["parameters"].as_array()?.iter().any(|p| p["name"] == parameter && p["in"] == "path");
                Some((parameter, declared))
            }) {
                assert!(declared, "{name} does not declare `{parameter}`");
            }
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{method} {path}");
            for status in ["400", "403", "500", "503"] {
                assert!(responses.contains_key(status), "{name} does not describe {status}");
            }
            for (status, response) in responses {
                assert!(!response["description"].as_str().unwrap().is_empty(), "{name} {status}");
                if status.as_str() >= "400" && name != "ready" {
                    let (kind, body) = match path.starts_with("/v1/") {
                        true => ("application/json", "OpenAiError"),
                        false => ("application/problem+json", "ProblemBody"),
                    };
                    let schema = &response["content"][kind]["schema"];
                    assert_eq!(schema["$ref"], format!("#/components/schemas/{body}"), "{name} {status}");
                }
            }
        }
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "an operationId is used twice");
}

#[test]
fn openapi_references_lead_somewhere() {
    let api: Value = serde_json::from_str(&openapi::text().unwrap()).unwrap();
    let mut open = vec![&api];
    let mut seen = 0;
    while let Some(value) = open.pop() {
        match value {
            Value::Object(object) => {
                if let Some(target) = object.get("$ref").and_then(Value::as_str) {
                    assert!(api.pointer(target.trim_start_matches('#')).is_some(), "{target}");
                    seen += 1;
                }
                open.extend(object.values());
            }
            Value::Array(list) => open.extend(list),
            _ => {}
        }
    }
    assert!(seen > 20);
}
