//! Lines that belong beneath other lines.

/// A line, and what belongs to it.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    line: String,
    branches: Vec<Self>,
}

impl Tree {
    /// A line with nothing beneath it yet.
    pub(crate) fn new(line: impl Into<String>) -> Self {
        Self { line: line.into(), branches: Vec::new() }
    }

    /// Adds a line beneath.
    pub(crate) fn line(&mut self, line: impl Into<String>) {
        self.branches.push(Self::new(line));
    }

    /// Adds each line of a text beneath.
    pub(crate) fn lines(mut self, text: &str) -> Self {
        self.branches.extend(text.lines().map(Self::new));
        self
    }

    /// Adds a line with what belongs to it beneath, if there is anything.
    pub(crate) fn branch(&mut self, branch: Self) {
        if !branch.branches.is_empty() {
            self.branches.push(branch);
        }
    }

    /// The tree as text.
    pub(crate) fn render(&self) -> String {
        let mut text = format!("{}\n", self.line);
        self.render_branches("", &mut text);
        text
    }

    fn render_branches(&self, margin: &str, text: &mut String) {
        for (place, branch) in self.branches.iter().enumerate() {
            let last = place + 1 == self.branches.len();
            let (knot, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            text.push_str(&format!("{margin}{knot}{}\n", branch.line));
            branch.render_branches(&format!("{margin}{below}"), text);
        }
    }
}

#[cfg(test)]
mod tests;
