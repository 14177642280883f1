use rcgen::{CertificateParams, DnType, KeyPair};

use super::*;

fn certificate(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    change(&mut params);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

#[test]
fn a_certificate_names_a_user_and_groups() {
    let identity = of_certificate(&certificate(|params| {
        params.distinguished_name.push(DnType::CommonName, "ada");
        params.distinguished_name.push(DnType::OrganizationName, "dev");
    }));
    let identity = identity.unwrap();
    assert_eq!(
        (identity.user.as_str(), identity.groups.as_slice()),
        ("ada", ["dev", "system:authenticated"].map(str::to_owned).as_slice())
    );
}

#[test]
fn a_certificate_that_names_nobody_or_has_expired_is_worth_nothing() {
    assert_eq!(of_certificate(&certificate(|_| {})), None);
    assert_eq!(of_certificate(&certificate(|params| params.distinguished_name.push(DnType::CommonName, ""))), None);
    let expired = certificate(|params| {
        params.distinguished_name.push(DnType::CommonName, "ada");
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    assert_eq!(of_certificate(&expired), None);
    assert_eq!(of_certificate(b"nonsense"), None);
}
