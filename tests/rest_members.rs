//! What is inside files, over REST: attachments and files in archives are found, listed, replaced and hidden with their file.

use std::fs;
use std::io::{Cursor, Write as _};

use base64::Engine as _;
use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::support::{Reply, Server, Start};

const MAIL: &str = "/api/v1/collections/acme/documents/mail.eml";

/// A page of one line.
fn pdf(line: &str) -> Vec<u8> {
    let content = format!("BT /F1 12 Tf 72 700 Td ({line}) Tj ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [4 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R /Resources << /Font << /F1 3 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
    ];
    let mut bytes = b"%PDF-1.4\n".to_vec();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (number, object) in (1..).zip(&objects) {
        table.push_str(&format!("{:010} 00000 n \n", bytes.len()));
        bytes.extend(format!("{number} 0 obj\n{object}\nendobj\n").into_bytes());
    }
    let (size, start) = (objects.len() + 1, bytes.len());
    bytes.extend(format!("{table}trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n").into_bytes());
    bytes
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A message with files attached.
fn mail(body: &str, attached: &[(&str, &[u8])]) -> Vec<u8> {
    let mut mail = format!(
        "From: Ada Byron <ada@example.com>\r\nTo: Charles <charles@example.com>\r\nSubject: The mill\r\n\
         Date: Thu, 01 Jan 1970 00:01:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n\
         --B\r\nContent-Type: text/plain\r\n\r\n{body}\r\n"
    );
    for (name, bytes) in attached {
        let packed = base64::engine::general_purpose::STANDARD.encode(bytes);
        mail.push_str(&format!(
            "--B\r\nContent-Type: application/octet-stream; name=\"{name}\"\r\nContent-Disposition: attachment\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n{packed}\r\n"
        ));
    }
    format!("{mail}--B--\r\n").into_bytes()
}

fn put(server: &Server, bytes: &[u8]) -> Reply {
    let reply = server.send("PUT", &format!("{MAIL}?wait=true"), &[("Content-Type", "message/rfc822")], bytes);
    assert!(matches!(reply.status, 200 | 201), "{}", reply.text());
    reply
}

/// Path and state of what is inside a document.
fn members(record: &Value) -> Vec<(String, String)> {
    let word = |member: &Value, field: &str| member[field].as_str().unwrap().to_owned();
    record["members"].as_array().unwrap().iter().map(|member| (word(member, "path"), word(member, "state"))).collect()
}

fn pair(path: &str, state: &str) -> (String, String) {
    (path.to_owned(), state.to_owned())
}

#[test]
fn attachments_are_found_under_their_own_path_and_belong_to_their_mail() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(&home.path().join("data"), Start::default());
    server.create("acme");
    let inner = archive(&[("deeds/old.txt", b"Nobody may plant medlars.")]);
    let contract = pdf("The deposit is four kumquats.");
    put(&server, &mail("See the quinces.", &[("contract.pdf", &contract), ("old.zip", &inner), ("x.bin", b"\0\x01\x02\x03")]));
    let record = server.get(MAIL).json();
    for (field, value) in [
        ("state", json!("indexed")),
        ("title", json!("The mill")),
        ("author", json!("Ada Byron <ada@example.com>")),
        ("written_at", json!("1970-01-01T00:01:00Z")),
        ("media_type", json!("message/rfc822")),
    ] {
        assert_eq!(record[field], value, "{field}");
    }
    let expected = [
        pair("mail.eml!/contract.pdf", "indexed"),
        pair("mail.eml!/old.zip", "indexed"),
        pair("mail.eml!/old.zip!/deeds/old.txt", "indexed"),
        pair("mail.eml!/x.bin", "unreadable"),
    ];
    assert_eq!(members(&record), expected);
    assert_eq!(record["members"][3]["reason"], "unsupported");
    for (word, path) in
        [("quinces", "mail.eml"), ("kumquats", "mail.eml!/contract.pdf"), ("medlars", "mail.eml!/old.zip!/deeds/old.txt")]
    {
        assert_eq!(server.found("acme", word), [path], "{word}");
    }
    // A filter that names the mail, or the attachment, lets the attachment through; one that names another mail doesn't.
    for (path, found) in [("mail.eml", 1), ("mail.eml!/contract.pdf", 1), ("other.eml", 0), ("mail.eml!/old.zip", 0)] {
        for mode in ["lexical", "hybrid"] {
            let body = json!({ "query": "kumquats", "collections": ["acme"], "mode": mode, "filter": { "paths": [path] } });
            let hits = server.search_with(&body)["hits"].as_array().unwrap().clone();
            let hits = hits.iter().filter(|hit| hit["document"]["path"] == "mail.eml!/contract.pdf");
            assert_eq!(hits.count(), found, "{path} {mode}");
        }
    }
    let counts = &server.collection("acme")["documents"];
    assert_eq!((&counts["indexed"], &counts["unreadable"]), (&json!(1), &json!(0)), "{counts}");
    let coverage = server.get("/api/v1/collections/acme/coverage").json();
    assert_eq!((&coverage["members"], &coverage["unreadable_members"]), (&json!(3), &json!(1)), "{coverage}");
    let text = server.get("/api/v1/collections/acme/documents/mail.eml%21%2Fcontract.pdf?part=text");
    assert_eq!(text.text().trim(), "The deposit is four kumquats.");
}

