use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_leaf_is_due_before_it_ends() {
    let now = at("2026-03-04T05:06:07Z");
    let authority = authority(now).unwrap();
    let wanted = names(&["drover-gateway.drover-system.svc", "localhost", "10.0.0.5", "fd00::1"]);
    let leaf = leaf(&authority, &wanted, now).unwrap();
    assert!(is_usable(&leaf) && is_usable(&authority));
    assert_eq!(due(&leaf, &authority, &wanted), Some(at("2026-03-24T00:00:00Z")));
}

#[test]
fn a_leaf_of_another_authority_or_for_other_names_is_of_no_use() {
    let now = at("2026-03-04T05:06:07Z");
    let (ours, theirs) = (authority(now).unwrap(), authority(now).unwrap());
    let leaf = leaf(&ours, &names(&["a"]), now).unwrap();
    assert_eq!(due(&leaf, &theirs, &names(&["a"])), None);
    assert_eq!(due(&leaf, &ours, &names(&["a", "b"])), None);
}

#[test]
fn what_is_no_certificate_is_not_usable() {
    let good = authority(at("2026-03-04T05:06:07Z")).unwrap();
    assert!(!is_usable(&Pair { certificate: String::new(), key: good.key.clone() }));
    assert!(!is_usable(&Pair { certificate: good.certificate.clone(), key: "x".to_owned() }));
}
