use super::*;

fn one(text: &str) -> Frameworks {
    Frameworks::parse(&[("x".to_owned(), text.to_owned())].into())
}

#[test]
fn an_entry_is_read_with_its_defaults() {
    let frameworks = one("image: a:1\ncommand: [run, '{promptFile}']\nenv: {DEBUG: on}\n");
    let Lookup::Found(framework) = frameworks.get("x") else { panic!("{frameworks:?}") };
    assert_eq!(framework.command, ["run", "{promptFile}"]);
    assert_eq!(framework.env["DEBUG"], "on");
    assert_eq!(framework.run_as_user, None);
}

#[test]
fn an_output_of_json_lines_is_read() {
    let frameworks = one(
        "{image: a, command: [a], resumeCommand: [a, '{resumeId}'], output: {jsonLines: {text: /item/text, usage: {inputTokens: /a~1b~0}}}}",
    );
    assert!(matches!(frameworks.get("x"), Lookup::Found(_)), "{frameworks:?}");
    assert!(matches!(one("{image: a, command: [a], output: text}").get("x"), Lookup::Found(_)));
}

#[test]
fn a_bad_entry_says_why_and_spoils_no_other() {
    for text in [
        "",
        "image: a",
        "command: [a]",
        "image: a\ncommand: []",
        "image: ''\ncommand: [a]",
        "image: a\ncommand: [a]\nimgae: b",
        "{",
        "image: a\ncommand: [a]\noutput: {jsonLines: {text: result}}",
        "image: a\ncommand: [a]\noutput: {jsonLines: {usage: {inputTokens: /a~2b}}}",
        "image: a\ncommand: [a]\noutput: {jsonlines: {}}",
    ] {
        let entries = [("bad".to_owned(), text.to_owned()), ("good".to_owned(), "image: a\ncommand: [a]".to_owned())];
        let frameworks = Frameworks::parse(&entries.into());
        assert!(matches!(frameworks.get("bad"), Lookup::Invalid(why) if !why.is_empty()), "{text:?}");
        assert!(matches!(frameworks.get("good"), Lookup::Found(_)));
    }
}

#[test]
fn an_unknown_name_names_the_known_ones() {
    assert_eq!(one("image: a\ncommand: [a]").get("y"), Lookup::Unknown(vec!["x"]));
}
