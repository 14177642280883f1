use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use super::*;

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn puts_the_prompt_in_within_arguments() {
    let command = expand(&strings(&["echo", "{prompt}", "a{prompt}b{prompt}"]), "hi").unwrap();
    assert_eq!(command.argv, ["echo", "hi", "ahibhi"]);
}

#[test]
fn expands_nothing_else_and_nothing_twice() {
    let template = strings(&["{}", "{promp", "{other}", "$HOME", "{{prompt}}", "{prompt}"]);
    let prompt = "{prompt} {promptFile} $(id) `id`";
    let command = expand(&template, prompt).unwrap();
    let doubled = format!("{{{prompt}}}");
    assert_eq!(command.argv, ["{}", "{promp", "{other}", "$HOME", &doubled, prompt]);
}

#[test]
fn the_file_holds_the_prompt_for_its_owner_alone_and_goes_with_the_command() {
    let command = expand(&strings(&["sh", "--file={promptFile}"]), "line\n\u{e9}").unwrap();
    let path = PathBuf::from(command.argv[1].strip_prefix("--file=").unwrap());
    assert_eq!(fs::read_to_string(&path).unwrap(), "line\n\u{e9}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    drop(command);
    assert!(!path.exists());
}

#[test]
fn no_file_is_made_unless_it_is_named() {
    assert!(expand(&strings(&["sh", "{prompt}"]), "hi").unwrap()._prompt_file.is_none());
}
