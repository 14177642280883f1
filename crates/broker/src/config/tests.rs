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
    assert_eq!(config.paths.socket().to_str(), Some(runner::BROKER_SOCKET));
    assert_eq!(config.paths.journal.to_str(), Some(runner::JOURNAL_DIR));
}

#[test]
fn names_the_variable_that_is_missing_or_wrong() {
    for name in [env::GATEWAY_URL, env::GATEWAY_CA, env::ARTIFACTS, env::ATTEMPT] {
        assert_eq!(read(&[(name, None)]).unwrap_err(), ConfigError::Missing(name));
    }
    for (name, value) in
        [(env::GATEWAY_URL, "http://plain"), (env::GATEWAY_URL, "::"), (env::ARTIFACTS, "out"), (env::ATTEMPT, "0")]
    {
        let error = read(&[(name, Some(value))]).unwrap_err();
        assert!(matches!(error, ConfigError::Invalid { name: wrong, .. } if wrong == name), "{error}");
    }
}
