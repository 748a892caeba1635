//! ONNX Runtime itself: loaded once a process, without its telemetry, and sessions that keep to one thread and little memory.

use std::path::{Path, PathBuf};

use ort::environment::Environment;
use ort::ep::{self, ExecutionProvider};
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use parking_lot::Mutex;

use super::{Device, EmbedError};

const TELEMETRY: &str = "ORT_DISABLE_TELEMETRY";

/// The library allows one environment a process and no second one after the first has gone, so this is a static by its own rule.
static LOADED: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

/// Forbids ONNX Runtime's telemetry for this process. **The first line of `main`, before anything can have started a thread.**
///
/// Official builds open sockets from 1.29 on unless the environment says otherwise before they are loaded; the library is loaded
/// only where it does (`EmbedError::Telemetry`), so that forgetting this call is an error and not a leak.
#[allow(unsafe_code)]
pub fn disable_telemetry() {
    if std::env::var_os(TELEMETRY).is_some_and(|value| value == "1") {
        return;
    }
    // Where it can be counted, it is: with a second thread nothing is set, and the library will not be loaded.
    if let Ok(threads) = std::fs::read_dir("/proc/self/task")
        && threads.count() != 1
    {
        return;
    }
    // SAFETY: changing the environment is unsound only while another thread may read it. This is called as the first thing that
    // `main` does; Rust's runtime starts no thread before `main`, no library linked into this program starts one from a
    // constructor, and on Linux the count above has just proved that there is none.
    unsafe { std::env::set_var(TELEMETRY, "1") };
}

/// An error of the runtime as ours. Its messages name nodes and files of the model, never texts.
pub(super) fn failed<R>(error: ort::Error<R>) -> EmbedError {
    EmbedError::Failed(error.message().to_owned())
}

/// Loads the library at `path`, or gives what was loaded from there before.
pub(super) fn environment(path: &Path) -> Result<Environment, EmbedError> {
    let refused = |reason: String| EmbedError::Library { path: path.to_owned(), reason };
    if std::env::var_os(TELEMETRY).is_none_or(|value| value != "1") {
        return Err(EmbedError::Telemetry);
    }
    let mut loaded = LOADED.lock();
    if let Some((from, environment)) = loaded.as_ref() {
        return if from == path {
            Ok(environment.clone())
        } else {
            Err(refused(format!("another copy is in use already, from {}", from.display())))
        };
    }
    let environment = ort::init_from(path)
        .map_err(|error| refused(error.to_string()))?
        .with_name("strongroom")
        .with_telemetry(false)
        .build()
        .map_err(|error| refused(error.message().to_owned()))?;
    environment.set_log_level(ort::logging::LogLevel::Warning);
    *loaded = Some((path.to_owned(), environment.clone()));
    Ok(environment)
}

/// What a session will run on, once `Device::Auto` has been decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chosen {
    Cpu,
    Cuda,
    CoreMl,
}

impl Chosen {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::CoreMl => "coreml",
        }
    }
}

/// Decides what to run on from what was asked for and what the loaded library was built with. `Auto` never takes CoreML: it
/// runs the graph's fused operators on the CPU all the same, and pays for the borders.
pub(super) fn choose(device: Device) -> Result<Chosen, EmbedError> {
    let offers = |available: ort::Result<bool>| available.unwrap_or(false);
    match device {
        Device::Cpu => Ok(Chosen::Cpu),
        Device::Auto if offers(ep::CUDA::is_available()) => Ok(Chosen::Cuda),
        Device::Auto => Ok(Chosen::Cpu),
        Device::Cuda if offers(ep::CUDA::is_available()) => Ok(Chosen::Cuda),
        Device::CoreMl if offers(ep::CoreML::is_available()) => Ok(Chosen::CoreMl),
        Device::Cuda | Device::CoreMl => Err(EmbedError::Device {
            device: if device == Device::Cuda { "cuda" } else { "coreml" },
            reason: "the ONNX Runtime library in use was built without it".into(),
        }),
    }
}

/// How many threads one session may use, and on what.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionOptions {
    pub device: Chosen,
    pub threads: usize,
    pub memory: Memory,
}

/// What a session does with memory between two runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// Gives it back. An arena, measured, is no faster for texts of differing lengths, and keeps the longest one's memory.
    Lean,
    /// Whatever the library does by itself; for measuring against.
    Default,
}

/// A builder for sessions that spin on nothing, keep no arena, and stay within `options.threads`.
pub(super) fn session_builder(environment: &Environment, options: SessionOptions) -> Result<SessionBuilder, EmbedError> {
    Session::builder(environment)
        .map_err(failed)?
        .with_optimization_level(GraphOptimizationLevel::All)
        .map_err(failed)?
        .with_intra_threads(options.threads)
        .map_err(failed)?
        .with_inter_threads(1)
        .map_err(failed)?
        .with_intra_op_spinning(options.memory == Memory::Default)
        .map_err(failed)?
        // A pattern is kept for every length ever seen.
        .with_memory_pattern(options.memory == Memory::Default)
        .map_err(failed)?
        .with_execution_providers(providers(options.device, options.memory))
        .map_err(|error| EmbedError::Device { device: options.device.name(), reason: error.message().to_owned() })
}

/// What a session on `device` may run on, best first.
pub(super) fn providers(device: Chosen, memory: Memory) -> Vec<ep::ExecutionProviderDispatch> {
    let cpu = ep::CPU::default().with_arena_allocator(memory != Memory::Lean).build();
    match device {
        Chosen::Cpu => vec![cpu],
        Chosen::Cuda => vec![ep::CUDA::default().build().error_on_failure(), cpu],
        Chosen::CoreMl => vec![ep::CoreML::default().build().error_on_failure(), cpu],
    }
}

/// Hands the C library's free memory back to the system: it would keep all that a dropped session had allocated piece by piece.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
pub(super) fn give_memory_back() {
    // SAFETY of the declaration: this is glibc's own signature, `int malloc_trim(size_t)`; the function takes no pointer, and
    // its manual page lists it as safe to call from any thread.
    unsafe extern "C" {
        safe fn malloc_trim(pad: usize) -> std::ffi::c_int;
    }
    malloc_trim(0);
}

/// Other C libraries hand it back by themselves, or can't be asked to.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn give_memory_back() {}
