use axum::http::HeaderValue;

use super::*;

#[test]
fn the_checksum_is_found_among_others() {
    let good = format!("sha-256=:{}:", STANDARD.encode([7; 32]));
    let find = |value: &str| {
        announced(&HeaderMap::from_iter([("content-digest".parse().unwrap(), HeaderValue::from_str(value).unwrap())]))
            .ok()
    };
    let digest = Some(Digest::from_bytes([7; 32]));
    for value in [
        good.clone(),
        format!("sha-512=:AAAA:, {good}"),
        format!("{good};a=b"),
        format!("sha-256=:{}:,{good}", STANDARD.encode([8; 32])),
    ] {
        assert_eq!(find(&value), digest, "{value}");
    }
    for value in
        ["", "sha-256=AAAA", "sha-256=:AAAA:", "sha-256=:!:", &good[..20], &good.to_uppercase(), &format!("{good}x")]
    {
        assert_eq!(find(value), None, "{value}");
    }
    assert!(announced(&HeaderMap::new()).is_err());
}
