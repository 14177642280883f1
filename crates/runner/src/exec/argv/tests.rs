use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use super::*;

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn expanded(template: &[&str], message: &str, resume_id: &str) -> Command {
    expand(&strings(template), &Values { message, resume_id }).unwrap()
}

#[test]
fn puts_the_values_in_within_arguments() {
    let command = expanded(&["echo", "{prompt}", "a{prompt}b{prompt}", "--resume={resumeId}"], "hi", "c-1");
    assert_eq!(command.argv, ["echo", "hi", "ahibhi", "--resume=c-1"]);
    assert_eq!(expanded(&["[{resumeId}]"], "hi", "").argv, ["[]"]);
}

#[test]
fn expands_nothing_else_and_nothing_twice() {
    let template = ["{}", "{promp", "{other}", "$HOME", "{{prompt}}", "{prompt}", "{resumeId}", "{ä"];
    let message = "{prompt} {promptFile} {resumeId} $(id) `id`";
    let command = expanded(&template, message, "{prompt}");
    let doubled = format!("{{{message}}}");
    assert_eq!(command.argv, ["{}", "{promp", "{other}", "$HOME", &doubled, message, "{prompt}", "{ä"]);
}

#[test]
fn the_file_holds_the_message_for_its_owner_alone_and_goes_with_the_command() {
    let command = expanded(&["sh", "--file={promptFile}"], "line\n\u{e9}", "");
    let path = PathBuf::from(command.argv[1].strip_prefix("--file=").unwrap());
    assert_eq!(fs::read_to_string(&path).unwrap(), "line\n\u{e9}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    drop(command);
    assert!(!path.exists());
}

#[test]
fn no_file_is_made_unless_it_is_named() {
    assert!(expanded(&["sh", "{prompt}"], "hi", "")._prompt_file.is_none());
}

#[test]
fn says_where_there_is_no_room() {
    let error = |source: io::Error| ExpandError { folder: "/tmp".into(), source }.to_string();
    assert_eq!(
        error(io::ErrorKind::StorageFull.into()),
        "the message for the agent cannot be written to a file in /tmp: no storage space; earlier turns have left no \
         room there"
    );
    let denied = error(io::ErrorKind::PermissionDenied.into());
    assert_eq!(denied, "the message for the agent cannot be written to a file in /tmp: permission denied");
}
