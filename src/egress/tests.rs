//! Tests of the clients against a small server of our own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use super::*;

/// Answers every connection once with `answer`, and says how often it was asked.
fn serve(answer: String) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (asked, asks) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut first = String::new();
            stream.read_line(&mut first).unwrap();
            let (mut line, mut length) = (String::new(), 0);
            while stream.read_line(&mut line).unwrap() > 2 {
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            stream.read_exact(&mut vec![0; length]).unwrap();
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
            if asked.send(first).is_err() {
                return;
            }
        }
    });
    (address, asks)
}

fn options(name: &str) -> ClientOptions<'_> {
    let second = Duration::from_secs(10);
    ClientOptions { name, redirects: Redirects::None, connect: second, pause: second, https_only: false }
}

#[tokio::test]
async fn what_leaves_and_what_comes_is_counted_by_name() {
    install_crypto();
    let (address, _asks) = serve("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello".into());
    let egress = Egress::new(None);
    let client = egress.client(options("here")).unwrap();
    for _ in 0..2 {
        let request = client.request(Method::POST, &address).body("four");
        assert_eq!(client.send(request).await.unwrap().body(100).await.unwrap(), b"hello");
    }
    egress.client(options("unused")).unwrap();
    let expected = Counts { requests: 2, sent: 8, received: 10 };
    assert_eq!(egress.counts(), BTreeMap::from([("here".into(), expected)]));
    let answer = client.send(client.request(Method::GET, &address)).await.unwrap();
    assert!(answer.body(4).await.is_err(), "five bytes are more than four");
}

#[tokio::test]
async fn redirects_are_not_followed_unless_listed() {
    install_crypto();
    let (target, asks) = serve("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".into());
    let redirect = format!("HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let (address, _asks) = serve(redirect);
    let egress = Egress::new(None);
    let client = egress.client(options("none")).unwrap();
    let answer = client.send(client.request(Method::GET, &address)).await.unwrap();
    assert_eq!(answer.status(), 302);
    let listed = ClientOptions { redirects: Redirects::To(&["example.org"]), ..options("listed") };
    let client = egress.client(listed).unwrap();
    let error = client.send(client.request(Method::GET, &address)).await.err().unwrap().to_string();
    assert!(error.contains("not on this client's list"), "{error}");
    assert!(!error.contains("127.0.0.1"), "addresses stay out of messages: {error}");
    assert!(asks.try_recv().is_err(), "the other host was never asked");
}

#[test]
fn a_host_is_below_another_only_at_a_dot() {
    assert!(is_below("hf.co", &["hf.co"]));
    assert!(is_below("cdn-lfs.hf.co", &["example.org", "hf.co"]));
    assert!(!is_below("evilhf.co", &["hf.co"]));
    assert!(!is_below("hf.co.example.org", &["hf.co"]));
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_is_reached() {
    install_crypto();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").unwrap();
    });
    let client = Egress::new(None).socket_client(options("control"), &socket).unwrap();
    let answer = client.send(client.request(Method::GET, "http://strongroom/healthz")).await.unwrap();
    assert_eq!(answer.body(10).await.unwrap(), b"ok");
}

#[tokio::test]
async fn a_datagram_is_counted_too() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let egress = Egress::default();
    egress.datagram("wake", socket.local_addr().unwrap(), b"four").await.unwrap();
    let mut bytes = [0; 10];
    assert_eq!(socket.recv(&mut bytes).unwrap(), 4);
    assert_eq!(egress.counts(), BTreeMap::from([("wake".into(), Counts { requests: 1, sent: 4, received: 0 })]));
}
