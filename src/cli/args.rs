//! The commands and flags, and the help that teaches them.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use toml::{Table, Value};

use super::CliError;
use super::scorecard::Scorecard;
use super::usage::Usage;
use crate::config::Flag;
use crate::keys::{Destination, Scopes};

const EXAMPLES: &str = "\
Examples:
  strongroom serve ~/Clients              each sub-folder becomes a collection of its own
  strongroom ask \"When can the lease be terminated?\"
  strongroom search \"notice period\" -c acme --limit 5
  strongroom status                       what is indexed, pending, unreadable and why
  strongroom coverage acme                what of a client could not be read
  strongroom doctor                       what this machine lacks, and how to get it

Commands talk to the running server of the data folder; where none runs, they open the folder themselves.
Settings come from strongroom.toml, STRONGROOM_... variables and flags, the later winning: see `strongroom config`.
Exit codes: 0 done (also when a search finds nothing), 1 an error, 2 wrong usage or configuration.";

/// A knowledge server that keeps every client's documents apart, and on this machine.
#[derive(Debug, Parser)]
#[command(name = "strongroom", version, after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct Common {
    /// Configuration file [default: ./strongroom.toml, then the user's]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder that holds all state [default: strongroom in the user's data folder]
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Print JSON instead of text for people
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch folders, index what is in them, and answer over HTTP
    Serve(Serve),
    /// Find passages
    Search(Search),
    /// Answer a question from the documents, with citations
    Ask(Ask),
    /// Show what is indexed, pending and unreadable, and why
    Status {
        /// Only this collection, with all of its unreadable files
        collection: Option<String>,
    },
    /// List collections
    Collections,
    /// Build indexes anew from what is stored, without reading any file again
    Rebuild(Rebuild),
    /// Show what of a collection could not be read, why, and what to do about it
    Coverage {
        /// The collection
        collection: String,
    },
    /// Keep a password that opens files of a collection; it is asked for, or read from standard input
    Password {
        /// The collection
        collection: String,
        /// Only for the document at this path
        #[arg(long)]
        path: Option<String>,
        /// Forget the passwords that were given
        #[arg(long)]
        forget: bool,
    },
    /// Try again what failed or could not be read, for example after tesseract was installed
    Retry {
        /// Only this collection
        collection: Option<String>,
    },
    /// Stop taking up documents; searches go on
    Pause,
    /// Go on after `pause`
    Resume,
    /// Keep a folder searchable as one collection from now on; also takes back one that was destroyed
    Watch {
        /// The collection's name
        name: String,
        /// Its folder
        path: PathBuf,
    },
    /// Give up a watched folder that is missing: its documents go as if each had been deleted
    Forget {
        /// The collection's name
        name: String,
    },
    /// Destroy a collection and all that was derived from it. Files in watched folders stay
    Destroy {
        /// The collection's name
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Keys: who may ask, for which collections
    Keys {
        /// What to do
        #[command(subcommand)]
        action: KeyAction,
    },
    /// Show which local models answer, and why one does not
    #[command(after_help = GENERATOR_EXAMPLES)]
    Generators {
        /// Show instead what was found out about them over time, and why one was refused
        #[arg(long)]
        history: bool,
    },
    /// Embedding models: what is there, and how to get and keep it
    Models {
        /// What to do
        #[command(subcommand)]
        action: Models,
    },
    /// Show what language models were asked, how much of it stayed here, and what it cost
    Usage(Usage),
    /// Put your own tasks to each language model, and compare their answers and their speed
    Scorecard(Scorecard),
    /// Check this machine, and say what is missing and how to get it
    Doctor,
    /// Show the settings in force, and where each comes from
    Config,
}

const SERVE_EXAMPLES: &str = "\
Examples:
  strongroom serve ~/Clients                          each sub-folder is a collection
  strongroom serve --watch acme=/srv/acme             one folder, one collection
  strongroom serve --data /srv/strongroom --bind 127.0.0.1:7710
  strongroom serve                                    no folder: documents arrive over REST

