use super::{Cell, Palette, Table, Tone};

fn example() -> Table {
    let mut table = Table::new(["NAME", "PHASE", "NOTE"]);
    table.row(["a".into(), Cell::toned("Failed", Tone::Bad), "x\ny\u{1b}[2J".into()]);
    table.row(["longer".into(), "".into(), "z".into()]);
    table.row(["b".into(), "Running".into(), "".into()]);
    table
}

#[test]
fn columns_are_aligned_and_lines_end_clean() {
    let expected = "\
NAME     PHASE     NOTE
a        Failed    x y\u{fffd}[2J
longer             z
b        Running
";
    assert_eq!(example().render(Palette::new(false), ""), expected);
}

#[test]
fn colour_does_not_shift_columns() {
    let text = example().render(Palette::new(true), "  ");
    assert!(text.contains("\n  a        \u{1b}[31mFailed\u{1b}[0m    x y"), "{text:?}");
}

#[test]
fn a_column_can_be_put_in_front() {
    let mut table = Table::new(["NAME"]);
    table.row(["a".into()]);
    table.prepend("NAMESPACE", ["team".to_owned()]);
    assert_eq!(table.render(Palette::new(false), ""), "NAMESPACE   NAME\nteam        a\n");
}
