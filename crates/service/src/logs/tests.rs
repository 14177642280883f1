use super::*;

#[test]
fn the_default_is_info() {
    assert_eq!(filter(None).unwrap().to_string(), "info");
    assert_eq!(filter(Some("warn,drover_store=debug".to_owned())).unwrap().to_string(), "drover_store=debug,warn");
}

#[test]
fn a_filter_that_cannot_be_read_is_named_with_an_example() {
    let message = filter(Some("drover=loud".to_owned())).unwrap_err().to_string();
    assert!(
        message.starts_with("DROVER_LOG=\"drover=loud\" is not a log filter; write for instance info"),
        "{message}"
    );
}
