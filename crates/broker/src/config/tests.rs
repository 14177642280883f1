use super::*;

fn read(change: &[(&str, Option<&str>)]) -> Result<Config, ConfigError> {
    Config::from_env(Paths::default(), |name| {
        if let Some((_, value)) = change.iter().find(|(changed, _)| *changed == name) {
            return value.map(str::to_owned);
        }
        let value = match name {
            env::GATEWAY_URL => "https://gateway.example:8444",
            env::GATEWAY_CA => "PEM",
            env::ARTIFACTS => r#"["out/*.txt"]"#,
            env::ATTEMPT => "2",
            env::KEPT_BY => "checkpoint",
            env::MAX_CHECKPOINT_BYTES => "1048576",
            env::REPORTING_PATIENCE => "120",
            env::PREVIOUS_INTERRUPTED => "true",
            _ => return None,
        };
        Some(value.to_owned())
    })
}

#[test]
fn reads_a_whole_environment() {
    let config = read(&[]).unwrap();
    assert_eq!(config.artifacts, ["out/*.txt"]);
    assert_eq!(config.attempt, 2);
    assert_eq!(config.kept_by, KeptBy::Checkpoint { most: 1_048_576 });
    assert_eq!((config.previous_interrupted, config.reporting_patience), (true, Duration::from_secs(120)));
    assert_eq!(config.paths.socket().to_str(), Some(runner::BROKER_SOCKET));
    assert_eq!(config.paths.journal.to_str(), Some(runner::JOURNAL_DIR));
}

#[test]
fn a_claim_needs_no_bound_and_an_attempt_before_is_not_taken_for_cut_short() {
    let claim = [(env::KEPT_BY, Some("claim")), (env::MAX_CHECKPOINT_BYTES, None), (env::PREVIOUS_INTERRUPTED, None)];
    let config = read(&claim).unwrap();
    assert_eq!((config.kept_by, config.previous_interrupted), (KeptBy::Claim, false));
}

#[test]
fn names_the_variable_that_is_missing_or_wrong() {
    for name in [
        env::GATEWAY_URL,
        env::GATEWAY_CA,
        env::ARTIFACTS,
        env::ATTEMPT,
        env::KEPT_BY,
        env::MAX_CHECKPOINT_BYTES,
        env::REPORTING_PATIENCE,
    ] {
        assert_eq!(read(&[(name, None)]).unwrap_err(), ConfigError::Missing(name));
    }
    for (name, value) in [
        (env::GATEWAY_URL, "http://plain"),
        (env::GATEWAY_URL, "::"),
        (env::ARTIFACTS, "out"),
        (env::ATTEMPT, "0"),
        (env::KEPT_BY, "luck"),
        (env::MAX_CHECKPOINT_BYTES, "0"),
        (env::REPORTING_PATIENCE, "2m"),
        (env::PREVIOUS_INTERRUPTED, "yes"),
    ] {
        let error = read(&[(name, Some(value))]).unwrap_err();
        assert!(matches!(error, ConfigError::Invalid { name: wrong, .. } if wrong == name), "{error}");
    }
}
