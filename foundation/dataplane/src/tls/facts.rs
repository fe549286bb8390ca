//! What a certificate says of itself: for whom, from when and until when.

use dozen_core::Timestamp;

use super::identity::element;
use super::pem::{CertificateFiles, fault};
use crate::Error;

/// The names in a certificate, and the time in which it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Its DNS names.
    pub names: Vec<String>,
    /// It holds from then on.
    pub from: Timestamp,
    /// It does not hold any more after this.
    pub until: Timestamp,
}

impl CertificateFiles {
    /// Reads both files, sees that they belong together, and says what the certificate says of itself.
    pub fn facts(&self) -> Result<CertificateFacts, Error> {
        let key = self.load()?;
        let facts = key.cert.first().and_then(|leaf| {
            let names = webpki::EndEntityCert::try_from(leaf).ok()?;
            let names = names.valid_dns_names().map(str::to_owned).collect();
            let (from, until) = validity(leaf)?;
            Some(CertificateFacts { names, from, until })
        });
        facts.ok_or_else(|| {
            fault(&self.chain, "its first certificate cannot be read".into(), "put the server's own first")
        })
    }
}

/// `Certificate { TBSCertificate { [0] version, serial, signature, issuer, Validity { from, until }, …` (RFC 5280 §4.1).
fn validity(certificate: &[u8]) -> Option<(Timestamp, Timestamp)> {
    const VERSION: u8 = 0xa0;
    let (_, certificate, _) = element(certificate)?;
    let (_, mut rest, _) = element(certificate)?;
    if let (VERSION, _, behind) = element(rest)? {
        rest = behind;
    }
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (_, validity, _) = element(rest)?;
    let (tag, from, rest) = element(validity)?;
    let from = moment(tag, from)?;
    let (tag, until, _) = element(rest)?;
    Some((from, moment(tag, until)?))
}

/// UTCTime has two digits of a year, which RFC 5280 counts from 1950; GeneralizedTime has four.
fn moment(tag: u8, text: &[u8]) -> Option<Timestamp> {
    const UTC_TIME: u8 = 0x17;
    let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii())?;
    let text = match tag {
        UTC_TIME if text.get(..2)? < "50" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        _ => text.to_owned(),
    };
    let part = |from: usize, to: usize| text.get(from..to);
    let [year, month, day] = [part(0, 4)?, part(4, 6)?, part(6, 8)?];
    let [hour, minute, second] = [part(8, 10)?, part(10, 12)?, part(12, 14)?];
    Timestamp::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_certificate_says_of_itself_is_read_and_what_is_cut_short_is_none() {
        let mut params = rcgen::CertificateParams::new(vec!["shop.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 3, 1);
        params.not_after = rcgen::date_time_ymd(2051, 3, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("both.pem");
        std::fs::write(&file, certificate.pem() + &key.serialize_pem()).unwrap();
        let facts = CertificateFiles { chain: file.clone(), key: file }.facts().unwrap();
        let at = |text| Timestamp::parse(text).unwrap();
        assert_eq!(facts.names, ["shop.example"]);
        assert_eq!((facts.from, facts.until), (at("2026-03-01T00:00:00Z"), at("2051-03-01T00:00:00Z")));
        for end in 0..certificate.der().len().min(200) {
            assert_eq!(validity(&certificate.der()[..end]), None);
        }
    }
}