#[test]
fn attachments_change_and_go_with_their_mail() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(&home.path().join("data"), Start::default());
    server.create("acme");
    let notes: (&str, &[u8]) = ("notes.txt", b"The deposit is four kumquats.");
    put(&server, &mail("One.", &[notes, ("gone.txt", b"Nobody may plant medlars.")]));
    assert_eq!(server.found("acme", "medlars"), ["mail.eml!/gone.txt"]);
    let id = server.get(MAIL).json()["members"][1]["id"].clone();

    put(&server, &mail("Two.", &[("notes.txt", b"The deposit is nine quinces.")]));
    for word in ["medlars", "kumquats"] {
        assert!(server.found("acme", word).is_empty(), "{word}");
    }
    assert_eq!(server.found("acme", "quinces"), ["mail.eml!/notes.txt"]);
    let record = server.get(MAIL).json();
    assert_eq!(members(&record), [pair("mail.eml!/notes.txt", "indexed")]);
    assert_eq!(record["members"][0]["id"], id);
    let gone = server.get("/api/v1/collections/acme/documents/mail.eml%21%2Fgone.txt");
    assert_eq!(gone.status, 404, "{}", gone.text());

    assert_eq!(server.request("DELETE", MAIL, None).status, 204);
    for mode in ["lexical", "dense", "hybrid"] {
        assert!(server.search("acme", mode, "quinces").is_empty(), "{mode}");
    }
    assert_eq!(server.get("/api/v1/collections/acme/coverage").json()["members"], 0);
}

#[test]
fn an_archive_in_a_watched_folder_moves_with_what_is_inside_it() {
    let home = tempfile::tempdir().unwrap();
    let clients = home.path().join("clients");
    let folder = clients.join("acme");
    fs::create_dir_all(&folder).unwrap();
    let inner = archive(&[("c.txt", b"Nobody may plant medlars.")]);
    let bytes = archive(&[("a/notes.txt", b"The deposit is four kumquats."), ("b.zip", &inner)]);
    fs::write(folder.join("old.zip"), &bytes).unwrap();
    let server = Server::start(&home.path().join("data"), Start { folders: vec![&clients], ..Start::default() });
    server.wait_indexed("acme", 1);
    assert_eq!(server.found("acme", "kumquats"), ["old.zip!/a/notes.txt"]);
    assert_eq!(server.found("acme", "medlars"), ["old.zip!/b.zip!/c.txt"]);

    fs::rename(folder.join("old.zip"), folder.join("new.zip")).unwrap();
    let settled = |path: &str| {
        let record = server.get(&format!("/api/v1/collections/acme/documents/{path}"));
        record.status == 200 && record.json()["state"] == "indexed"
    };
    server.wait_for("acme", "the archive at its new path", |_| settled("new.zip"));
    assert_eq!(server.found("acme", "kumquats"), ["new.zip!/a/notes.txt"]);
    assert_eq!(server.found("acme", "medlars"), ["new.zip!/b.zip!/c.txt"]);
    assert_eq!(server.wait_indexed("acme", 1)["documents"]["unreadable"], 0);

    fs::remove_file(folder.join("new.zip")).unwrap();
    server.wait_for("acme", "the archive to go", |_| server.found("acme", "kumquats").is_empty());
    assert!(server.found("acme", "medlars").is_empty());
}
