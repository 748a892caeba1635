//! Holds `schemas/config.json` against the types of the configuration.

use std::path::Path;

use strongroom::config::json_schema;

#[test]
fn config_schema_is_what_the_types_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/config.json");
    let text = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    if std::env::var_os("STRONGROOM_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == text, "schemas/config.json is out of date: run `STRONGROOM_BLESS=1 cargo test config_schema`");
}

#[test]
fn config_schema_describes_every_setting() {
    let schema = json_schema();
    let definitions = schema["$defs"].as_object().unwrap().values().chain([&schema]);
    for definition in definitions {
        for (name, setting) in definition["properties"].as_object().into_iter().flatten() {
            assert!(setting["description"].is_string(), "{name} has no description");
        }
        if definition["type"] == "object" {
            assert_eq!(definition["additionalProperties"], false, "{definition}");
        }
    }
}
