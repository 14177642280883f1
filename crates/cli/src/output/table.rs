//! Tables as kubectl writes them: capitals on top, columns three spaces apart, nothing at a line's end.

use super::style::{Palette, Tone, one_line};

/// The space between two columns.
const GAP: usize = 3;

/// A table that grows by rows.
pub(crate) struct Table {
    rows: Vec<Vec<Cell>>,
}

/// A field of a table.
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A field in a colour.
    pub(crate) fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: one_line(&text.into()).into_owned(), tone }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::toned(text, Tone::Plain)
    }
}

impl Table {
    /// A table with the names of its columns.
    pub(crate) fn new<const N: usize>(columns: [&str; N]) -> Self {
        Self { rows: vec![columns.map(|name| Cell::toned(name, Tone::Heading)).into()] }
    }

    /// A table whose columns need no names.
    pub(crate) fn without_head() -> Self {
        Self { rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.rows.push(cells.into());
    }

    /// Adds a column in front of all others.
    pub(crate) fn prepend(&mut self, name: &str, fields: impl IntoIterator<Item = String>) {
        let head = Cell::toned(name, Tone::Heading);
        for (row, cell) in self.rows.iter_mut().zip(std::iter::once(head).chain(fields.into_iter().map(Cell::from))) {
            row.insert(0, cell);
        }
    }

    /// The table as lines, each after `indent`.
    pub(crate) fn render(&self, palette: Palette, indent: &str) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column| self.rows.iter().filter_map(|row| row.get(column)).map(Cell::width).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = indent.to_owned();
            let mut owed = 0;
            for (cell, width) in row.iter().zip(&widths) {
                if !cell.text.is_empty() {
                    line.extend(std::iter::repeat_n(' ', owed));
                    line.push_str(&palette.paint(cell.tone, &cell.text));
                    owed = 0;
                }
                owed += width - cell.width().min(*width) + GAP;
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

impl Cell {
    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

#[cfg(test)]
mod tests;