Ends cleanly on Ctrl-C (SIGINT) and SIGTERM; a second Ctrl-C ends it at once, and loses nothing either.";

/// Watch folders and answer over HTTP.
#[derive(Debug, Args)]
#[command(after_help = SERVE_EXAMPLES)]
pub struct Serve {
    /// Folders whose direct sub-folders are one collection each
    #[arg(value_name = "FOLDER")]
    pub folders: Vec<PathBuf>,
    /// A folder that is one collection of this name
    #[arg(long, value_name = "NAME=PATH", value_parser = name_and_path)]
    pub watch: Vec<(String, PathBuf)>,
    /// Where to listen [default: 127.0.0.1:7710]
    #[arg(long, value_name = "ADDR:PORT")]
    pub bind: Option<String>,
    /// Processors used for indexing [default: all]
    #[arg(long, value_name = "N")]
    pub threads: Option<u32>,
    /// Embedding model: a name, or a folder
    #[arg(long)]
    pub model: Option<String>,
    /// How the built-in model computes: int8 or fp32
    #[arg(long)]
    pub precision: Option<String>,
    /// What computes embeddings: auto, cpu, cuda or coreml
    #[arg(long)]
    pub device: Option<String>,
    /// Fetch nothing: what is missing is only told
    #[arg(long)]
    pub offline: bool,
}

/// Find passages.
#[derive(Debug, Args)]
pub struct Search {
    /// What to look for; words in "quotes" must stand together
    pub query: String,
    /// Search only this collection (may be given several times)
    #[arg(short, long = "collection", value_name = "NAME")]
    pub collections: Vec<String>,
    /// Which indexes are asked
    #[arg(long, value_enum, default_value_t = Mode::Hybrid)]
    pub mode: Mode,
    /// Hits wanted, 1 to 100
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub limit: u64,
    /// Tell how each hit was ranked
    #[arg(long)]
    pub explain: bool,
}

/// Which indexes are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// By words and by meaning, fused
    Hybrid,
    /// By meaning
    Dense,
    /// By words
    Lexical,
}

impl Mode {
    /// As the API calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::Dense => "dense",
            Self::Lexical => "lexical",
        }
    }
}

/// Answer a question.
#[derive(Debug, Args)]
pub struct Ask {
    /// The question
    pub question: String,
    /// Answer only from this collection (may be given several times)
    #[arg(short, long = "collection", value_name = "NAME")]
    pub collections: Vec<String>,
}

/// Build indexes anew.
#[derive(Debug, Args)]
pub struct Rebuild {
    /// The collection
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub collection: Option<String>,
    /// Every collection
    #[arg(long)]
    pub all: bool,
    /// Move to this embedding model: a name, or a folder
    #[arg(long)]
    pub model: Option<String>,
}

const GENERATOR_EXAMPLES: &str = "\
Each [[generator]] of strongroom.toml is looked at anew, in the order in which they are tried; nothing is woken by that.
  ready        it answers questions
  asleep       the next question wakes it
  unreachable  nobody answers at its address, or it still loads its model
  refused      it is there and may not be used: other weights than the pinned ones, a cloud's model, a wrong name or key

With --history: one line for each change of endpoint, server, process, weights or isolation since the data folder was made.";

const KEY_EXAMPLES: &str = "\
Examples:
  strongroom keys create --name phone --collections acme,bolt --scopes search,read
  strongroom keys create --name openwebui --collections '*' --scopes search --destination cloud --expires 90d

