use std::path::{Component, Path};

use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

use super::*;

#[test]
fn what_could_escape_is_refused() {
    for (bad, why) in [
        ("", InvalidName::Empty),
        ("/etc/passwd", InvalidName::Absolute),
        ("..", InvalidName::Part),
        ("a/../../b", InvalidName::Part),
        ("./a", InvalidName::Part),
        ("a//b", InvalidName::Part),
        ("a/", InvalidName::Part),
        ("a\0b", InvalidName::Nul),
        (&"a".repeat(MAX_ARTIFACT_NAME + 1), InvalidName::TooLong),
    ] {
        assert_eq!(bad.parse::<ArtifactName>(), Err(why), "{bad:?}");
    }
}

#[test]
fn ordinary_and_odd_names_are_taken() {
    for good in
        ["a", "out/report.html", "...", "..a", "a b/ü?#%.txt", "a\\..\\b", "\u{1}", &"x".repeat(MAX_ARTIFACT_NAME)]
    {
        assert_eq!(good.parse::<ArtifactName>().unwrap().as_str(), good);
    }
    assert_eq!("out/report.html".parse::<ArtifactName>().unwrap().file_name(), "report.html");
}

proptest! {
    #[test]
    fn an_accepted_name_stays_beneath_any_folder(text in prop::string::string_regex("[./a\\PC\\\\\0]{0,40}").unwrap()) {
        if let Ok(name) = text.parse::<ArtifactName>() {
            prop_assert_eq!(name.as_str(), &text);
            prop_assert!(Path::new(&text).components().all(|part| matches!(part, Component::Normal(_))));
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = text.parse::<ArtifactName>();
    }
}
