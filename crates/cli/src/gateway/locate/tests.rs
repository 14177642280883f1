use std::collections::BTreeMap;

use super::Location;

fn pem() -> String {
    rcgen::generate_simple_self_signed(vec!["gateway.test".to_owned()]).unwrap().cert.pem()
}

fn read(url: &str, ca: &str) -> Result<Location, String> {
    Location::read(&BTreeMap::from([("url".to_owned(), url.to_owned()), ("ca.crt".to_owned(), ca.to_owned())]))
}

#[test]
fn reads_address_and_authority() {
    let location = read("https://gateway.test:8443/drover/\n", &pem()).unwrap();
    assert_eq!((location.host.as_str(), location.port), ("gateway.test", 8443));
    assert_eq!((location.authority.as_str(), location.base_path.as_str()), ("gateway.test:8443", "/drover"));
    assert_eq!(location.url, "https://gateway.test:8443/drover");
    assert_eq!(location.authorities.len(), 1);
}

#[test]
fn takes_the_default_port_and_addresses() {
    assert_eq!(read("https://gateway.test", &pem()).unwrap().port, 443);
    let v6 = read("https://[::1]:8443", &pem()).unwrap();
    assert_eq!((v6.host.as_str(), v6.authority.as_str()), ("::1", "[::1]:8443"));
}

#[test]
fn refuses_what_cannot_be_trusted() {
    assert_eq!(read("http://gateway.test", &pem()).unwrap_err(), "\"http://gateway.test\" is not an https URL");
    assert_eq!(read("gateway.test", &pem()).unwrap_err(), "\"gateway.test\" is not an https URL");
    assert_eq!(read("https://gateway.test", "nothing").unwrap_err(), "key ca.crt does not hold a certificate in PEM");
    assert_eq!(Location::read(&BTreeMap::new()).unwrap_err(), "key url is missing");
}
