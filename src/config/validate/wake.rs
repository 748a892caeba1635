//! How the machines of local models are woken and put to sleep, and how much is asked of them at once.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::models::is_private;
use super::{Faults, short};
use crate::config::parse_duration;
use crate::config::typed::TypedGenerator;
use crate::config::valid::{GeneratorKind, Sleep, Wake};

/// Bounds of the time that a question may wait for a machine.
const WITHIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15 * 60));
/// Bounds of the time that a machine is left alone before it is put to sleep.
const AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(24 * 3600));

pub(super) fn at_once(from: &TypedGenerator, faults: &mut Faults) -> usize {
    if from.at_once == 0 {
        faults.add("generator.at_once", format!("that of {:?} must be at least 1", from.name));
    }
    usize::try_from(from.at_once).unwrap_or(usize::MAX).clamp(1, 1 << 16)
}

pub(super) fn wake(from: &TypedGenerator, faults: &mut Faults) -> Option<Wake> {
    let typed = from.wake.as_ref()?;
    if from.kind == GeneratorKind::Other {
        let why = format!("{:?} is of kind `other`, which is never asked, so no question wakes it: leave it out", from.name);
        faults.add("generator.wake", why);
    }
    let mac = mac(&typed.mac);
    if mac.is_none() {
        faults.add(
            "generator.wake.mac",
            format!("{:?} is not a hardware address: write it like \"aa:bb:cc:dd:ee:ff\"", typed.mac),
        );
    }
    let address = typed.address.parse::<SocketAddr>().ok();
    match address {
        None => faults.add(
            "generator.wake.address",
            format!("{:?} is not an address and a port: write it like \"192.168.1.255:9\"", typed.address),
        ),
        Some(address) if !is_near(address.ip()) => faults.add(
            "generator.wake.address",
            format!("{address} is on the public internet: name an address of your own network, or 255.255.255.255:9"),
        ),
        Some(_) => {}
    }
    let within = time("generator.wake.within", &typed.within, WITHIN, faults);
    Some(Wake { mac: mac?, address: address?, within })
}

pub(super) fn sleep(from: &TypedGenerator, faults: &mut Faults) -> Option<Sleep> {
    let typed = from.sleep.as_ref()?;
    if typed.command.first().is_none_or(|program| program.trim().is_empty()) {
        faults.add(
            "generator.sleep.command",
            format!("that of {:?} is empty: write it like [\"ssh\", \"gpu\", \"systemctl\", \"suspend\"]", from.name),
        );
    }
    if from.wake.is_none() {
        faults.add(
            "generator.sleep",
            format!("{:?} could not be woken again: add wake = {{ mac = \"aa:bb:cc:dd:ee:ff\" }}", from.name),
        );
    }
    let after = time("generator.sleep.after", &typed.after, AFTER, faults);
    Some(Sleep { command: typed.command.clone(), after })
}

fn time(key: &str, text: &str, (least, most): (Duration, Duration), faults: &mut Faults) -> Duration {
    let time = faults.take(key, parse_duration(text), least);
    if time < least || time > most {
        faults.add(key, format!("{text:?} is out of range: from {} to {}", short(least), short(most)));
    }
    time
}

fn is_near(address: IpAddr) -> bool {
    address.is_loopback() || is_private(address) || address == IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// Six bytes, two hexadecimal digits each, with `:` or `-` between them.
fn mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = text.trim().split([':', '-']);
    for byte in &mut mac {
        let part = parts.next().filter(|part| part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses_are_six_bytes() {
        let bytes = [0xaa, 0xbb, 0xcc, 0x0d, 0xee, 0xff];
        assert_eq!(mac("aa:bb:cc:0d:ee:ff"), Some(bytes));
        assert_eq!(mac(" AA-BB-CC-0D-EE-FF"), Some(bytes));
        for wrong in
            ["", "aa:bb:cc:dd:ee", "aa:bb:cc:dd:ee:ff:00", "a:bb:cc:dd:ee:ff0", "aa:bb:cc:dd:ee:fg", "+a:bb:cc:dd:ee:ff"]
        {
            assert_eq!(mac(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_not_possible_is_told_with_the_remedy() {
        let wake = "wake = { mac = \"aa:bb:cc:dd:ee:ff\"";
        for (more, expected) in [
            ("at_once = 0".to_owned(), "`generator.at_once`: that of \"a\" must be at least 1"),
            ("wake = { mac = \"aa\" }".to_owned(), "`generator.wake.mac`: \"aa\" is not a hardware address"),
            (format!("{wake}, address = \"203.0.113.9:9\" }}"), "`generator.wake.address`: 203.0.113.9:9 is on the public"),
            (format!("{wake}, address = \"gpu:9\" }}"), "`generator.wake.address`: \"gpu:9\" is not an address and a port"),
            (format!("{wake}, within = \"1h\" }}"), "`generator.wake.within`: \"1h\" is out of range: from 1s to 15m 0s"),
            ("sleep = { command = [\"true\"] }".to_owned(), "`generator.sleep`: \"a\" could not be woken again"),
            (format!("# other\n{wake} }}"), "`generator.wake`: \"a\" is of kind `other`"),
            (format!("{wake} }}\nsleep = {{ command = [] }}"), "`generator.sleep.command`: that of \"a\" is empty"),
        ] {
            let kind = if more.starts_with('#') { "other" } else { "openai" };
            let file = format!("name = \"a\"\nkind = \"{kind}\"\nurl = \"http://[::1]/v1\"\nmodel = \"m\"\n{more}\n");
            let from: TypedGenerator = toml::from_str(&file).unwrap();
            let mut faults = Faults(Vec::new());
            at_once(&from, &mut faults);
            super::wake(&from, &mut faults);
            sleep(&from, &mut faults);
            assert_eq!(faults.0.len(), 1, "{more}: {:#?}", faults.0);
            assert!(faults.0[0].starts_with(expected), "{}", faults.0[0]);
        }
    }

    #[test]
    fn packets_go_nowhere_but_near() {
        for (address, near) in [
            ("127.0.0.1", true),
            ("255.255.255.255", true),
            ("192.168.1.255", true),
            ("100.64.0.1", true),
            ("fe80::1", true),
            ("0.0.0.0", false),
            ("203.0.113.255", false),
            ("224.0.0.1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_near(address.parse().unwrap()), near, "{address}");
        }
    }
}
