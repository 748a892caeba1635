//! The extraction worker as a real child process: this test binary starts itself again as the worker, or as one that
//! misbehaves.

// The linter's leave for tests covers functions that the usual harness runs; these bring their own `main`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod recordings;
mod walls;

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use sha2::Digest;
use strongroom_ingest::extract::sandbox;
use strongroom_ingest::extract::{ExtractError, ExtractOptions, Extracted, Extractor, Source, worker_main};
use strongroom_ingest::model::Reason;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("worker") => worker_main(),
        Some("misbehave") => misbehave(&arguments[1]),
        // Test runners list tests before they run them.
        Some("--list") => ExitCode::SUCCESS,
        filter => {
            run(filter.filter(|filter| !filter.starts_with("--")));
            ExitCode::SUCCESS
        }
    }
}

fn run(filter: Option<&str>) {
    let tests: [(&str, fn()); 18] = [
        ("text_comes_back_with_its_hash", text_comes_back_with_its_hash),
        ("one_extractor_serves_many_threads", one_extractor_serves_many_threads),
        ("a_worker_reads_one_file_and_knows_nothing_of_us", a_worker_knows_nothing_of_us),
        ("files_without_text_have_reasons", files_without_text_have_reasons),
        ("large_files_are_not_read", large_files_are_not_read),
        ("long_texts_are_refused", long_texts_are_refused),
        ("a_worker_that_dies_is_a_crash", a_worker_that_dies_is_a_crash),
        ("a_worker_that_hangs_is_killed", a_worker_that_hangs_is_killed),
        ("a_file_that_holds_its_reader_does_not_hold_the_next", a_file_that_holds_its_reader_does_not_hold_the_next),
        ("a_worker_that_talks_nonsense_is_not_believed", a_worker_that_talks_nonsense_is_not_believed),
        ("memory_is_limited", memory_is_limited),
        ("a_recording_may_be_longer_than_that", recordings::one_may_be_longer_than_that),
        ("processor_time_is_limited", processor_time_is_limited),
        ("our_own_faults_are_errors", our_own_faults_are_errors),
        ("nothing_gets_out_of_the_worker", nothing_gets_out_of_the_worker),
        ("a_tool_reads_its_own_and_nothing_else", a_tool_reads_its_own_and_nothing_else),
        ("a_member_that_kills_its_reader_takes_no_other_along", a_member_that_kills_its_reader_takes_no_other_along),
        ("a_crash_that_was_bad_luck_is_tried_again", a_crash_that_was_bad_luck_is_tried_again),
    ];
    for (name, test) in tests {
        if filter.is_none_or(|filter| name.contains(filter)) {
            test();
            println!("test {name} ... ok");
        }
    }
}

fn options(arguments: &[&str]) -> ExtractOptions {
    let program = std::env::current_exe().unwrap();
    ExtractOptions::new(program, arguments.iter().map(OsString::from).collect())
}

fn extract(options: ExtractOptions, bytes: &[u8], name: &str) -> Extracted {
    let mut input = bytes;
    Extractor::new(options)
        .extract(Source { len: bytes.len() as u64, bytes: &mut input, name, media_type: None, passwords: &[], hearing: None })
        .unwrap()
}

fn reason(options: ExtractOptions, bytes: &[u8]) -> Reason {
    extract(options, bytes, "file").outcome.unwrap_err().reason
}

fn text_comes_back_with_its_hash() {
    let text = "Größe\r\n\r\n zwei \n".repeat(100_000);
    let extracted = extract(options(&["worker"]), text.as_bytes(), "notes.txt");
    let extraction = extracted.outcome.unwrap();
    assert!(extraction.text == text);
    assert_eq!(extraction.media_type, "text/plain");
    assert_eq!(extracted.sha256.0, <[u8; 32]>::from(sha2::Sha256::digest(text.as_bytes())));
    assert_eq!(extracted.bytes, text.len() as u64);
}

