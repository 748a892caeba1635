//! scratch
#![allow(clippy::all, missing_docs, clippy::unwrap_used, clippy::print_stdout)]
use std::ffi::OsString;
use std::time::Instant;
use strongroom_ingest::extract::*;
fn main() -> std::process::ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args[0] == "worker" {
        return worker_main();
    }
    let mut options = ExtractOptions::new(std::env::current_exe().unwrap(), vec![OsString::from("worker")]);
    options.spare_workers = 1;
    let extractor = Extractor::new(options);
    let mut passwords = vec![];
    for path in &args {
        if let Some(p) = path.strip_prefix("--pw=") {
            passwords.push(p.to_owned());
            continue;
        }
        let bytes = std::fs::read(path).unwrap();
        let begun = Instant::now();
        let mut input = &bytes[..];
        let x = extractor
            .extract(Source { bytes: &mut input, len: bytes.len() as u64, name: path, media_type: None, passwords: &passwords })
            .unwrap();
        let ms = begun.elapsed().as_millis() as u64;
        let members: Vec<_> = x.members.iter().map(|m| serde_json::json!({"name": m.name, "ok": m.outcome.is_ok(), "text": m.outcome.as_ref().ok().map(|e| e.text.clone()), "bytes": m.bytes})).collect();
        let v = match x.outcome {
            Ok(e) => {
                serde_json::json!({"path": path, "ms": ms, "title": e.title, "author": e.author, "written_at": e.written_at, "missing": e.missing_pages, "note": e.note,
                "headings": e.headings.iter().map(|h| serde_json::json!([h.at, h.level, h.title])).collect::<Vec<_>>(),
                "pages": e.pages.iter().map(|p| serde_json::json!({"n": p.number, "engine": p.engine, "q": p.quality, "text": &e.text[p.bytes.clone()]})).collect::<Vec<_>>(), "members": members})
            }
            Err(u) => {
                serde_json::json!({"path": path, "ms": ms, "reason": u.reason.as_str(), "detail": u.detail, "members": members})
            }
        };
        println!("{v}");
    }
    std::process::ExitCode::SUCCESS
}
