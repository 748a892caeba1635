//! Runs the app behind its doors until SIGINT or SIGTERM comes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use strongroom_ingest::pipeline::Progress;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{App, AppError, control, model, tls, warn_of_little_space};
use crate::config::Tls;
use crate::http::{AllowedHosts, Via, serve_tcp, serve_tls, serve_unix};

/// What happens while the server runs, for whoever shows it to people.
#[derive(Clone, Debug)]
pub enum Event {
    /// Requests are taken at this address. The model may still be loading.
    Listening(SocketAddr),
    /// A file of the model or its runtime is being fetched.
    Fetching(crate::models::Progress),
    /// Nothing more is fetched.
    Fetched,
    /// Search by meaning works.
    ModelLoaded,
    /// Search by meaning does not work, for this reason.
    ModelMissing(String),
    /// What indexing is doing now; comes a few times a second.
    Indexing(Progress),
    /// A signal came: what runs is finished.
    Stopping,
}

/// Takes what happens. Called from several threads.
pub type Tell = Arc<dyn Fn(Event) + Send + Sync>;

/// Collections that are opened before anybody asks.
const WARM: usize = 4;

/// Time between two looks at what indexing is doing.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Serves until a signal comes, then finishes what runs and stops the pipeline. A second SIGINT ends the process at once.
///
/// # Errors
/// When the address or the control socket cannot be had.
pub fn serve(app: &Arc<App>, tell: &Tell) -> Result<(), AppError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("http")
        .build()
        .map_err(|source| AppError::Io { what: "start threads", source })?;
    let served = runtime.block_on(run(app, tell));
    app.stop();
    // Requests that block are given up here: whatever they had not acknowledged was not promised.
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}

async fn run(app: &Arc<App>, tell: &Tell) -> Result<(), AppError> {
    let bind = app.config.bind;
    let failed = |source| AppError::Bind { address: bind, source };
    // Signals are caught before anything can be seen to run, or one that comes early would kill.
    let signals = (catch(SignalKind::interrupt())?, catch(SignalKind::terminate())?);
    if !bind.ip().is_loopback() && !app.keys.any_ever()? {
        return Err(AppError::NoKeys(bind));
    }
    let encryption = match &app.config.tls {
        Some(Tls::Own { cert, key }) => Some(tls::config(cert, key)?),
        Some(Tls::InFront(_)) | None => None,
    };
    let listener = TcpListener::bind(bind).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(stop_on(signals, stop, Arc::clone(tell)));

    let names = AllowedHosts {
        hosts: app.config.allowed_hosts.clone(),
        origins: app.config.allowed_origins.clone(),
        ..AllowedHosts::open_on(address)
    };
    let tcp = app.router(Via::Tcp, names.clone());
    let stop_tcp = until(stopped.clone());
    let tcp = match encryption {
        Some(encryption) => tokio::spawn(serve_tls(listener, encryption, tcp, stop_tcp)),
        None => tokio::spawn(serve_tcp(listener, tcp, stop_tcp)),
    };
    let socket = serve_control(app, names, stopped.clone())?;
    tell(Event::Listening(address));
    warn_of_little_space(&app.config);
    load_model(app, tell)?;
    warm(app)?;
    let looking = tokio::spawn(look(Arc::clone(app), Arc::clone(tell), stopped.clone()));

    let ended = tcp.await;
    if let Some(socket) = socket {
        // It ends by the same signal, within the same grace.
        let _ = socket.await;
    }
    let _ = looking.await;
    if let Ok(path) = control::socket_path(&app.config.data) {
        // The next start replaces it anyway.
        let _ = std::fs::remove_file(path);
    }
    match ended {
        Ok(result) => result.map_err(failed),
        Err(_) => Err(failed(std::io::Error::other("the server panicked"))),
    }
}

fn serve_control(
    app: &Arc<App>,
    names: AllowedHosts,
    stopped: watch::Receiver<bool>,
) -> Result<Option<JoinHandle<std::io::Result<()>>>, AppError> {
    let path = match control::socket_path(&app.config.data) {
        Ok(path) => path,
        Err(why) => {
            tracing::warn!(why, "there is no control socket: commands cannot reach this server");
            return Ok(None);
        }
    };
    let listener: UnixListener = control::bind(&path)?;
    let routes = app.router(Via::ControlSocket, names);
    Ok(Some(tokio::spawn(serve_unix(listener, routes, until(stopped)))))
}

/// Full-text search is there before the model is: it loads, or is fetched, on a thread of its own.
fn load_model(app: &Arc<App>, tell: &Tell) -> Result<(), AppError> {
    let (app, tell) = (Arc::clone(app), Arc::clone(tell));
    aside("model", move || model::load(&app, model::Fetch::Allowed, &|event| tell(event)))
}

/// Opens collections while the model loads.
fn warm(app: &Arc<App>) -> Result<(), AppError> {
    let store = Arc::clone(&app.store);
    aside("warm", move || store.warm(WARM))
}

/// Does something on a thread of its own that nobody waits for.
fn aside(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), AppError> {
    let spawned = std::thread::Builder::new().name(name.into()).spawn(work);
    spawned.map(drop).map_err(|source| AppError::Io { what: "start a thread", source })
}

/// Looks at what indexing is doing and passes it on.
async fn look(app: Arc<App>, tell: Tell, mut stopped: watch::Receiver<bool>) {
    loop {
        let (looked, told) = (Arc::clone(&app), Arc::clone(&tell));
        let looking = tokio::task::spawn_blocking(move || {
            told(Event::Indexing(looked.pipeline.progress()));
        });
        // A panic in there was told of by the hook; the server goes on.
        let _ = looking.await;
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = wait(&mut stopped) => return,
        }
    }
}

fn catch(kind: SignalKind) -> Result<Signal, AppError> {
    signal(kind).map_err(|source| AppError::Io { what: "catch signals", source })
}

async fn stop_on((mut interrupt, mut terminate): (Signal, Signal), stop: watch::Sender<bool>, tell: Tell) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tell(Event::Stopping);
    // Nobody may be listening any more, which is what was wanted.
    let _ = stop.send(true);
    interrupt.recv().await;
    // Killing is always safe: what was acknowledged is on disk, and a restart converges.
    std::process::exit(130);
}

async fn until(mut stopped: watch::Receiver<bool>) {
    wait(&mut stopped).await;
}

async fn wait(stopped: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, and that is a stop too.
    let _ = stopped.wait_for(|stop| *stop).await;
}
