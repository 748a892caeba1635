//! What language models were asked, in tokens: by day, collection, task and generator, here and in clouds, with a trail of each task.
//!
//! Both sides are counted by one tokenizer, so that the share that stayed here is a share of the same thing. What the servers
//! report is kept beside it. No text is kept: a trail holds ids, places and numbers.

mod money;
mod store;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use strongroom_ingest::model::{CollectionId, Reach};

pub use money::{Bill, Prices, bills};
use store::Store;

/// Names the tokenizer that counts both sides.
pub const TOKENIZER: &str = "BERT word pieces, uncased English";

/// Why usage could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("usage can't be counted: {0}")]
pub struct UsageError(#[from] rusqlite::Error);

/// Where a model computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// On this machine or an allowed private address.
    Local,
    /// Somewhere else.
    Cloud,
}

impl Place {
    /// `local` or `cloud`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Cloud => "cloud",
        }
    }
}

/// Tokens in and out of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// In prompts.
    pub prompt: u64,
    /// In what it wrote.
    pub completion: u64,
}

impl Tokens {
    /// Both together.
    pub fn all(self) -> u64 {
        self.prompt + self.completion
    }

    fn add(&mut self, other: Self) {
        self.prompt += other.prompt;
        self.completion += other.completion;
    }
}

/// One task that a model did.
#[derive(Clone, Debug)]
pub struct Spent<'a> {
    /// When it ended.
    pub at: Timestamp,
    /// The collections that it was about; its tokens are shared among them.
    pub collections: &'a [CollectionId],
    /// What kind of task.
    pub task: &'static str,
    /// The generator's name in the configuration.
    pub generator: &'a str,
    /// Where it computes.
    pub place: Place,
    /// By our tokenizer.
    pub tokens: Tokens,
    /// As its server says.
    pub reported: Tokens,
    /// How long it was at it.
    pub busy: Duration,
    /// What the task was done from and by what.
    pub trail: Option<&'a Trail>,
}

/// What a task was done from and by what: places and numbers, no text and no names of documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    /// Names the task; nobody can guess it.
    pub id: String,
    /// When it ended, as RFC 3339 in UTC.
    pub at: String,
    /// What kind of task it was.
    pub task: String,
    /// The generator's name in the configuration.
    pub generator: String,
    /// Its model.
    pub model: String,
    /// The weights, as `sha256:…`, where they are known.
    pub digest: Option<String>,
    /// Address and port that it was asked at; none for the built-in one.
    pub endpoint: Option<String>,
    /// Whether it ran here.
    pub local: bool,
    /// What it was shown of documents.
    pub spans: Vec<TrailSpan>,
    /// Passages that it was not shown, for they did not fit.
    pub left_out: usize,
    /// Times that the model was asked.
    pub calls: u32,
    /// Whether a result that did not keep to its schema was repaired.
    pub repaired: bool,
    /// By our tokenizer.
    pub tokens: Tokens,
    /// As its server says.
    pub reported: Tokens,
    /// From the question to the end.
    pub took: Duration,
    /// How long the generator was at it.
    pub generating: Duration,
    /// From asking the generator to its first words; none where it gave none.
    pub first_token: Option<Duration>,
}

/// A slice of a version of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrailSpan {
    /// The collection's id.
    pub collection: String,
    /// The document's id.
    pub document: String,
    /// The version.
    pub version: u64,
    /// Its first character in the text.
    pub start: u64,
    /// One past its last.
    pub end: u64,
}

/// Sums of one day, collection, task and generator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The day, in UTC.
    pub day: Date,
    /// The collection, by id.
    pub collection: CollectionId,
    /// What kind of task.
    pub task: String,
    /// The generator's name in the configuration.
    pub generator: String,
    /// Where it computes.
    pub place: Place,
    /// Tasks done.
    pub tasks: u64,
    /// By our tokenizer.
    pub tokens: Tokens,
    /// As its server says.
    pub reported: Tokens,
    /// How long it was at it.
    pub busy: Duration,
}

impl Row {
    /// Adds what another row counts.
    pub fn add(&mut self, other: &Self) {
        self.tasks += other.tasks;
        self.tokens.add(other.tokens);
        self.reported.add(other.reported);
        self.busy += other.busy;
    }
}

/// Keeps count. Cheap to clone; every method may wait for the disk.
#[derive(Clone)]
pub struct Meter(Arc<Store>);

impl Meter {
    /// Opens what was counted in a data folder. Trails that are past their time go.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn open(data: &Path) -> Result<Self, UsageError> {
        let store = Store::open(&data.join("strongroom.db"))?;
        store.forget_old_trails(Timestamp::now())?;
        Ok(Self(Arc::new(store)))
    }

    /// An id that nobody can guess: 32 hexadecimal digits.
    pub fn new_id() -> String {
        let mut bytes = [0; 16];
        // Where a system has no random bytes there are no keys either, and nobody to guess.
        let _ = rustls::crypto::ring::default_provider().secure_random.fill(&mut bytes);
        format!("{:032x}", u128::from_ne_bytes(bytes))
    }

    /// Counts a task, and keeps its trail.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn count(&self, spent: &Spent<'_>) -> Result<(), UsageError> {
        self.0.add(spent)
    }

    /// What was counted from one day to another, both included, for the collections within reach; in the order of days.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn rows(&self, reach: &Reach, from: Date, to: Date) -> Result<Vec<Row>, UsageError> {
        let mut rows = self.0.rows(from, to)?;
        rows.retain(|row| reach.allows(row.collection));
        Ok(rows)
    }

    /// The trail of a task, if it is still kept and all that it was about is within reach.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn trail(&self, reach: &Reach, id: &str) -> Result<Option<Trail>, UsageError> {
        let found = self.0.trail(id)?;
        Ok(found.filter(|(about, _)| about.iter().all(|id| reach.allows(*id))).map(|(_, trail)| trail))
    }

    /// Drops the trails of a collection that is destroyed, and every trace of its id. Its sums go to those of all that were.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn forget(&self, collection: CollectionId) -> Result<(), UsageError> {
        self.0.forget(collection)
    }
}

