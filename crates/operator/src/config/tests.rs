use super::*;

#[test]
fn a_broker_may_not_be_more_patient_than_the_next_attempt() {
    assert_eq!(reporting_patience("2m").map(drover_api::Duration::as_secs), Ok(120));
    assert!(reporting_patience("121s").is_err_and(|why| why.contains("120 s")));
    assert!(reporting_patience("soon").is_err());
}
