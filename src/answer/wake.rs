//! Wakes the machine of a local model by Wake-on-LAN's magic packet, holds the question until the model is ready, and has the
//! machine told to sleep again once nobody asks.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::attest::{Attestor, Reached};
use super::sleep::SleepOptions;
use super::{GeneratorError, Held};
use crate::egress::Egress;

/// Time between two looks whether it is ready.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Time between two packets: the first may come while a machine is still falling asleep, and none is acknowledged.
const SEND_EVERY: Duration = Duration::from_secs(5);
/// How long a machine that was told to sleep may take until nothing answers there any more.
const FALLS_ASLEEP: Duration = Duration::from_secs(10);
/// How often a sleep command that fails is tried again.
const TRIES: u32 = 3;

/// How a model is woken.
#[derive(Clone)]
pub struct WakeOptions {
    /// What sleeps. Models on one machine share one of these.
    pub machine: Arc<Machine>,
    /// How long a question waits for it.
    pub within: Duration,
}

/// A machine that sleeps.
pub struct Machine {
    mac: [u8; 6],
    address: SocketAddr,
    sleep: Option<SleepOptions>,
    /// Held by whoever wakes it or puts it to sleep.
    one: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

/// How often a model was woken and how long it was awake, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Awake {
    /// How often it became ready after a packet.
    pub wakes: u64,
    /// How long its machine was awake, as far as was seen: from when a question found it ready until the sleep command, or until it
    /// was last seen before it was found asleep.
    pub awake: Duration,
    /// How long questions waited for it, all together; also those that gave up.
    pub waited: Duration,
}

#[derive(Default)]
struct State {
    /// Requests under way.
    users: usize,
    /// When the last of them ended, or the last packet left.
    used: Option<Instant>,
    /// Whether we woke it, and it was not found asleep since.
    woken: bool,
    /// Whether somebody waits for it to be idle.
    watched: bool,
    /// Whether it is being put to sleep.
    falling: bool,
    /// Since when it is ready.
    since: Option<Instant>,
    /// When it was last seen ready.
    seen: Option<Instant>,
    /// How long it was awake before.
    awake: Duration,
}

impl State {
    fn awake(&self) -> Duration {
        let now = self.since.zip(self.seen).map(|(since, seen)| seen.saturating_duration_since(since));
        self.awake + now.unwrap_or_default()
    }

    fn ends(&mut self) {
        self.awake = self.awake();
        if self.since.take().is_some() {
            self.woken = false;
        }
    }
}

impl Machine {
    /// A machine with that hardware address; packets for it are sent to `address`.
    pub fn new(mac: [u8; 6], address: SocketAddr, sleep: Option<SleepOptions>) -> Arc<Self> {
        Arc::new(Self { mac, address, sleep, one: tokio::sync::Mutex::default(), state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes one model.
pub(super) struct Waker {
    name: String,
    options: WakeOptions,
    attestor: Arc<Attestor>,
    egress: Egress,
    /// Its own wakes and waits.
    counts: Mutex<(u64, Duration)>,
}

/// Somebody uses the machine: meanwhile it is not put to sleep.
pub(super) struct InUse(Arc<Machine>);

impl Drop for InUse {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.users -= 1;
        let now = Instant::now();
        state.used = Some(now);
        if state.since.is_some() {
            state.seen = Some(now);
        }
    }
}

/// A question that waits; counted when it ends, however it ends.
struct Waits<'a>(&'a Waker, Instant);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.counts().1 += self.1.elapsed();
    }
}

impl Waker {
    pub fn new(name: String, options: WakeOptions, attestor: Arc<Attestor>, egress: Egress) -> Arc<Self> {
        Arc::new(Self { name, options, attestor, egress, counts: Mutex::default() })
    }

    fn counts(&self) -> MutexGuard<'_, (u64, Duration)> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was counted.
    pub fn awake(&self) -> Awake {
        let awake = self.options.machine.state().awake();
        let (wakes, waited) = *self.counts();
        Awake { wakes, awake, waited }
    }

    /// Says that its machine is in use. Where it is just falling asleep, that is waited for: it could be gone in mid-answer.
    pub async fn enter(&self) -> InUse {
        let machine = &self.options.machine;
        loop {
            {
                let mut state = machine.state();
                if !state.falling {
                    state.users += 1;
                    return InUse(Arc::clone(machine));
                }
            }
            drop(machine.one.lock().await);
        }
    }