/// Which share of all tokens stayed here, 0 to 1; none where there were none.
pub fn local_share(rows: &[Row]) -> Option<f64> {
    let sum = |place| rows.iter().filter(|row| row.place == place).map(|row| row.tokens.all()).sum::<u64>();
    let (local, cloud) = (sum(Place::Local), sum(Place::Cloud));
    (local + cloud > 0).then(|| local as f64 / (local + cloud) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(collections: &[CollectionId], place: Place, prompt: u64) -> Spent<'_> {
        Spent {
            at: "2026-03-01T23:59:59Z".parse().unwrap(),
            collections,
            task: "ask",
            generator: "small",
            place,
            tokens: Tokens { prompt, completion: 5 },
            reported: Tokens { prompt: 2 * prompt, completion: 10 },
            busy: Duration::from_millis(1500),
            trail: None,
        }
    }

    fn trail(id: &str) -> Trail {
        Trail {
            id: id.to_owned(),
            at: Timestamp::UNIX_EPOCH.to_string(),
            task: "ask".into(),
            generator: "small".into(),
            model: "tiny".into(),
            digest: None,
            endpoint: None,
            local: true,
            spans: vec![TrailSpan { collection: "c".into(), document: "d".into(), version: 3, start: 1, end: 2 }],
            left_out: 0,
            calls: 1,
            repaired: false,
            tokens: Tokens::default(),
            reported: Tokens::default(),
            took: Duration::from_millis(12),
            generating: Duration::from_millis(11),
            first_token: None,
        }
    }

    fn all(meter: &Meter, reach: &Reach) -> Vec<Row> {
        meter.rows(reach, "2026-01-01".parse().unwrap(), "2026-12-31".parse().unwrap()).unwrap()
    }

    #[test]
    fn tokens_add_up_by_day_and_are_shared_without_loss() {
        let home = tempfile::tempdir().unwrap();
        let meter = Meter::open(home.path()).unwrap();
        let (one, two) = (CollectionId(1), CollectionId(2));
        meter.count(&spent(&[one], Place::Local, 100)).unwrap();
        meter.count(&spent(&[one, two], Place::Local, 101)).unwrap();
        meter.count(&spent(&[two], Place::Cloud, 10)).unwrap();
        let rows = all(&meter, &Reach::All);
        assert_eq!(rows.iter().map(|row| row.tokens.prompt).sum::<u64>(), 211);
        assert_eq!(rows.iter().map(|row| row.reported.completion).sum::<u64>(), 30);
        assert_eq!(rows.iter().map(|row| row.busy).sum::<Duration>(), Duration::from_millis(4500));
        let of_one = rows.iter().find(|row| row.collection == one).unwrap();
        assert_eq!((of_one.tasks, of_one.tokens.prompt, of_one.day.to_string().as_str()), (2, 151, "2026-03-01"));
        let share = local_share(&rows).unwrap();
        assert!((share - 211.0 / 226.0).abs() < 1e-9, "{share}");
        assert_eq!(local_share(&[]), None);
        assert!(all(&meter, &Reach::Only([two].into())).iter().all(|row| row.collection == two));
    }

    #[test]
    fn a_trail_is_there_for_those_who_see_all_of_it_until_its_collection_goes() {
        let home = tempfile::tempdir().unwrap();
        let meter = Meter::open(home.path()).unwrap();
        let (one, two) = (CollectionId(1), CollectionId(2));
        let both = [one, two];
        let now = Timestamp::now();
        let trail = trail("t1");
        meter.count(&Spent { at: now, trail: Some(&trail), ..spent(&both, Place::Local, 1) }).unwrap();
        meter
            .count(&Spent { trail: Some(&Trail { id: "old".into(), ..trail.clone() }), ..spent(&both, Place::Local, 1) })
            .unwrap();
        assert_eq!(meter.trail(&Reach::All, "t1").unwrap(), Some(trail));
        assert_eq!(meter.trail(&Reach::Only([one].into()), "t1").unwrap(), None);
        assert_eq!(meter.trail(&Reach::All, "t2").unwrap(), None);
        let again = Meter::open(home.path()).unwrap();
        assert_eq!(again.trail(&Reach::All, "old").unwrap(), None);
        again.forget(two).unwrap();
        assert_eq!(again.trail(&Reach::All, "t1").unwrap(), None);
        let rows = all(&again, &Reach::All);
        assert!(rows.len() == 4 && rows.iter().all(|row| row.collection != two));
        again.forget(one).unwrap();
        let rows = all(&again, &Reach::All);
        assert_eq!((rows.len(), rows[1].tasks, rows[1].tokens.prompt), (2, 2, 1));
    }
}
