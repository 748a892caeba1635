//! Keys from outside: every operation by every kind of key, walls between collections, limits, encryption.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

use crate::support::{Reply, Server, Start, command};

/// Makes a key beside the running server.
fn key(server: &Server, name: &str, more: &[&str]) -> String {
    let made = command(&server.data, &[&["keys", "create", "--name", name], more].concat());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let text = String::from_utf8(made.stdout).unwrap();
    assert!(text.starts_with("sr_") && text.trim().len() > 50 && text.lines().count() == 1, "{text:?}");
    text.trim().to_owned()
}

fn ask(server: &Server, method: &str, path: &str, key: Option<&str>, body: Option<&Value>) -> Reply {
    let bearer = key.map(|key| format!("Bearer {key}"));
    let mut headers: Vec<(&str, &str)> = bearer.iter().map(|bearer| ("Authorization", bearer.as_str())).collect();
    if body.is_some() {
        headers.push(("Content-Type", "application/json"));
    }
    server.send(method, path, &headers, body.map(Value::to_string).unwrap_or_default().as_bytes())
}

/// Every operation of the OpenAPI document, with a body that fits where one is needed. Those that end something come last.
fn operations(api: &Value) -> Vec<(String, String, Option<Value>)> {
    let mut operations = Vec::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, _) in item.as_object().unwrap() {
            let url = path.replace("{collection}", "acme").replace("{path}", "a.txt").replace("{id}", "0");
            let body = match path.as_str() {
                "/api/v1/search" => Some(json!({ "query": "fees", "mode": "lexical" })),
                "/api/v1/answers" => Some(json!({ "question": "What are the fees?", "collections": ["acme"] })),
                "/api/v1/tasks" => Some(json!({ "task": "ask", "instruction": "What are the fees?", "collections": ["acme"] })),
                "/api/v1/collections" if method == "post" => Some(json!({ "name": "new" })),
                "/api/v1/collections/{collection}/passwords" if method == "post" => Some(json!({ "password": "x" })),
                _ => None,
            };
            operations.push((method.to_uppercase(), url, body));
        }
    }
    operations.retain(|(_, url, _)| url.starts_with("/api/") || matches!(url.as_str(), "/metrics" | "/healthz" | "/readyz"));
    let ends = |(method, url, _): &(String, String, Option<Value>)| method == "DELETE" && url.ends_with("/acme");
    operations.sort_by_key(|operation| (ends(operation), operation.0 == "DELETE"));
    operations
}

/// Which of search, read, ingest, admin an operation needs; none for those that any key may do.
fn needed(method: &str, url: &str) -> Option<&'static str> {
    let reads = method == "GET";
    match url {
        "/api/v1/search" | "/api/v1/answers" | "/api/v1/tasks" | "/api/v1/tasks/0" | "/api/v1/tools/query_knowledge_files" => {
            Some("search")
        }
        "/api/v1/tools/view_file" | "/api/v1/usage" => Some("read"),
        "/api/v1/collections" | "/api/v1/collections/acme" if reads => None,
        "/api/v1/collections" => Some("ingest"),
        _ if url.contains("/coverage") || url.contains("/documents") && reads => Some("read"),
        _ if url.contains("/documents") || url.contains("/passwords") || url.contains("/retry") => Some("ingest"),
        _ => Some("admin"),
    }
}