The key is printed once, alone, on standard output; only its hash is kept. As soon as a key was ever made, the server asks for
one at every door. Scopes: search (search, ask), read (lists, texts, originals), ingest (put, delete), admin (everything).";

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeyAction {
    /// Make a key and print it, once
    #[command(after_help = KEY_EXAMPLES)]
    Create {
        /// What people call it
        #[arg(long)]
        name: String,
        /// Collections that it reaches, separated by commas; '*' for all, those made later too
        #[arg(long, value_name = "NAMES", value_delimiter = ',', required = true)]
        collections: Vec<String>,
        /// What it may do: search, read, ingest, admin
        #[arg(long, value_name = "SCOPES", default_value = "search,read")]
        scopes: Scopes,
        /// Where what it reads may go: local, cloud (a cloud model reads it) or unknown
        #[arg(long, value_name = "WHERE", default_value = "unknown")]
        destination: Destination,
        /// When it ends, such as 90d [default: never]
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
    },
    /// Show all keys, those that ended too
    List,
    /// End a key, by its name or id; the server stays closed even if it was the last
    Revoke {
        /// Its name or id
        key: String,
    },
    /// End a key and print another that may do the same
    Rotate {
        /// Its name or id
        key: String,
    },
}

const ARCHIVE_EXAMPLES: &str = "\
Examples:
  strongroom models archive --out /mnt/backup/models-2026      everything that `strongroom models list` shows as here
  strongroom models archive --verify /mnt/backup/models-2026   reads every file; exit code 1 if one has changed
  strongroom models import /mnt/backup/models-2026             next year, on a machine without a network

Each [[generator]] with a `file` is archived too: its weights, and the template of a running llama.cpp. All that was written is read
back before the archive counts as whole.";

/// What to do with models.
#[derive(Debug, Subcommand)]
pub enum Models {
    /// Show which models and runtime libraries are on this machine
    List,
    /// Fetch what the configured model needs
    Fetch {
        /// Another model than the configured one
        model: Option<String>,
    },
    /// Take model files and runtime libraries from a folder or an archive, for machines without a network
    Import {
        /// The folder
        folder: PathBuf,
    },
    /// Keep the models for next year: weights, tokenizer, template and runtime, with their hashes
    #[command(after_help = ARCHIVE_EXAMPLES)]
    Archive {
        /// The folder to write; one that was broken off is finished
        #[arg(long, value_name = "DIR", required_unless_present = "verify", conflicts_with = "verify")]
        out: Option<PathBuf>,
        /// Check that no byte of an archive has changed, and write nothing
        #[arg(long, value_name = "DIR")]
        verify: Option<PathBuf>,
    },
}

impl Cli {
    /// The flags that are settings, in the form that the configuration takes.
    ///
    /// # Errors
    /// When a path is not valid Unicode.
    pub fn flags(&self) -> Result<Vec<Flag>, CliError> {
        let mut flags = Vec::new();
        let mut add = |name, key, value: Value| flags.push(Flag { name, key, value });
        if let Some(data) = &self.common.data {
            add("--data", "data", text(data)?);
        }
        let Command::Serve(serve) = &self.command else {
            return Ok(flags);
        };
        if !serve.folders.is_empty() {
            let folders = serve.folders.iter().map(|folder| text(folder)).collect::<Result<_, _>>()?;
            add("FOLDER", "watch_folders", Value::Array(folders));
        }
        for (name, path) in &serve.watch {
            let mut watch = Table::new();
            watch.insert("name".into(), Value::String(name.clone()));
            watch.insert("path".into(), text(path)?);
            add("--watch", "watch", Value::Array(vec![Value::Table(watch)]));
        }
        if let Some(threads) = serve.threads {
            add("--threads", "indexing.threads", Value::Integer(threads.into()));
        }
        let texts = [
            ("--bind", "bind", &serve.bind),
            ("--model", "embedding.model", &serve.model),
            ("--precision", "embedding.precision", &serve.precision),
            ("--device", "embedding.device", &serve.device),
        ];
        for (name, key, value) in texts {
            if let Some(value) = value {
                add(name, key, Value::String(value.clone()));
            }
        }
        if serve.offline {
            add("--offline", "embedding.offline", Value::Boolean(true));
        }
        Ok(flags)
    }
}

fn text(path: &Path) -> Result<Value, CliError> {
    let valid = path.to_str().ok_or_else(|| CliError::usage(format!("{} is not valid Unicode: rename it", path.display())))?;
    Ok(Value::String(valid.to_owned()))
}

fn name_and_path(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((name.to_owned(), path.into())),
        _ => Err("write it like acme=/srv/clients/acme".to_owned()),
    }
}
