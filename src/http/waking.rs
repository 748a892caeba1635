//! How often local models were woken and how long they were awake, as metrics. Labels are names of the configuration.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

use super::metrics::raise;
use crate::answer::Roster;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct GeneratorLabel {
    generator: String,
}

type Seconds = Counter<f64, AtomicU64>;

/// The counters.
#[derive(Default)]
pub(super) struct Waking {
    wakes: Family<GeneratorLabel, Counter>,
    awake: Family<GeneratorLabel, Seconds>,
    waited: Family<GeneratorLabel, Seconds>,
}

impl Waking {
    pub fn register(&self, ours: &mut Registry) {
        ours.register("generator_wakes", "How often a generator was woken", self.wakes.clone());
        let help = "Time that a generator's machine was seen awake";
        ours.register_with_unit("generator_awake", help, Unit::Seconds, self.awake.clone());
        let help = "Time that questions waited for a generator to wake";
        ours.register_with_unit("generator_waited", help, Unit::Seconds, self.waited.clone());
    }

    /// Takes over what was counted. Two calls at once would add the same difference twice.
    pub fn take(&self, roster: &Roster) {
        for (generator, awake) in roster.awake() {
            let label = GeneratorLabel { generator };
            raise(&self.wakes.get_or_create(&label), awake.wakes);
            raise_seconds(&self.awake.get_or_create(&label), awake.awake.as_secs_f64());
            raise_seconds(&self.waited.get_or_create(&label), awake.waited.as_secs_f64());
        }
    }
}

fn raise_seconds(counter: &Seconds, total: f64) {
    counter.inc_by((total - counter.get()).max(0.0));
}
