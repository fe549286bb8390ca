//! When a certificate is due.

use std::time::Duration;

use dozen_core::Timestamp;
use dozen_dataplane::CertificateFacts;

/// When to ask for the next: at once if `held` lacks one of `names`; else two thirds into its life, and up to a
/// twentieth of it later by `random`, so that many that began together do not ask together.
pub(super) fn due(held: Option<&CertificateFacts>, names: &[String], random: u64) -> Timestamp {
    let lacks = |facts: &&CertificateFacts| {
        names.iter().all(|name| facts.names.iter().any(|held| held.eq_ignore_ascii_case(name)))
    };
    let Some(facts) = held.filter(lacks) else { return Timestamp(i64::MIN) };
    let life = facts.until.since(facts.from);
    let chance = f64::from(u32::try_from(random >> 32).unwrap_or(0)) / f64::from(u32::MAX);
    facts.from.after(life * 2 / 3).after(Duration::from_secs_f64(life.as_secs_f64() / 20.0 * chance))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_due_after_two_thirds_of_its_life_and_at_once_if_a_name_is_missing() {
        let day = |days: u64| Timestamp(0).after(Duration::from_secs(days * 86_400));
        let facts = CertificateFacts { names: vec!["a.example".into()], from: day(0), until: day(90) };
        let name = |name: &str| [name.to_owned()];
        assert_eq!(due(Some(&facts), &name("A.example"), 0), day(60));
        let latest = due(Some(&facts), &name("a.example"), u64::MAX);
        assert_eq!(latest, day(60).after(Duration::from_secs(90 * 86_400 / 20)));
        assert_eq!(due(Some(&facts), &name("b.example"), 0), Timestamp(i64::MIN));
        assert_eq!(due(None, &name("a.example"), 0), Timestamp(i64::MIN));
    }
}