fn one_extractor_serves_many_threads() {
    let extractor = Extractor::new(options(&["worker"]));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let extractor = &extractor;
            scope.spawn(move || {
                for round in 0..5 {
                    let text = format!("# Page {thread} {round}\n");
                    let mut input = text.as_bytes();
                    let source =
                        Source { len: 1, bytes: &mut input, name: "x.md", media_type: None, passwords: &[], hearing: None };
                    let extraction = extractor.extract(source).unwrap().outcome.unwrap();
                    assert_eq!(extraction.text, text);
                    assert_eq!(extraction.title, Some(format!("Page {thread} {round}")));
                }
            });
        }
    });
}

fn a_worker_knows_nothing_of_us() {
    let detail = extract(options(&["misbehave", "environment"]), b"x", "f").outcome.unwrap_err().detail;
    assert_eq!(detail, "the reader ended with status 42", "the environment or the folder came through");
}

fn files_without_text_have_reasons() {
    assert_eq!(reason(options(&["worker"]), b""), Reason::Empty);
    assert_eq!(reason(options(&["worker"]), b" \n "), Reason::Empty);
    assert_eq!(reason(options(&["worker"]), b"\x7fELF...."), Reason::Unsupported);
    assert_eq!(reason(options(&["worker"]), b"%PDF-1.7 and no more"), Reason::Damaged);
}

fn large_files_are_not_read() {
    let limited = || ExtractOptions { max_file_bytes: 1000, ..options(&["worker"]) };
    let mut source = io::repeat(b'x');
    let extractor = Extractor::new(limited());
    let extracted = extractor
        .extract(Source { bytes: &mut source, len: 1001, name: "x", media_type: None, passwords: &[], hearing: None })
        .unwrap();
    assert_eq!((extracted.outcome.unwrap_err().reason, extracted.bytes), (Reason::TooLarge, 0));
    // It may grow, or its length be wrong.
    let extracted = extractor
        .extract(Source { bytes: &mut source, len: 1, name: "x", media_type: None, passwords: &[], hearing: None })
        .unwrap();
    assert_eq!(extracted.outcome.unwrap_err().reason, Reason::TooLarge);
}

fn long_texts_are_refused() {
    let limited = ExtractOptions { output_bytes: 1000, ..options(&["worker"]) };
    assert_eq!(reason(limited, &[b'x'; 1001]), Reason::TooLarge);
    let limited = ExtractOptions { output_bytes: 1 << 20, ..options(&["misbehave", "announce"]) };
    assert_eq!(reason(limited, b"x"), Reason::Crashed);
}

fn a_worker_that_dies_is_a_crash() {
    for way in ["silent", "abort", "early"] {
        let bytes = vec![b'x'; 2 << 20];
        let extracted = extract(options(&["misbehave", way]), &bytes, "f");
        assert_eq!(extracted.outcome.unwrap_err().reason, Reason::Crashed, "{way}");
        assert_eq!(extracted.bytes, bytes.len() as u64);
    }
}

fn a_worker_that_hangs_is_killed() {
    for way in ["hang", "hang-unread", "drip", "endless"] {
        let limited = ExtractOptions { wall_seconds: 1, ..options(&["misbehave", way]) };
        let extracted = extract(limited, &vec![b'x'; 2 << 20], "file");
        assert_eq!(extracted.outcome.unwrap_err().reason, Reason::Timeout, "{way}");
        assert!(extracted.members.len() <= 10_001, "a worker that never stops fills the parent's memory");
    }
}

fn a_file_that_holds_its_reader_does_not_hold_the_next() {
    let extractor = Extractor::new(ExtractOptions { wall_seconds: 1, ..options(&["misbehave", "dies-of"]) });
    let files = [("a.hangs", "timeout"), ("b.pours", "timeout"), ("c.leaves", "crashed"), ("d.dies", "crashed")];
    for (name, reason) in files {
        for (name, expected) in [(name, Err(reason)), ("next.txt", Ok("words"))] {
            let source = Source { len: 5, bytes: &mut &b"words"[..], name, media_type: None, passwords: &[], hearing: None };
            let outcome = extractor.extract(source).unwrap().outcome;
            let outcome = outcome.map(|read| read.text).map_err(|why| why.reason.as_str().to_owned());
            assert_eq!(outcome.as_deref().map_err(String::as_str), expected, "{name}");
        }
    }
}

