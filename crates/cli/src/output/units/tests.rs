use jiff::SignedDuration;

use super::{duration, size};

#[test]
fn durations_are_short() {
    let of = |seconds| duration(SignedDuration::from_secs(seconds));
    let cases = [
        (-5, "0s"),
        (0, "0s"),
        (59, "59s"),
        (60, "1m"),
        (200, "3m20s"),
        (665, "11m"),
        (3600, "1h"),
        (9_000, "2h30m"),
        (86_399, "23h"),
        (90_000, "1d1h"),
        (86_400 * 400, "400d"),
    ];
    for (seconds, text) in cases {
        assert_eq!(of(seconds), text, "{seconds} s");
    }
}

#[test]
fn sizes_have_units() {
    let cases = [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1024 * 1024 - 1, "1.0 MiB"),
        (3 << 30, "3.0 GiB"),
    ];
    for (bytes, text) in cases {
        assert_eq!(size(bytes), text);
    }
}
