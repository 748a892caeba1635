//! Times and sizes as people write them: `5m`, `1GiB`.

use std::time::Duration;

const TIMES: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const SIZES: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Reads a whole number and a unit: `250ms`, `30s`, `5m`, `6h`, `1d`.
///
/// # Errors
/// What is wrong, with an example.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let millis = parse(text, &TIMES)
        .ok_or_else(|| format!("{text:?} is not a time: write a whole number and ms, s, m, h or d, such as \"5m\""))?;
    Ok(Duration::from_millis(millis))
}

/// Reads a whole number and a unit: `512MiB`, `1GB`, `4096B`. Bytes.
///
/// # Errors
/// What is wrong, with an example.
pub fn parse_size(text: &str) -> Result<u64, String> {
    parse(text, &SIZES).ok_or_else(|| {
        format!("{text:?} is not a size: write a whole number and B, kB, MB, GB, TB, KiB, MiB, GiB or TiB, such as \"1GiB\"")
    })
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let unit = text[digits..].trim_start();
    let (_, factor) = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.checked_mul(*factor)
}

/// Writes a time for people, in its two largest units: `2h 5m`, `40s`.
pub fn format_duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

/// Writes a size for people: `1.5 GiB`.
pub fn format_size(bytes: u64) -> String {
    for (name, factor) in [("TiB", 1u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= factor {
            #[allow(clippy::cast_precision_loss, reason = "one decimal is shown")]
            let number = bytes as f64 / factor as f64;
            return format!("{number:.1} {name}");
        }
    }
    format!("{bytes} B")
}