fn a_worker_that_talks_nonsense_is_not_believed() {
    assert_eq!(reason(options(&["misbehave", "nonsense"]), b"x"), Reason::Crashed);
}

fn memory_is_limited() {
    let limited = || ExtractOptions { memory_bytes: 400 << 20, ..options(&["worker"]) };
    // Millions of tags: small on the wire, a tree of gigabytes.
    let page = format!("<html>{}", "<p>".repeat(9_000_000));
    assert_eq!(reason(limited(), page.as_bytes()), Reason::Bomb);
    assert_eq!(reason(limited(), &vec![b'x'; 250 << 20]), Reason::TooLarge);
}

fn processor_time_is_limited() {
    assert_eq!(reason(options(&["misbehave", "spin"]), b"x"), Reason::Timeout);
}

fn our_own_faults_are_errors() {
    let attempt = |options: ExtractOptions, bytes: &mut dyn Read| {
        Extractor::new(options)
            .extract(Source { bytes, len: 1, name: "x", media_type: None, passwords: &[], hearing: None })
            .map(|_| ())
    };
    let nowhere = ExtractOptions { program: "/nonexistent".into(), ..options(&[]) };
    assert!(matches!(attempt(nowhere, &mut &b"x"[..]), Err(ExtractError::Spawn(_))));
    assert!(matches!(attempt(options(&["misbehave", "unusable"]), &mut &b"x"[..]), Err(ExtractError::Worker(_))));
    assert!(matches!(attempt(options(&["worker"]), &mut Unreadable), Err(ExtractError::Source(_))));
}

/// What a sandboxed process tried and should not have been able to do, by its exit status: 0 for nothing.
fn escapes(arguments: &[&str]) -> i32 {
    let program = std::env::current_exe().unwrap();
    let status = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.signal(), None, "it was killed");
    status.code().unwrap()
}

fn nothing_gets_out_of_the_worker() {
    if cfg!(target_os = "linux") {
        assert_eq!(escapes(&["misbehave", "walls"]), 0, "a bit for each way out that was open");
    }
}

fn a_tool_reads_its_own_and_nothing_else() {
    if cfg!(target_os = "linux") && sandbox::layers().landlock > 0 {
        assert_eq!(escapes(&["misbehave", "tool-walls"]), 0, "a bit for each way out that was open");
    }
}

/// A zip archive of stored files.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn a_member_that_kills_its_reader_takes_no_other_along() {
    let bytes = archive(&[("a.txt", b"first words"), ("b.dies", b"x"), ("c.zip", &archive(&[("d.txt", b"last words")]))]);
    let extracted = extract(options(&["misbehave", "dies-of"]), &bytes, "x.zip");
    assert_eq!(extracted.outcome.unwrap().text, "a.txt\nb.dies\nc.zip");
    let members: Vec<(String, Result<String, Reason>)> = extracted
        .members
        .into_iter()
        .map(|member| (member.name, member.outcome.map(|read| read.text).map_err(|why| why.reason)))
        .collect();
    let expected = [
        ("a.txt", Ok("first words")),
        ("b.dies", Err(Reason::Crashed)),
        ("c.zip!/d.txt", Ok("last words")),
        ("c.zip", Ok("d.txt")),
    ];
    let expected = expected.map(|(name, outcome)| (name.to_owned(), outcome.map(str::to_owned)));
    assert_eq!(members, expected);
}

fn a_crash_that_was_bad_luck_is_tried_again() {
    let mark = std::env::temp_dir().join(format!("strongroom-luck-{}", std::process::id()));
    std::fs::write(&mark, b"x").unwrap();
    let bytes = archive(&[("unlucky", mark.to_str().unwrap().as_bytes())]);
    let extracted = extract(options(&["misbehave", "unlucky"]), &bytes, "x.zip");
    assert_eq!(extracted.members[0].outcome.as_ref().unwrap().text, mark.to_str().unwrap());
}

struct Unreadable;

