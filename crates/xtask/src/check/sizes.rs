//! Files that can be read in one go, and functions that fit on a screen.
//!
//! Clippy measures the functions of Rust (`too_many_lines`); those of Go are measured here.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// What a file aims at.
const AIM: usize = 300;
/// Where a file stops.
const CAP: usize = 500;
/// Where a file of tests stops.
const TEST_CAP: usize = 800;
/// Where a function of Go stops.
const FUNCTION_CAP: usize = 60;

/// What is too long. How many files are longer than they aim to be is printed only.
pub fn check(root: &Path, files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    let mut above_aim = 0;
    for file in files.iter().filter(|file| is_source(file)) {
        let text = fs::read_to_string(root.join(file)).with_context(|| format!("cannot read {}", file.display()))?;
        above_aim += usize::from(!is_test(file) && text.lines().count() > AIM);
        problems.extend(too_long(file, &text));
    }
    println!("{above_aim} source files are longer than the {AIM} lines that they aim at");
    Ok(problems)
}

fn too_long(file: &Path, text: &str) -> Vec<String> {
    let name = file.display();
    let (lines, cap) = (text.lines().count(), if is_test(file) { TEST_CAP } else { CAP });
    let mut problems = Vec::new();
    if lines > cap {
        problems.push(format!("{name} has {lines} lines, {cap} are the most: split it by meaning"));
    }
    if file.extension().is_some_and(|extension| extension == "go") && !is_test(file) {
        for (function, lines) in go_functions(text).filter(|(_, lines)| *lines > FUNCTION_CAP) {
            problems.push(format!("{name}: {function} has {lines} lines, {FUNCTION_CAP} are the most"));
        }
    }
    problems
}

/// The functions of a file that gofmt has formatted, each with the lines of its body.
fn go_functions(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let lines: Vec<_> = text.lines().collect();
    let starts: Vec<_> =
        (0..lines.len()).filter(|at| lines[*at].starts_with("func ") && lines[*at].ends_with('{')).collect();
    starts.into_iter().map(move |start| {
        let body = lines[start + 1..].iter().take_while(|line| **line != "}").count();
        (lines[start].trim_end_matches([' ', '{']), body)
    })
}

fn is_source(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "rs" || extension == "go")
}

/// Files of tests: `tests.rs`, whatever lies in a folder `tests`, and Go's `…_test.go`.
fn is_test(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let in_tests = file.parent().is_some_and(|folder| folder.components().any(|part| part.as_os_str() == "tests"));
    name == "tests.rs" || name.ends_with("_test.go") || (in_tests && name.ends_with(".rs"))
}

#[cfg(test)]
mod tests;
