//! What no file may hold: things left undone, tests left out, and paths of the machine that a file was written on.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A text that no file may hold, and why. Written in two halves, so that this file does not hold it.
struct Word {
    halves: [&'static str; 2],
    reason: &'static str,
}

const WORDS: [Word; 6] = [
    Word { halves: ["TO", "DO"], reason: "do it, or open an issue" },
    Word { halves: ["FIX", "ME"], reason: "fix it, or open an issue" },
    Word { halves: ["todo", "!("], reason: "write it" },
    Word { halves: ["unimplemented", "!("], reason: "write it" },
    Word { halves: ["#[ign", "ore"], reason: "a test that does not run is not a test" },
    Word { halves: ["t.Sk", "ip("], reason: "a test that does not run is not a test" },
];

/// Every place where a file holds what it may not.
pub fn check(root: &Path, files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let machine = format!("{}/", root.display());
    let mut problems = Vec::new();
    for file in files {
        let Ok(text) = String::from_utf8(fs::read(root.join(file))?) else { continue };
        problems.extend(found(file, &text, &machine));
    }
    Ok(problems)
}

fn found(file: &Path, text: &str, machine: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let place = format!("{}:{}", file.display(), number + 1);
        for Word { halves, reason } in &WORDS {
            let word = halves.concat();
            if line.contains(&word) {
                problems.push(format!("{place} says {word:?}: {reason}"));
            }
        }
        if line.contains(machine) {
            problems.push(format!("{place} names a path of this machine"));
        }
    }
    problems
}

#[cfg(test)]
mod tests;
