use drover_api::report::Artifact;

use super::choose;

fn stored() -> Vec<Artifact> {
    ["a", "b"].map(|name| Artifact { name: name.to_owned(), size: 0, sha256: String::new() }).into()
}

fn chosen(names: &[&str]) -> Result<Vec<String>, String> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    match choose(&stored(), &names, "tidy -n team") {
        Ok(artifacts) => Ok(artifacts.iter().map(|artifact| artifact.name.clone()).collect()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn all_are_meant_unless_some_are_named() {
    assert_eq!(chosen(&[]).unwrap(), ["a", "b"]);
    assert_eq!(chosen(&["b"]).unwrap(), ["b"]);
    assert_eq!(
        chosen(&["c"]).unwrap_err(),
        "there is no artifact \"c\": see kubectl drover artifacts list tidy -n team"
    );
}

#[test]
fn none_at_all_is_an_error() {
    let error = choose(&[], &[], "tidy -n team").unwrap_err().to_string();
    assert_eq!(error, "there are no artifacts to fetch: see kubectl drover status tidy -n team");
}
