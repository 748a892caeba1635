//! Recordings to transcripts: local speech servers of two lanes, the rule that chooses between them, and nobody else. Each server is
//! attested before it hears anything, as a generator is.

mod form;
mod reply;
mod rule;
mod server;

use std::fmt;
use std::io;
use std::sync::OnceLock;

use strongroom_ingest::extract::{Audio, TranscribeError, Transcriber};
use strongroom_ingest::model::{Lane, Transcript};
use tokio::runtime::Runtime;

use crate::egress::Egress;
pub use rule::Rule;
use server::Server;
pub use server::ServerOptions;

/// The name under which all that goes to speech servers is counted.
pub const CLIENT: &str = "speech";

/// What somebody asks for beside the words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The lane; none leaves it to the rule.
    pub lane: Option<Lane>,
    /// The language that is spoken, such as `en`; none lets the server find out.
    pub language: Option<String>,
}

/// The configured speech servers.
pub struct Speech {
    servers: Vec<Server>,
    rule: Rule,
    /// For whoever asks from a thread without one.
    runtime: OnceLock<Runtime>,
}

impl Speech {
    /// The servers in the order in which those of a lane are tried; none if there are none.
    pub fn new(servers: Vec<ServerOptions>, rule: Rule, egress: &Egress) -> Option<Self> {
        let servers: Vec<Server> = servers.into_iter().map(|options| Server::new(options, egress.clone())).collect();
        (!servers.is_empty()).then(|| Self { servers, rule, runtime: OnceLock::new() })
    }

    /// Whether a server of that lane is configured.
    pub fn has(&self, lane: Lane) -> bool {
        self.servers.iter().any(|server| server.lane() == lane)
    }

    /// Writes a recording down. Dropping the future breaks it off.
    ///
    /// # Errors
    /// Whose fault it is that there is no transcript.
    pub async fn write_down(&self, audio: Audio<'_>, wish: &Wish) -> Result<Transcript, TranscribeError> {
        let (lane, chosen_by) = self.lane(wish.lane, audio.place, audio.recording.length_ms);
        let mut whys = Vec::new();
        for server in self.servers.iter().filter(|server| server.lane() == lane) {
            // The bytes can be read once: from here on it is this server or none.
            match server.attest().await {
                Ok(reached) => return server.hear(&reached, audio, wish.language.as_deref(), chosen_by).await,
                Err(error) => whys.push(format!("{}: {error}", server.name())),
            }
        }
        if whys.is_empty() {
            whys.push(format!("none is configured for the {} lane", lane.as_str()));
        }
        Err(TranscribeError::Unavailable(whys.join("; ")))
    }

    /// The lane that a recording goes to, and what chose it.
    fn lane(&self, wish: Option<Lane>, place: &str, length_ms: Option<u64>) -> (Lane, &'static str) {
        if let Some(lane) = wish {
            return (lane, "request");
        }
        let (lane, chosen_by) = match self.rule.by_folder(place) {
            Some(lane) => (lane, "folder"),
            None => (self.rule.by_length(length_ms), "length"),
        };
        let other = if lane == Lane::Fast { Lane::Accurate } else { Lane::Fast };
        if self.has(lane) { (lane, chosen_by) } else { (other, "only") }
    }

    fn runtime(&self) -> io::Result<&Runtime> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime);
        }
        let made = tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name(CLIENT).enable_all().build()?;
        Ok(self.runtime.get_or_init(|| made))
    }
}

impl Transcriber for Speech {
    fn lane_at(&self, place: &str) -> Option<Lane> {
        let choice = self.has(Lane::Fast) && self.has(Lane::Accurate);
        self.rule.by_folder(place).filter(|_| choice)
    }

    fn transcribe(&self, audio: Audio<'_>) -> Result<Transcript, TranscribeError> {
        let runtime = self.runtime().map_err(|error| TranscribeError::Unavailable(error.to_string()))?;
        runtime.block_on(self.write_down(audio, &Wish::default()))
    }
}

impl fmt::Debug for Speech {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.servers.iter().map(Server::name).collect();
        f.debug_struct("Speech").field("servers", &names).finish_non_exhaustive()
    }
}

impl Drop for Speech {
    fn drop(&mut self) {
        // The last to hold it may be a thread that must not wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn speech(lanes: &[Lane]) -> Speech {
        let server = |lane: &Lane| ServerOptions {
            name: lane.as_str().into(),
            lane: *lane,
            attest: Default::default(),
            timeout: Duration::from_secs(1),
        };
        let folder = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
        let rule = Rule {
            accurate_up_to: Duration::from_secs(60),
            accurate_folders: vec![folder("acme/court")],
            fast_folders: vec![folder("*/calls")],
        };
        Speech::new(lanes.iter().map(server).collect(), rule, &Egress::default()).unwrap()
    }

    #[test]
    fn the_request_wins_over_the_folder_and_that_over_the_length() {
        use Lane::{Accurate, Fast};
        let both = speech(&[Fast, Accurate]);
        for (wish, place, length_ms, expected) in [
            (Some(Fast), "acme/court/a.wav", Some(1), (Fast, "request")),
            (None, "acme/court/a.wav", Some(3_600_000), (Accurate, "folder")),
            (None, "bolt/calls/a.wav", Some(1), (Fast, "folder")),
            (None, "bolt/a.wav", Some(60_000), (Accurate, "length")),
            (None, "bolt/a.wav", Some(60_001), (Fast, "length")),
            (None, "", None, (Fast, "length")),
        ] {
            assert_eq!(both.lane(wish, place, length_ms), expected, "{place}");
        }
        let one = speech(&[Fast]);
        assert_eq!(one.lane(None, "acme/court/a.wav", None), (Fast, "only"));
        assert_eq!((one.lane_at("acme/court/a.wav"), both.lane_at("acme/court/a.wav")), (None, Some(Accurate)));
        assert!(Speech::new(Vec::new(), Rule::default(), &Egress::default()).is_none());
    }
}
