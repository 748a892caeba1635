//! Archives of small files: whole or not at all, resumed, and found out when a byte changed.

use super::*;

/// A cache with a model of its own in it, and what is archived of it.
struct Case {
    folder: tempfile::TempDir,
    models: Models,
}

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("cache/models/own/onnx");
        fs::create_dir_all(&model).unwrap();
        fs::write(model.join("model.onnx"), "graph").unwrap();
        fs::write(folder.path().join("cache/models/own/tokenizer.json"), "{}").unwrap();
        fs::write(folder.path().join("big.gguf"), "weights").unwrap();
        let models = Models::new(folder.path().join("cache"));
        Self { folder, models }
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("archive")
    }

    fn archive(&self, sha256: Option<&str>) -> Result<Archive, ModelsError> {
        let weights = [Weights {
            name: "../gpu".to_owned(),
            file: self.folder.path().join("big.gguf"),
            sha256: sha256.map(str::to_owned),
            template: Ok("{{ messages }}".to_owned()),
        }];
        self.models.archive(&Want::default(), &weights, &self.out(), &mut |_, _| ())
    }
}

#[test]
fn what_is_archived_can_be_taken_again_and_is_the_same() {
    let case = Case::new();
    let archive = case.archive(None).unwrap();
    let paths: Vec<&str> = archive.models.iter().flat_map(|model| &model.files).map(|file| file.path.as_str()).collect();
    let expected = [
        "models/own/onnx/model.onnx",
        "models/own/tokenizer.json",
        "generators/1-_gpu/big.gguf",
        "generators/1-_gpu/template.jinja",
    ];
    assert_eq!(paths, expected);
    assert_eq!(verify(&case.out()).unwrap(), (archive, Vec::new()));
    let other = Models::new(case.folder.path().join("other"));
    let taken = other.import(&case.out()).unwrap();
    assert_eq!((taken.len(), taken[0].name.as_str(), taken[0].ready), (1, "own", true));
    let read = |cache: &str| fs::read(case.folder.path().join(cache).join("models/own/onnx/model.onnx")).unwrap();
    assert_eq!(read("cache"), read("other"));
}

#[test]
fn a_changed_byte_is_found_and_nothing_is_imported() {
    let case = Case::new();
    case.archive(None).unwrap();
    let file = case.out().join("models/own/onnx/model.onnx");
    fs::write(&file, "gr\u{61}pi").unwrap();
    let faults = verify(&case.out()).unwrap().1;
    assert_eq!(faults.len(), 1);
    assert!(faults[0].starts_with("models/own/onnx/model.onnx has the SHA-256"), "{faults:?}");
    let refused = Models::new(case.folder.path().join("other")).import(&case.out()).unwrap_err().to_string();
    assert!(refused.contains("models/own/onnx/model.onnx"), "{refused}");
    fs::remove_file(&file).unwrap();
    assert_eq!(verify(&case.out()).unwrap().1, ["models/own/onnx/model.onnx: entity not found"]);
    // Archiving again mends it.
    case.archive(None).unwrap();
    assert!(verify(&case.out()).unwrap().1.is_empty());
}

#[test]
fn half_an_archive_is_none_until_it_is_finished() {
    let case = Case::new();
    case.archive(None).unwrap();
    // As if it had been broken off: no list yet, one file half written, one missing.
    fs::remove_file(case.out().join(LIST)).unwrap();
    fs::write(case.out().join("models/own/.tmpX1"), "ha").unwrap();
    fs::remove_file(case.out().join("models/own/tokenizer.json")).unwrap();
    assert!(verify(&case.out()).unwrap_err().to_string().contains("is no whole archive"));
    let modified = |path: &str| fs::metadata(case.out().join(path)).unwrap().modified().unwrap();
    let kept = modified("models/own/onnx/model.onnx");
    case.archive(None).unwrap();
    assert!(verify(&case.out()).unwrap().1.is_empty() && !case.out().join("models/own/.tmpX1").exists());
    assert_eq!(modified("models/own/onnx/model.onnx"), kept, "what was right is not written again");
}

#[test]
fn other_weights_than_the_pinned_ones_and_other_folders_are_refused() {
    let case = Case::new();
    let refused = case.archive(Some(&"0".repeat(64))).unwrap_err().to_string();
    assert!(refused.contains("has the SHA-256"), "{refused}");
    assert!(verify(&case.out()).is_err(), "no list of what is not whole");
    fs::write(case.out().join("taxes.pdf"), "x").unwrap();
    assert!(case.archive(None).unwrap_err().to_string().contains("holds taxes.pdf"));
    let want = Want { runtime: Some(crate::models::RuntimeBuild::Plain), model: None };
    let missing = case.models.archive(&want, &[], &case.folder.path().join("new"), &mut |_, _| ()).unwrap_err();
    assert!(missing.to_string().contains("strongroom models fetch"), "{missing}");
    assert!(!case.folder.path().join("new").exists());
}

#[test]
fn a_list_that_leads_elsewhere_is_not_followed() {
    let case = Case::new();
    let mut archive = case.archive(None).unwrap();
    archive.models[0].files[0].path = "../big.gguf".to_owned();
    fs::write(case.out().join(LIST), serde_json::to_string(&archive).unwrap()).unwrap();
    assert_eq!(verify(&case.out()).unwrap().1, ["../big.gguf leads out of the archive"]);
}
