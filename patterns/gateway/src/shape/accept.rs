//! Which coding an answer goes out in: by what the client takes, and how gladly (RFC 9110 §12.5.3).

/// A coding that answers can be compressed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Brotli,
    Zstd,
    Gzip,
}

impl Coding {
    pub(super) const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }
}

/// The best of `offered` for a client that sent these lines of `Accept-Encoding`: what it takes most gladly, and of
/// those the first that is offered. None where it sent nothing, or likes the answer best as it is.
pub(super) fn choose<'v>(lines: impl Iterator<Item = &'v [u8]>, offered: &[Coding]) -> Option<Coding> {
    let wishes: Vec<(String, u16)> =
        lines.flat_map(|line| line.split(|byte| *byte == b',')).filter_map(wish).collect();
    let of = |name: &str| wishes.iter().find(|(known, _)| known == name).map(|(_, weight)| *weight);
    let any = of("*");
    let weight = |coding: &Coding| match coding {
        Coding::Gzip => of("gzip").or(of("x-gzip")).or(any),
        other => of(other.name()).or(any),
    };
    let mut best: Option<(Coding, u16)> = None;
    for coding in offered {
        let weight = weight(coding).unwrap_or(0);
        if weight > best.map_or(0, |(_, best)| best) {
            best = Some((*coding, weight));
        }
    }
    // The answer as it is may be asked for by name, with a weight of its own.
    let plain = of("identity").unwrap_or(0);
    best.filter(|(_, weight)| *weight >= plain).map(|(coding, _)| coding)
}

/// `gzip;q=0.8`: a name in small letters, and a weight in thousandths.
fn wish(text: &[u8]) -> Option<(String, u16)> {
    let text = std::str::from_utf8(text).ok()?;
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?.to_ascii_lowercase();
    let mut weight = 1000;
    for part in parts {
        if let Some(value) = part.strip_prefix("q=").or(part.strip_prefix("Q=")) {
            let read: f32 = value.trim().parse().ok().filter(|weight| (0.0..=1.0).contains(weight))?;
            weight = (read * 1000.0).round() as u16;
        }
    }
    Some((name, weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_says_which_and_the_route_breaks_ties() {
        for (sent, chosen) in [
            ("", None),
            ("gzip", Some("gzip")),
            ("gzip, br, zstd", Some("br")),
            ("gzip;q=1.0, br;q=0.5", Some("gzip")),
            ("*", Some("br")),
            ("br;q=0, *;q=0.1", Some("zstd")),
            ("identity", None),
            ("identity;q=0.5, gzip;q=0.4", None),
            ("identity;q=0.5, gzip;q=0.5", Some("gzip")),
            ("gzip;q=0", None),
            ("GZIP; Q=0.3", Some("gzip")),
            ("gzip;q=nonsense", None),
            ("gzip;q=2", None),
            ("deflate, compress", None),
            ("x-gzip", Some("gzip")),
        ] {
            let found = choose([sent.as_bytes()].into_iter(), &Coding::ALL);
            assert_eq!(found.map(Coding::name), chosen, "{sent}");
        }
        let two = [&b"gzip;q=0.5"[..], b"zstd"];
        assert_eq!(choose(two.into_iter(), &Coding::ALL), Some(Coding::Zstd), "several lines are one list");
    }
}