impl Read for Unreadable {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

/// Reads the request and the file's pieces, up to the empty one.
fn read_file(socket: &mut UnixStream) -> io::Result<()> {
    let mut lengths = [0; 12];
    socket.read_exact(&mut lengths)?;
    let mut length = u64::from(u32::from_le_bytes(lengths[..4].try_into().unwrap()));
    while length > 0 {
        io::copy(&mut (&mut *socket).take(length), &mut io::sink())?;
        let mut piece = [0; 4];
        socket.read_exact(&mut piece)?;
        length = u64::from(u32::from_le_bytes(piece));
    }
    Ok(())
}

/// One thing after another inside the file that can't be read.
fn pour(socket: &mut UnixStream) {
    let header = br#"{"LostMember":{"name":"x","reason":"damaged","detail":""}}"#;
    let mut frame = u32::try_from(header.len()).unwrap().to_le_bytes().to_vec();
    frame.extend([0; 8]);
    frame.extend(header);
    let many = frame.repeat(1000);
    while socket.write_all(&many).is_ok() {}
}

/// What a file of that ending does to its reader.
fn dies_of(way: &str, mut socket: UnixStream) -> ExitCode {
    match way {
        "dies" => std::process::abort(),
        "hangs" => std::thread::sleep(Duration::from_secs(60)),
        "pours" => {
            read_file(&mut socket).unwrap();
            pour(&mut socket);
        }
        _ => {}
    }
    ExitCode::SUCCESS
}

/// A worker taken over by what it read, or broken.
fn misbehave(way: &str) -> ExitCode {
    match way {
        "walls" => return walls::walls(),
        "tool-walls" => return walls::tool_walls(),
        _ => {}
    }
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned().unwrap());
    let read_all = |socket: &mut UnixStream| read_file(socket).unwrap();
    match way {
        "silent" => read_all(&mut socket),
        "early" => {}
        "abort" => {
            read_all(&mut socket);
            std::process::abort();
        }
        "hang" => {
            read_all(&mut socket);
            std::thread::sleep(Duration::from_secs(60));
        }
        "hang-unread" => std::thread::sleep(Duration::from_secs(60)),
        "drip" => {
            read_all(&mut socket);
            let _ = socket.write_all(&[0xff, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 0]);
            while socket.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(300));
            }
        }
        "endless" => {
            read_all(&mut socket);
            pour(&mut socket);
        }
        "announce" => {
            read_all(&mut socket);
            let _ = socket.write_all(&[0xff; 12]);
        }
        "nonsense" => {
            read_all(&mut socket);
            let _ = socket.write_all(&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            let _ = socket.write_all(b"{}");
        }
        "environment" => {
            let ours = ["RAYON_NUM_THREADS", "MALLOC_ARENA_MAX"];
            let clean = std::env::vars().all(|(name, _)| ours.contains(&name.as_str()));
            let at_root = std::env::current_dir().is_ok_and(|folder| folder == std::path::Path::new("/"));
            return ExitCode::from(if clean && at_root { 42 } else { 1 });
        }
        "spin" => {
            let limit = Rlimit { current: Some(1), maximum: Some(2) };
            setrlimit(Resource::Cpu, limit).unwrap();
            loop {
                std::hint::spin_loop();
            }
        }
        "unusable" => return ExitCode::from(70),
        // A worker like any other, but for files that it dies of.
        "dies-of" | "unlucky" => {
            let mut peeked = [0; 4096];
            let flags = rustix::net::RecvFlags::PEEK;
            loop {
                let (_, length) = rustix::net::recv(&socket, &mut peeked[..], flags).unwrap();
                let start = String::from_utf8_lossy(&peeked[..length]).into_owned();
                for way in ["dies", "hangs", "pours", "leaves"] {
                    if start.contains(&format!("\"extension\":\"{way}\"")) {
                        return dies_of(way, socket);
                    }
                }
                if way == "unlucky"
                    && let Some(at) = start.find("/tmp/strongroom-luck-")
                    && std::fs::remove_file(start[at..].trim_end_matches('\0')).is_ok()
                {
                    std::process::abort();
                }
                // The file's first bytes come right after the request, or it has none.
                if length == 0 || start.contains("PK") || start.contains("words") || way == "unlucky" && length > 300 {
                    return worker_main();
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        _ => unreachable!(),
    }
    ExitCode::SUCCESS
}
