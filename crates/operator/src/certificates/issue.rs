//! Makes and reads certificates. Nothing is stored here.

use std::net::IpAddr;

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use x509_parser::{extensions::GeneralName, parse_x509_certificate, pem::parse_x509_pem, prelude::X509Certificate};

/// A certificate and its key, PEM.
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

const AUTHORITY_DAYS: i64 = 3650;
const LEAF_DAYS: i64 = 30;
/// How long before its end a certificate is replaced.
const RENEW_DAYS: i64 = 10;

/// A new authority.
pub(super) fn authority(now: Timestamp) -> Result<Pair, rcgen::Error> {
    let mut params = params(Vec::new(), "Drover", now, AUTHORITY_DAYS)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate()?;
    Ok(Pair { certificate: params.self_signed(&key)?.pem(), key: key.serialize_pem() })
}

/// A new certificate for a server of these names.
pub(super) fn leaf(authority: &Pair, names: &[String], now: Timestamp) -> Result<Pair, rcgen::Error> {
    let issuer = Issuer::from_ca_cert_pem(&authority.certificate, KeyPair::from_pem(&authority.key)?)?;
    let mut params = params(names.to_vec(), "drover-gateway", now, LEAF_DAYS)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    Ok(Pair { certificate: params.signed_by(&key, &issuer)?.pem(), key: key.serialize_pem() })
}

fn params(names: Vec<String>, name: &str, now: Timestamp, days: i64) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, name);
    let today = now.to_zoned(TimeZone::UTC).date();
    let day = |offset: i64| {
        let date = today.saturating_add(offset.days());
        rcgen::date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    // From the day before, for clocks that are behind.
    params.not_before = day(-1);
    params.not_after = day(days);
    Ok(params)
}

/// Whether certificate and key can be read.
pub(super) fn is_usable(pair: &Pair) -> bool {
    KeyPair::from_pem(&pair.key).is_ok() && read(&pair.certificate, |_| Some(())).is_some()
}

/// When a server's certificate is due for renewal; `None` when it is of no use, for want of a name or of the
/// authority's signature.
pub(super) fn due(pair: &Pair, authority: &Pair, names: &[String]) -> Option<Timestamp> {
    let not_after = read(&pair.certificate, |leaf| {
        let signed = read(&authority.certificate, |ca| leaf.verify_signature(Some(ca.public_key())).ok()).is_some();
        (signed && covers(leaf, names)).then(|| leaf.validity().not_after.timestamp())
    })?;
    Timestamp::from_second(not_after - RENEW_DAYS * 24 * 3600).ok()
}

fn covers(leaf: &X509Certificate<'_>, names: &[String]) -> bool {
    let alternative = leaf.subject_alternative_name().ok().flatten();
    let has = |name: &String| {
        let all = alternative.iter().flat_map(|extension| &extension.value.general_names);
        all.into_iter().any(|general| is_named(general, name))
    };
    names.iter().all(has)
}

/// Whether a name of the certificate is this one, a DNS name or an IP address.
fn is_named(general: &GeneralName<'_>, name: &str) -> bool {
    match general {
        GeneralName::DNSName(dns) => *dns == name,
        GeneralName::IPAddress(octets) => match name.parse() {
            Ok(IpAddr::V4(address)) => address.octets() == **octets,
            Ok(IpAddr::V6(address)) => address.octets() == **octets,
            Err(_) => false,
        },
        _ => false,
    }
}

fn read<T>(pem: &str, with: impl FnOnce(&X509Certificate<'_>) -> Option<T>) -> Option<T> {
    let (_, pem) = parse_x509_pem(pem.as_bytes()).ok()?;
    let (_, certificate) = parse_x509_certificate(&pem.contents).ok()?;
    with(&certificate)
}

#[cfg(test)]
mod tests;
