//! The server's `numeric` as text: digits in groups of four, the first of them worth 10000^weight.

/// Reads its binary form; `None` when that is damaged.
pub(crate) fn to_text(raw: &[u8]) -> Option<String> {
    let field = |at: usize| Some(i16::from_be_bytes(raw.get(at * 2..at * 2 + 2)?.try_into().ok()?));
    let (count, weight, sign, scale) = (field(0)?, field(1)?, field(2)? as u16, field(3)?);
    match sign {
        0xC000 => return Some("NaN".into()),
        0xD000 => return Some("Infinity".into()),
        0xF000 => return Some("-Infinity".into()),
        _ => {}
    }
    let count = usize::try_from(count).ok()?;
    let group = |index: i32| {
        let index = usize::try_from(index).ok().filter(|index| *index < count);
        index.map_or(Some(0), |index| field(4 + index))
    };
    let mut text = String::new();
    if sign == 0x4000 {
        text.push('-');
    }
    for index in 0..=i32::from(weight).max(0) {
        let digits = if weight < 0 { 0 } else { group(index)? };
        if index == 0 {
            text.push_str(&digits.to_string());
        } else {
            text.push_str(&format!("{digits:04}"));
        }
    }
    let scale = usize::try_from(scale).ok()?;
    if scale > 0 {
        let mut fraction = String::new();
        let mut place = 1;
        while fraction.len() < scale {
            fraction.push_str(&format!("{:04}", group(i32::from(weight) + place)?));
            place += 1;
        }
        text.push('.');
        text.push_str(&fraction[..scale]);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_become_digits() {
        let raw = |fields: &[i16]| fields.iter().flat_map(|field| field.to_be_bytes()).collect::<Vec<u8>>();
        for (fields, text) in [
            (vec![0, 0, 0, 0], "0"),
            (vec![2, 1, 0, 0, 1, 2345], "12345"),
            (vec![2, 0, 0x4000, 2, 12, 5000], "-12.50"),
            (vec![1, -1, 0, 3, 50], "0.005"),
            (vec![1, -2, 0, 8, 1], "0.00000001"),
            (vec![1, 2, 0, 0, 3], "300000000"),
        ] {
            assert_eq!(to_text(&raw(&fields)).as_deref(), Some(text));
        }
    }
}
