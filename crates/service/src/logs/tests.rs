use super::*;

#[test]
fn the_default_is_info() {
    assert_eq!(filter(None).unwrap().to_string(), "kube_client=off,info");
    let set = |value: &str| filter(Some(value.to_owned())).unwrap().to_string();
    assert_eq!(set("warn,drover_store=debug"), "drover_store=debug,kube_client=off,warn");
    assert_eq!(set("info,kube_client=debug"), "kube_client=debug,info", "what is asked for holds");
}

#[test]
fn a_filter_that_cannot_be_read_is_named_with_an_example() {
    let message = filter(Some("drover=loud".to_owned())).unwrap_err().to_string();
    assert!(
        message.starts_with("DROVER_LOG=\"drover=loud\" is not a log filter; write for instance info"),
        "{message}"
    );
}
