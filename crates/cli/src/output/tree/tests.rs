use super::Tree;

#[test]
fn lines_hang_together() {
    let mut tree = Tree::new("root");
    tree.line("first");
    tree.branch(Tree::new("nothing beneath, so it is left out"));
    let mut middle = Tree::new("middle");
    middle.branch(Tree::new("inner").lines("a\nb\n"));
    middle.line("c");
    tree.branch(middle);
    tree.branch(Tree::new("last").lines("d"));
    let expected = "\
root
├─ first
├─ middle
│  ├─ inner
│  │  ├─ a
│  │  └─ b
│  └─ c
└─ last
   └─ d
";
    assert_eq!(tree.render(), expected);
}
