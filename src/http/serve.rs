//! Accepts connections until told to stop, then lets what runs finish, but not for ever.

use std::future::{Future, IntoFuture};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long requests may go on after the server was told to stop.
pub const GRACE: Duration = Duration::from_secs(10);

/// Handshakes that go on at the same time.
const HANDSHAKES: usize = 256;
/// Time that a client may take for its handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Serves on a network address until `shutdown` completes; then accepts nothing more and returns when all requests are
/// answered, at the latest after [`GRACE`].
///
/// # Errors
/// When the listener fails for good.
pub async fn serve_tcp(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    // Answers are small and written at once: waiting to fill a packet only adds latency.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let (told, is_told) = oneshot::channel();
    let serving = axum::serve(listener, router).with_graceful_shutdown(tell_on(shutdown, told)).into_future();
    within_grace(serving, is_told, GRACE).await
}

/// Serves on a socket in the file system; otherwise as [`serve_tcp`]. The caller makes the socket's file and removes it.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve_unix(
    listener: UnixListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (told, is_told) = oneshot::channel();
    let serving = axum::serve(listener, router).with_graceful_shutdown(tell_on(shutdown, told)).into_future();
    within_grace(serving, is_told, GRACE).await
}

/// Serves on a network address over TLS; otherwise as [`serve_tcp`].
///
/// # Errors
/// When the listener fails for good.
pub async fn serve_tls(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let (greeted, waiting) = mpsc::channel(HANDSHAKES);
    let accepting = tokio::spawn(greet(listener, TlsAcceptor::from(tls), greeted));
    let (told, is_told) = oneshot::channel();
    let listener = Greeted { waiting, address };
    let serving = axum::serve(listener, router).with_graceful_shutdown(tell_on(shutdown, told)).into_future();
    let ended = within_grace(serving, is_told, GRACE).await;
    accepting.abort();
    ended
}

/// Accepts connections and shakes hands with each on the side: one that is slow about it holds up no other.
async fn greet(listener: TcpListener, acceptor: TlsAcceptor, greeted: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>) {
    let places = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        // The semaphore is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(_) => {
                // Too many open files, or a client that is gone already: the next may fare better.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let (acceptor, greeted) = (acceptor.clone(), greeted.clone());
        tokio::spawn(async move {
            let _place = place;
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                // Nobody waits any more once the server has stopped.
                let _ = greeted.send((stream, address)).await;
            }
        });
    }
}

/// Connections whose handshake is done.
struct Greeted {
    waiting: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

impl axum::serve::Listener for Greeted {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.waiting.recv().await {
            Some(accepted) => accepted,
            // Nothing more is accepted; the server ends by its shutdown.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

async fn tell_on(shutdown: impl Future<Output = ()>, told: oneshot::Sender<()>) {
    shutdown.await;
    let _ = told.send(());
}

async fn within_grace(
    serving: impl Future<Output = io::Result<()>>,
    is_told: oneshot::Receiver<()>,
    grace: Duration,
) -> io::Result<()> {
    let too_late = async {
        match is_told.await {
            Ok(()) => tokio::time::sleep(grace).await,
            // The server ended by itself; its own future says how.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = serving => ended,
        () = too_late => {
            tracing::warn!(seconds = grace.as_secs(), "requests were still running when the server stopped");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;
    use tokio::sync::Notify;

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

    #[tokio::test]
    async fn a_running_request_is_finished_and_no_new_one_is_taken() {
        let (entered, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let inside = (Arc::clone(&entered), Arc::clone(&go_on));
        let handler = move || async move {
            inside.0.notify_one();
            inside.1.notified().await;
            "done"
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async { drop(stopped.await) };
        let server = tokio::spawn(serve_tcp(listener, Router::new().route("/", get(handler)), shutdown));

        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(REQUEST).await.unwrap();
        entered.notified().await;
        stop.send(()).unwrap();
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        go_on.notify_one();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("done"), "{answer}");
        server.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_request_that_never_ends_does_not_hold_the_server_for_ever() {
        let (told, is_told) = oneshot::channel();
        told.send(()).unwrap();
        within_grace(std::future::pending(), is_told, Duration::from_millis(5)).await.unwrap();
    }

    #[tokio::test]
    async fn a_socket_in_the_file_system_answers_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async { drop(stopped.await) };
        let server = tokio::spawn(serve_unix(listener, Router::new().route("/", get(|| async { "here" })), shutdown));
        let mut client = UnixStream::connect(&path).await.unwrap();
        client.write_all(REQUEST).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("here"), "{answer}");
        stop.send(()).unwrap();
        server.await.unwrap().unwrap();
    }
}