    /// Finds out what the model is now, as [`Attestor::attest`] does. Where it sleeps it is woken, and waited for up to the limit.
    /// Dropping this gives up.
    pub async fn attest(self: &Arc<Self>, tell: &mut dyn FnMut(Held, Duration)) -> Result<Reached, GeneratorError> {
        let begun = Instant::now();
        let found = self.attestor.attest().await;
        if !self.saw(&found, 1) {
            return found;
        }
        let waits = Waits(self, begun);
        // Finding that nobody answers takes a while of its own.
        let deadline = Instant::now() + self.options.within;
        tell(Held::Waking, begun.elapsed());
        // One wakes it; whoever comes meanwhile waits for the same.
        let mut one = Box::pin(self.options.machine.one.lock());
        let mut asleep = matches!(found, Err(GeneratorError::Unreachable(_)));
        let _one = loop {
            match timeout(LOOK_EVERY, &mut one).await {
                Ok(one) => break one,
                Err(_) if Instant::now() >= deadline => return Err(self.too_late()),
                Err(_) => {
                    // It may be awake by then.
                    asleep = false;
                    tell(Held::Waking, begun.elapsed());
                }
            }
        };
        let mut sent: Option<Instant> = None;
        loop {
            if asleep && sent.is_none_or(|sent| sent.elapsed() >= SEND_EVERY) {
                self.send().await?;
                sent = Some(Instant::now());
            }
            let Ok(found) = timeout_at(deadline, self.attestor.attest()).await else { break };
            if !self.saw(&found, 1) {
                if found.is_ok() && sent.is_some() {
                    tracing::info!(generator = self.name, seconds = waits.1.elapsed().as_secs(), "a local model was woken");
                }
                return found;
            }
            asleep = matches!(found, Err(GeneratorError::Unreachable(_)));
            if asleep && sent.is_none() {
                continue;
            }
            tell(Held::Waking, begun.elapsed());
            if timeout_at(deadline, sleep(LOOK_EVERY)).await.is_err() {
                break;
            }
        }
        Err(self.too_late())
    }

    /// Takes in what was found out by somebody who counts as so many users. True where it sleeps, or still loads its model.
    pub fn saw(&self, found: &Result<Reached, GeneratorError>, users: usize) -> bool {
        let mut state = self.options.machine.state();
        match found {
            Err(GeneratorError::Unreachable(_)) => {
                // While it works for others it may be too busy to say what it is.
                if state.users <= users {
                    state.ends();
                }
                true
            }
            Err(GeneratorError::Loading) => true,
            // Even one that is refused has been woken.
            _ => {
                let now = Instant::now();
                if state.since.is_none() {
                    state.since = Some(now);
                    if state.woken {
                        self.counts().0 += 1;
                    }
                }
                state.seen = Some(now);
                false
            }
        }
    }

    fn too_late(&self) -> GeneratorError {
        let seconds = self.options.within.as_secs();
        GeneratorError::Unreachable(format!("its machine was woken, and it was not ready within {seconds} s"))
    }

    /// Sends the magic packet, and sees to it that the machine sleeps again.
    async fn send(self: &Arc<Self>) -> Result<(), GeneratorError> {
        let machine = &self.options.machine;
        let sent = self.egress.datagram("wake", machine.address, &magic(machine.mac)).await;
        sent.map_err(|error| GeneratorError::Unreachable(format!("it sleeps, and no packet could be sent to it: {error}")))?;
        let mut state = machine.state();
        state.woken = true;
        state.used = Some(Instant::now());
        if machine.sleep.is_some() && !state.watched {
            state.watched = true;
            tokio::spawn(Arc::clone(self).put_to_sleep());
        }
        Ok(())
    }

    /// Waits until nobody has used the machine for long enough, then has it told to sleep. Ends with that, or when it sleeps by
    /// itself.
    async fn put_to_sleep(self: Arc<Self>) {
        let machine = &self.options.machine;
        let Some(options) = &machine.sleep else { return };
        let mut tries = 0;
        loop {
            let now = Instant::now();
            let idle_at = {
                let mut state = machine.state();
                if !state.woken || tries == TRIES {
                    (state.watched, state.woken) = (false, false);
                    return;
                }
                if state.users > 0 { now + options.after } else { state.used.unwrap_or(now) + options.after }
            };
            if idle_at > now {
                sleep_until(idle_at).await;
                continue;
            }
            let _one = machine.one.lock().await;
            {
                let mut state = machine.state();
                if state.users > 0 || state.used.is_some_and(|used| used.elapsed() < options.after) {
                    continue;
                }
                state.falling = true;
            }
            let _falling = Falling(machine);
            tries += 1;
            let found = self.attestor.attest().await;
            self.saw(&found, 0);
            if matches!(found, Err(GeneratorError::Unreachable(_))) {
                // It sleeps already, or never woke.
                machine.state().woken = false;
                continue;
            }
            let told = options.run().await;
            let slept = self.sleeps().await;
            let mut state = machine.state();
            match told {
                Err(why) if !slept => {
                    tracing::warn!(generator = self.name, why, "the command that puts a local model's machine to sleep failed");
                    state.used = Some(Instant::now());
                }
                _ => {
                    tracing::info!(generator = self.name, "a local model's machine was put to sleep");
                    state.ends();
                    state.woken = false;
                }
            }
        }
    }

    /// Waits until nothing answers there any more; false where something still does.
    async fn sleeps(&self) -> bool {
        let deadline = Instant::now() + FALLS_ASLEEP;
        while Instant::now() < deadline {
            if matches!(self.attestor.attest().await, Err(GeneratorError::Unreachable(_))) {
                return true;
            }
            sleep(LOOK_EVERY).await;
        }
        false
    }
}

/// A machine that is being put to sleep.
struct Falling<'a>(&'a Machine);

impl Drop for Falling<'_> {
    fn drop(&mut self) {
        self.0.state().falling = false;
    }
}

/// Six times `ff`, then the address sixteen times.
fn magic(mac: [u8; 6]) -> Vec<u8> {
    [[0xff; 6]].into_iter().chain([mac; 16]).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packet_is_the_magic_one() {
        let packet = magic([1, 2, 3, 4, 5, 6]);
        assert_eq!(packet.len(), 102);
        assert_eq!(packet[..8], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2]);
        assert_eq!(packet[96..], [1, 2, 3, 4, 5, 6]);
    }
}
