//! The built-in model as a [`Backend`]: tokenise, look up, run the BERT graph.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use ort::environment::Environment;
use ort::session::Session;
use ort::value::TensorRef;
use sha2::{Digest, Sha256};

use super::bert::{Form, HIDDEN, Kernel, MOST_TOKENS, Table, Weights, session_model};
use super::check;
use super::embedder::Custom;
use super::runtime::{self, Chosen, Memory, SessionOptions, failed};
use super::tokens::Tokens;
use super::{BUILTIN, Backend, Device, EmbedError, EmbedOptions, Embedded, Lane, ModelSpec, Precision, Purpose};
use crate::model::Fingerprint;

/// How many texts one run carries where padding is cheaper than single runs.
const CARD_BATCH: usize = 64;

/// What every session of the built-in model shares.
pub(super) struct Shared {
    environment: Environment,
    weights: Weights,
    table: Table,
    tokens: Tokens,
}

/// What [`recipe`] needs.
pub(super) struct Builtin<'a> {
    pub environment: Environment,
    pub weights: &'a Path,
    pub tokenizer: &'a Path,
    pub precision: Precision,
    pub device: Device,
}

/// Opens the model, finds the fastest kernel that computes it rightly on this machine, and says how to make more sessions.
pub(super) fn recipe(options: &Builtin<'_>) -> Result<Custom, EmbedError> {
    // The hash of 90 MB takes longer than building the first session, so they go side by side.
    let hashing = std::thread::scope(|scope| {
        let hash = scope.spawn(|| sha256(options.weights));
        let opened = open(options);
        (hash.join(), opened)
    });
    let hash = hashing.0.map_err(|_| EmbedError::Failed("hashing the weights panicked".into()))??;
    let (shared, chosen, kernel, first) = hashing.1?;
    let fingerprint = Fingerprint(format!(
        "{BUILTIN} weights={hash} tokenizer={} pooling=mean prefix=none precision={} max_tokens={MOST_TOKENS}",
        sha256(options.tokenizer)?,
        kernel.name(),
    ));
    let shared_for_later = Arc::clone(&shared);
    Ok(Custom {
        fingerprint,
        dimension: HIDDEN,
        model_name: BUILTIN.to_owned(),
        device: chosen.name().to_owned(),
        batch: if chosen == Chosen::Cpu { 1 } else { CARD_BATCH },
        query: Some(first),
        make: Arc::new(move |_: Lane| {
            let backend: Box<dyn Backend> = Box::new(Bert::new(Arc::clone(&shared_for_later), chosen, kernel)?);
            Ok(backend)
        }),
    })
}

type Opened = (Arc<Shared>, Chosen, Kernel, Box<dyn Backend>);

/// Reads what every session needs.
pub(super) fn shared(options: &Builtin<'_>) -> Result<Arc<Shared>, EmbedError> {
    let weights = Weights::open(options.weights)?;
    Ok(Arc::new(Shared {
        environment: options.environment.clone(),
        table: Table::read(&weights)?,
        weights,
        tokens: Tokens::read(options.tokenizer, MOST_TOKENS)?,
    }))
}

fn open(options: &Builtin<'_>) -> Result<Opened, EmbedError> {
    let shared = shared(options)?;
    let chosen = runtime::choose(options.device)?;
    if chosen != Chosen::Cpu {
        match Bert::new(Arc::clone(&shared), chosen, Kernel::Fp32) {
            Ok(backend) => return Ok((shared, chosen, Kernel::Fp32, Box::new(backend))),
            // Nobody asked for this device by name; the CPU is always there.
            Err(error) if options.device == Device::Auto => {
                tracing::warn!(device = chosen.name(), %error, "the device does not start: embedding on the CPU");
            }
            Err(error) => return Err(error),
        }
    }
    let (kernel, backend) = on_cpu(&shared, options.precision)?;
    Ok((shared, Chosen::Cpu, kernel, backend))
}

/// The same model the usual way, to measure against: an fp32 graph on padded batches with a mask, over `threads` threads, with
/// the library's own defaults for all else. How many texts make a batch is up to the caller.
pub fn peer(options: &EmbedOptions) -> Result<Box<dyn Backend>, EmbedError> {
    let ModelSpec::Builtin { weights, tokenizer, precision } = &options.model else {
        return Err(EmbedError::Unknown("there is a peer of the built-in model only".into()));
    };
    let environment = runtime::environment(&options.runtime)?;
    let builtin = Builtin { environment, weights, tokenizer, precision: *precision, device: Device::Cpu };
    let session = SessionOptions { device: Chosen::Cpu, threads: options.threads, memory: Memory::Default };
    Ok(Box::new(Bert::with_form(shared(&builtin)?, session, Kernel::Fp32, Form::Batch)?))
}

