use clap::{CommandFactory, Parser, error::ErrorKind};

use super::Cli;

fn refused(line: &str) -> ErrorKind {
    Cli::try_parse_from(line.split(' ')).expect_err(line).kind()
}

#[test]
fn is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_a_summary_and_examples() {
    fn check(command: &clap::Command) {
        let about = command.get_about().expect("a summary").to_string();
        assert!(!about.contains('\n') && !about.ends_with('.'), "{about:?}");
        let help = command.get_after_help().expect("examples").to_string();
        assert!(help.starts_with("EXAMPLES:\n"), "{help:?}");
        command.get_subcommands().filter(|c| c.get_name() != "help").for_each(check);
    }
    Cli::command().get_subcommands().for_each(check);
}

#[test]
fn flags_of_kubectl_stand_anywhere() {
    for line in ["x -n team status", "x status -n team", "x status tidy --namespace=team"] {
        let cli = Cli::try_parse_from(line.split(' ')).expect(line);
        assert_eq!(cli.cluster.namespace.as_deref(), Some("team"), "{line}");
    }
}

#[test]
fn wrong_uses_are_refused() {
    assert_eq!(refused("x run"), ErrorKind::MissingRequiredArgument);
    assert_eq!(refused("x run --prompt a --prompt-file b"), ErrorKind::ArgumentConflict);
    assert_eq!(refused("x run --prompt a --env A"), ErrorKind::ValueValidation);
    assert_eq!(refused("x run --prompt a --timeout 1d"), ErrorKind::ValueValidation);
    assert_eq!(refused("x run --prompt a --dry-run server --detach"), ErrorKind::ArgumentConflict);
    assert_eq!(refused("x status tidy -A"), ErrorKind::ArgumentConflict);
    assert_eq!(refused("x status -A -n team"), ErrorKind::ArgumentConflict);
    assert_eq!(refused("x logs tidy --after 5"), ErrorKind::ValueValidation);
    assert_eq!(refused("x logs tidy --type output"), ErrorKind::InvalidValue);
    assert_eq!(refused("x logs tidy -o yaml"), ErrorKind::InvalidValue);
    assert_eq!(refused("x run --prompt a --suspend-after 5m"), ErrorKind::MissingRequiredArgument);
    assert_eq!(refused("x run --prompt a --retry 11"), ErrorKind::ValueValidation);
    assert_eq!(refused("x message tidy"), ErrorKind::MissingRequiredArgument);
    assert_eq!(refused("x message tidy text --file f"), ErrorKind::ArgumentConflict);
    assert_eq!(refused("x cancel"), ErrorKind::MissingRequiredArgument);
    assert_eq!(refused("x completion tcsh"), ErrorKind::InvalidValue);
}