#[test]
fn every_operation_is_held_to_the_scopes_of_every_kind_of_key() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(&home.path().join("data"), Start::default());
    for name in ["acme", "bolt"] {
        server.create(name);
        assert_eq!(server.put(name, "a.txt", "The fees are ten.").status, 201);
    }
    let api = server.get("/openapi.json").json();
    let scopes = ["search", "read", "ingest", "admin"];
    let make = |scope: &&str| (scope.to_string(), key(&server, scope, &["--collections", "acme,bolt", "--scopes", scope]));
    let keys: Vec<(String, String)> = scopes.iter().map(make).collect();
    let ended = key(&server, "ended", &["--collections", "acme", "--scopes", "admin", "--expires", "1ms"]);
    let revoked = key(&server, "revoked", &["--collections", "acme", "--scopes", "admin"]);
    assert!(command(&server.data, &["keys", "revoke", "revoked"]).status.success());
    let elsewhere = key(&server, "elsewhere", &["--collections", "bolt", "--scopes", "admin"]);
    let altered = keys[3].1.replace('_', "-");

    let operations = operations(&api);
    assert!(operations.len() > 15, "{operations:?}");
    for (method, url, body) in operations.iter().filter(|(_, url, _)| url.starts_with("/api/") || url == "/metrics") {
        for wrong in [None, Some("nonsense"), Some(altered.as_str()), Some(ended.as_str()), Some(revoked.as_str())] {
            ask(&server, method, url, wrong, body.as_ref()).problem(401, "unauthorized");
        }
        if url.contains("/acme") {
            // What it may not see is not there, and not a word differs from what is not there at all.
            let nowhere = url.replace("/acme", "/nowhere");
            let hidden = ask(&server, method, url, Some(&elsewhere), body.as_ref());
            let absent = ask(&server, method, &nowhere, Some(&elsewhere), body.as_ref());
            let same = |reply: &Reply| {
                let mut body = reply.json();
                body["request_id"] = Value::Null;
                (reply.status, body)
            };
            assert_eq!(same(&hidden), same(&absent), "{method} {url}");
            assert_eq!(hidden.status, 404, "{method} {url}: {}", hidden.text());
        }
        for (scope, text) in &keys {
            if method == "DELETE" && url.ends_with("/acme") && scope == "admin" {
                continue;
            }
            let reply = ask(&server, method, url, Some(text), body.as_ref());
            let allowed = needed(method, url).is_none_or(|needed| scope == needed || scope == "admin");
            if allowed {
                assert!(!matches!(reply.status, 401 | 500), "{method} {url} with {scope}: {}", reply.text());
                assert!(reply.status != 403 || url == "/api/v1/collections", "{method} {url} with {scope}: {}", reply.text());
            } else {
                reply.problem(403, "scope_missing");
            }
        }
    }
    assert_eq!(ask(&server, "GET", "/healthz", None, None).status, 200);
    let ready = ask(&server, "GET", "/readyz", None, None);
    assert_eq!((ready.status, ready.json()), (200, json!({ "ready": true })));
    assert_eq!(ask(&server, "GET", "/docs/", None, None).status, 200);
    assert!(ask(&server, "GET", "/nowhere", None, None).status == 401);

    // The last key does not open the server when it goes.
    for name in ["search", "read", "ingest", "admin", "elsewhere"] {
        assert!(command(&server.data, &["keys", "revoke", name]).status.success());
    }
    ask(&server, "GET", "/api/v1/collections", None, None).problem(401, "unauthorized");
    let listed = command(&server.data, &["keys", "list", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert!(listed["keys"].as_array().unwrap().iter().all(|key| key["in_use"] == false), "{listed}");
    assert!(listed["keys"].as_array().unwrap().iter().any(|key| key["last_used_at"].is_string()), "{listed}");
}

#[test]
fn a_key_sees_its_own_collections_and_one_for_a_cloud_only_what_may_go_there() {
    let home = tempfile::tempdir().unwrap();
    let config = "[collections.bolt.escalation]\npolicy = \"ask\"\nproviders = [\"some\"]\n[[provider]]\nname = \"some\"\n\
        kind = \"openai\"\nurl = \"http://127.0.0.1:9/v1\"\napi_key_env = \"NO_KEY\"\nmodels = [\"m\"]\n";
    let server = Server::start(&home.path().join("data"), Start { config, ..Start::default() });
    for name in ["acme", "bolt", "cord"] {
        server.create(name);
        assert_eq!(server.put(name, "a.txt", &format!("The fees of {name} are ten.")).status, 201);
    }
    let seen = |key: &str| -> Vec<String> {
        let list = ask(&server, "GET", "/api/v1/collections", Some(key), None).json();
        let query = json!({ "query": "fees", "mode": "lexical" });
        let hits = ask(&server, "POST", "/api/v1/search", Some(key), Some(&query)).json();
        let mut found: Vec<String> =
            hits["hits"].as_array().unwrap().iter().map(|hit| hit["collection"].as_str().unwrap().to_owned()).collect();
        found.sort();
        let names: Vec<String> =
            list["collections"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect();
        assert_eq!(found, names, "a list and a search show different collections");
        names
    };
    assert_eq!(seen(&key(&server, "two", &["--collections", "acme,cord"])), ["acme", "cord"]);
    assert_eq!(seen(&key(&server, "all", &["--collections", "*"])), ["acme", "bolt", "cord"]);
    assert_eq!(seen(&key(&server, "cloud", &["--collections", "*", "--destination", "cloud"])), ["bolt"]);

    // A key is bound to the collection, not to its name.
    let admin = key(&server, "admin", &["--collections", "*", "--scopes", "admin"]);
    let old = key(&server, "old", &["--collections", "acme"]);
    assert_eq!(ask(&server, "DELETE", "/api/v1/collections/acme", Some(&admin), None).status, 200);
    assert_eq!(ask(&server, "POST", "/api/v1/collections", Some(&admin), Some(&json!({ "name": "acme" }))).status, 201);
    ask(&server, "GET", "/api/v1/collections/acme", Some(&old), None).problem(404, "no_collection");
    assert_eq!(seen(&old), Vec::<String>::new());
    let named = json!({ "query": "fees", "mode": "lexical", "collections": ["acme"] });
    ask(&server, "POST", "/api/v1/search", Some(&old), Some(&named)).problem(404, "no_collection");
}

#[test]
fn a_key_that_asks_too_much_is_told_when_to_come_back() {
    let home = tempfile::tempdir().unwrap();
    let config = "[limits]\nrequests_per_minute = 30\n";
    let server = Server::start(&home.path().join("data"), Start { config, ..Start::default() });
    server.create("acme");
    let (one, other) = (key(&server, "one", &["--collections", "acme"]), key(&server, "other", &["--collections", "acme"]));
    let statuses: Vec<Reply> = (0..6).map(|_| ask(&server, "GET", "/api/v1/collections", Some(&one), None)).collect();
    let last = &statuses[5];
    last.problem(429, "too_many_requests");
    assert!(last.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    assert_eq!(statuses[0].status, 200);
    assert_eq!(ask(&server, "GET", "/api/v1/collections", Some(&other), None).status, 200);
}

#[test]
fn who_is_behind_an_open_webui_is_believed_only_from_its_signed_token() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
    use hmac::{Hmac, KeyInit as _, Mac as _};
    const SECRET: &str = "a secret that both sides share";
    let token = |secret: &str, email: &str| {
        let claims = json!({ "sub": "1", "email": email, "role": "user", "iss": "open-webui", "exp": 4_000_000_000_u64 });
        let signed = format!("{}.{}", BASE64.encode(r#"{"alg":"HS256"}"#), BASE64.encode(claims.to_string()));
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(signed.as_bytes());
        format!("{signed}.{}", BASE64.encode(mac.finalize().into_bytes()))
    };
    let home = tempfile::tempdir().unwrap();
    let config = "[open_webui]\njwt_secret_env = \"TEST_JWT_SECRET\"\nusers = { \"Ada@example.com\" = [\"acme\", \"cord\"] }\n";
    let environment = vec![("TEST_JWT_SECRET", SECRET.to_owned())];
    let server = Server::start(&home.path().join("data"), Start { config, environment, ..Start::default() });
    for name in ["acme", "bolt", "cord"] {
        server.create(name);
    }
    let key = key(&server, "webui", &["--collections", "acme,bolt"]);
    let list = |headers: &[(&str, &str)]| {
        let bearer = format!("Bearer {key}");
        let headers = [&[("Authorization", bearer.as_str())], headers].concat();
        let reply = server.send("GET", "/api/v1/collections", &headers, b"");
        let names = |body: Value| -> Vec<String> {
            body["collections"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
        };
        if reply.status == 200 { Ok(names(reply.json())) } else { Err(reply.status) }
    };
    assert_eq!(list(&[]).unwrap(), ["acme", "bolt"]);
    let headers = [("X-OpenWebUI-User-Jwt", &*token(SECRET, "ada@example.com"))];
    assert_eq!(list(&headers).unwrap(), ["acme"], "a token widens nothing and narrows to what is listed");
    assert_eq!(list(&[("X-OpenWebUI-User-Jwt", &token(SECRET, "bob@example.com"))]).unwrap(), Vec::<String>::new());
    assert_eq!(list(&[("X-OpenWebUI-User-Jwt", &token("another secret of some length", "ada@example.com"))]), Err(401));
    assert_eq!(list(&[("X-OpenWebUI-User-Email", "nobody@example.com")]).unwrap(), ["acme", "bolt"]);
}

/// A certificate for `localhost` and 127.0.0.1, signed by itself, and its key; as PEM files in a folder.
fn certificate(folder: &Path) -> RootCertStore {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    roots
}

fn over_tls(address: SocketAddr, roots: RootCertStore, request: &str) -> String {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut stream = StreamOwned::new(connection, socket);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    // The end without a farewell is an error to the library, and no matter here.
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn with_a_certificate_the_server_speaks_tls_and_a_slow_client_holds_up_nobody() {
    let home = tempfile::tempdir().unwrap();
    let roots = certificate(home.path());
    let (cert, key) = (home.path().join("cert.pem"), home.path().join("key.pem"));
    let config = format!("[tls]\ncert = {:?}\nkey = {:?}\n", cert.display().to_string(), key.display().to_string());
    let data = home.path().join("data");
    let server = Server::launch(&data, Start { config: &config, ..Start::default() });
    let begun = std::time::Instant::now();
    while TcpStream::connect(server.address).is_err() {
        assert!(begun.elapsed() < crate::support::PATIENCE, "{}", server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    // One that says nothing at all.
    let _silent = TcpStream::connect(server.address).unwrap();
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.address);
    let answer = over_tls(server.address, roots, &request);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"ok\""), "{answer}");
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn an_address_that_others_can_reach_needs_encryption_and_a_key() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let refused = |arguments: &[&str]| {
        let output = command(&data, arguments);
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let said = refused(&["serve", "--bind", "0.0.0.0:0", "--offline"]);
    assert!(said.contains("tls.cert") && said.contains("tls.terminated_by") && said.contains("ssh -L"), "{said}");
    let config = home.path().join("strongroom.toml");
    std::fs::write(&config, "[tls]\nterminated_by = \"a tunnel\"\n").unwrap();
    let said = refused(&["serve", "--bind", "0.0.0.0:0", "--offline", "--config", config.to_str().unwrap()]);
    assert!(said.contains("strongroom keys create"), "{said}");
}

/// A reverse proxy as small as can be: ends TLS, adds the header that proxies add, passes bytes on.
fn proxy(listener: TcpListener, cert: &Path, key: &Path, to: SocketAddr) {
    use rustls::pki_types::pem::PemObject as _;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![rustls::pki_types::CertificateDer::from_pem_file(cert).unwrap()];
    let key = rustls::pki_types::PrivateKeyDer::from_pem_file(key).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut client = StreamOwned::new(connection, stream);
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !request.windows(4).any(|window| window == b"\r\n\r\n") {
                match client.read(&mut buffer) {
                    Ok(read @ 1..) => request.extend(&buffer[..read]),
                    _ => break,
                }
            }
            let text = String::from_utf8(request).unwrap().replacen("\r\n", "\r\nX-Forwarded-For: 203.0.113.9\r\n", 1);
            let mut server = TcpStream::connect(to).unwrap();
            server.write_all(text.as_bytes()).unwrap();
            let mut answer = Vec::new();
            server.read_to_end(&mut answer).unwrap();
            let _ = client.write_all(&answer);
            client.conn.send_close_notify();
            let _ = client.flush();
        }
    });
}

#[test]
fn behind_a_proxy_that_ends_tls_a_key_is_needed_and_enough() {
    let home = tempfile::tempdir().unwrap();
    let roots = certificate(home.path());
    let config = "[tls]\nterminated_by = \"a proxy\"\n";
    let server = Server::start(&home.path().join("data"), Start { config, ..Start::default() });
    server.create("acme");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let front = listener.local_addr().unwrap();
    proxy(listener, &home.path().join("cert.pem"), &home.path().join("key.pem"), server.address);
    let get = |headers: &str| {
        let request = format!("GET /api/v1/collections HTTP/1.1\r\nHost: kb.example\r\nConnection: close\r\n{headers}\r\n");
        over_tls(front, roots.clone(), &request)
    };
    // While the server is open, a proxy in front of it is a mistake.
    assert!(get("").starts_with("HTTP/1.1 403"), "{}", get(""));
    let key = key(&server, "phone", &["--collections", "acme"]);
    assert!(get("").starts_with("HTTP/1.1 401"));
    let answer = get(&format!("Authorization: Bearer {key}\r\n"));
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"acme\""), "{answer}");
}