/// Integers where they come out right, floats where they don't.
fn on_cpu(shared: &Arc<Shared>, precision: Precision) -> Result<(Kernel, Box<dyn Backend>), EmbedError> {
    if precision == Precision::Int8 {
        for top in [127, 63] {
            let kernel = Kernel::Int8 { top };
            let mut backend = Bert::new(Arc::clone(shared), Chosen::Cpu, kernel)?;
            let least = check::least_cosine(&mut backend)?;
            if least >= check::ENOUGH {
                return Ok((kernel, Box::new(backend)));
            }
            tracing::warn!(
                kernel = kernel.name(),
                cosine = least,
                "this processor's integer products saturate: falling back to fewer bits"
            );
        }
    }
    Ok((Kernel::Fp32, Box::new(Bert::new(Arc::clone(shared), Chosen::Cpu, Kernel::Fp32)?)))
}

/// The SHA-256 of a file, in hexadecimal.
pub(super) fn sha256(path: &Path) -> Result<String, EmbedError> {
    let unreadable = |source| EmbedError::File { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(unreadable)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0u8; 256 * 1024];
    loop {
        let length = std::io::Read::read(&mut file, &mut buffer).map_err(unreadable)?;
        if length == 0 {
            return Ok(crate::model::Sha256(hasher.finalize().into()).to_string());
        }
        hasher.update(&buffer[..length]);
    }
}

/// One session of the built-in model.
pub(super) struct Bert {
    shared: Arc<Shared>,
    session: Session,
    form: Form,
}

impl Bert {
    fn new(shared: Arc<Shared>, device: Chosen, kernel: Kernel) -> Result<Self, EmbedError> {
        let form = if device == Chosen::Cpu { Form::Single } else { Form::Batch };
        let options = SessionOptions { device, threads: 1, memory: Memory::Lean };
        Self::with_form(shared, options, kernel, form)
    }

    pub(super) fn with_form(
        shared: Arc<Shared>,
        options: SessionOptions,
        kernel: Kernel,
        form: Form,
    ) -> Result<Self, EmbedError> {
        let builder = runtime::session_builder(&shared.environment, options)?;
        let model = session_model(&shared.weights, kernel, form)?;
        let session = model.into_session(&builder).map_err(failed)?;
        Ok(Self { shared, session, form })
    }

    fn single(&mut self, ids: &[u32]) -> Result<Vec<f32>, EmbedError> {
        let mut hidden = vec![0f32; ids.len() * HIDDEN];
        self.shared.table.gather(ids, &mut hidden)?;
        let input = TensorRef::from_array_view(([1, ids.len(), HIDDEN], hidden.as_slice())).map_err(failed)?;
        let outputs = self.session.run(ort::inputs!["hidden" => input]).map_err(failed)?;
        let (_, pooled) = outputs["pooled"].try_extract_tensor::<f32>().map_err(failed)?;
        Ok(pooled.to_vec())
    }

    fn batch(&mut self, texts: &[Vec<u32>]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let width = texts.iter().map(Vec::len).max().unwrap_or(0);
        let mut hidden = vec![0f32; texts.len() * width * HIDDEN];
        let mut mask = vec![0i32; texts.len() * width];
        let mut shares = vec![0f32; texts.len() * width];
        for (row, ids) in texts.iter().enumerate() {
            let at = row * width;
            self.shared.table.gather(ids, &mut hidden[at * HIDDEN..(at + ids.len()) * HIDDEN])?;
            mask[at..at + ids.len()].fill(1);
            shares[at..at + ids.len()].fill(1.0 / ids.len() as f32);
        }
        let hidden = TensorRef::from_array_view(([texts.len(), width, HIDDEN], hidden.as_slice())).map_err(failed)?;
        let mask = TensorRef::from_array_view(([texts.len(), width], mask.as_slice())).map_err(failed)?;
        let shares = TensorRef::from_array_view(([texts.len(), 1, width], shares.as_slice())).map_err(failed)?;
        let inputs = ort::inputs!["hidden" => hidden, "mask" => mask, "shares" => shares];
        let outputs = self.session.run(inputs).map_err(failed)?;
        let (_, pooled) = outputs["pooled"].try_extract_tensor::<f32>().map_err(failed)?;
        Ok(pooled.chunks_exact(HIDDEN).map(<[f32]>::to_vec).collect())
    }
}

impl Backend for Bert {
    fn embed(&mut self, texts: &[&str], _purpose: Purpose) -> Result<Embedded, EmbedError> {
        let mut all = Vec::with_capacity(texts.len());
        let mut truncated = 0;
        for text in texts {
            let (ids, cut) = self.shared.tokens.encode(text)?;
            truncated += u64::from(cut);
            all.push(ids);
        }
        let vectors = match self.form {
            Form::Single => all.iter().map(|ids| self.single(ids)).collect::<Result<_, _>>()?,
            Form::Batch => self.batch(&all)?,
        };
        Ok(Embedded { vectors, truncated })
    }
}
