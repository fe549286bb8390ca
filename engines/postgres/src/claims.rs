//! Operations on what readers have in hand, as calls.

use std::collections::HashSet;

use bytes::Bytes;
use dozen_core::Timestamp;
use dozen_store::{
    Claim, Claimed, Ended, Error, Extend, Op, Outcome, Place, Record, Revise, Revision, Settle, end_of,
    hint_of,
};

use crate::call::params;
use crate::error::Doing;
use crate::names::check;
use crate::ops::{Caller, Effect, Failure};
use crate::rows::{signed, signed_any, unsigned};
use crate::settle::{self, Given};

impl Caller<'_> {
    pub(crate) async fn claim(&self, claim: &Claim, op: &Op) -> Result<Effect, Failure> {
        let stream = self.shared.stream(&claim.stream);
        let until = claim.now.after(claim.lease);
        let limit = i32::try_from(claim.limit).unwrap_or(i32::MAX);
        let lease = until.0.saturating_sub(claim.now.0);
        let per_key = i32::try_from(claim.per_key.max(1)).unwrap_or(i32::MAX);
        let after = claim.sifted.as_ref().map(|sifted| signed(sifted.after));
        let (sifted, wanted): (Option<Vec<i64>>, Option<Vec<bool>>) = match &claim.sifted {
            None => (None, None),
            Some(sifted) => {
                let (positions, wanted) =
                    sifted.entries.iter().map(|(position, wanted)| (signed(*position), *wanted)).unzip();
                (Some(positions), Some(wanted))
            }
        };
        let alone = self.doing == Doing::Committing;
        let sql = "select * from dozen.claim($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let params = params![
            stream => INT8, &*claim.reader => TEXT, limit => INT4, claim.now.0 => INT8, lease => INT8, per_key => INT4,
            after => INT8, sifted => INT8_ARRAY, wanted => BOOL_ARRAY, alone => BOOL
        ];
        let mut found = self.all(sql, &params, op).await?;
        let last = found.pop().ok_or_else(|| Error::Invalid("a claim gave no row".into()))?;
        let next_due = last.get::<_, Option<i64>>(9).map(Timestamp);
        let claims = found
            .iter()
            .map(|row| Claimed {
                place: Place { position: unsigned(row.get(0)), fence: unsigned(row.get(1)) },
                attempts: u32::try_from(row.get::<_, i32>(2)).unwrap_or(0),
                until,
                at: Timestamp(row.get(3)),
                record: Record {
                    id: row.get(4),
                    kind: row.get(5),
                    key: row.get(6),
                    attributes: row.get(7),
                    data: Bytes::from(row.get::<_, Vec<u8>>(8)),
                },
            })
            .collect();
        Ok(Outcome::Claimed { claims, next_due }.into())
    }

    pub(crate) async fn settle(&self, settle: &Settle, op: &Op) -> Result<Effect, Failure> {
        let stream = self.shared.stream(&settle.stream);
        let given: Vec<Given> = if settle::is_plain(settle) {
            let mut places = settle::Places::default();
            let at = places.add(stream, settle);
            let given =
                places.send(self.shared, self.client).await.map_err(|error| self.failure(op, &error))?;
            at.into_iter()
                .map(|at| at.and_then(|at| given.get(at).copied()).unwrap_or(Given::Refused))
                .collect()
        } else {
            let (positions, fences) = columns(settle.ends.iter().map(|(place, _)| place));
            let mut states: Vec<i32> = Vec::with_capacity(settle.ends.len());
            let (mut moments, mut errors) = (Vec::new(), Vec::new());
            for (_, ended) in &settle.ends {
                let (state, at, error) = match ended {
                    Ended::Done => (10, None, None),
                    Ended::Dropped(reason) => (11, None, Some(reason)),
                    Ended::Retry { at, error } => (1, Some(at.0), Some(error)),
                    Ended::Parked(error) => (3, None, Some(error)),
                };
                states.push(state);
                moments.push(at);
                errors.push(error.map(|error| error.replace('\0', "\u{fffd}")));
            }
            let sql = "select dozen.settle($1, $2, $3, $4, $5, $6, $7, $8)";
            let params = params![
                stream => INT8, &*settle.reader => TEXT, positions => INT8_ARRAY, fences => INT8_ARRAY,
                states => INT4_ARRAY, moments => INT8_ARRAY, errors => TEXT_ARRAY, settle.now.0 => INT8
            ];
            let codes: Vec<i32> = self.one(sql, &params, op).await?.get(0);
            codes.into_iter().map(Given::from_code).collect()
        };
        let mut touched = HashSet::new();
        settle::touch(settle, &given, &mut touched);
        Ok(Effect { outcome: Outcome::Settled(given.into_iter().map(Given::is_good).collect()), touched })
    }

    pub(crate) async fn extend(&self, extend: &Extend, op: &Op) -> Result<Effect, Failure> {
        let stream = self.shared.stream(&extend.stream);
        let (positions, fences) = columns(extend.places.iter());
        let alone = self.doing == Doing::Committing;
        let sql = "select dozen.extend_claims($1, $2, $3, $4, $5, $6)";
        let params = params![
            stream => INT8, &*extend.reader => TEXT, positions => INT8_ARRAY, fences => INT8_ARRAY,
            extend.until.0 => INT8, alone => BOOL
        ];
        Ok(Outcome::Settled(self.one(sql, &params, op).await?.get(0)).into())
    }

    pub(crate) async fn revise(&self, revise: &Revise, op: &Op) -> Result<Effect, Failure> {
        let stream = self.shared.stream(&revise.stream);
        let positions: Vec<i64> = revise.positions.iter().map(|position| signed(*position)).collect();
        let limit = i32::try_from(revise.limit).unwrap_or(i32::MAX);
        let (how, record) = match &revise.revision {
            Revision::Redrive => (1i32, None),
            Revision::Discard => (2, None),
            Revision::Edit(record) => (3, Some(record)),
        };
        let kind = record.map(|record| record.kind.as_str());
        let attributes = record.map(|record| record.attributes.as_str());
        let data = record.map(|record| &record.data[..]);
        for text in [kind, attributes].into_iter().flatten() {
            check(text)?;
        }
        let sql = "select dozen.revise($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let params = params![
            stream => INT8, &*revise.reader => TEXT, positions => INT8_ARRAY, limit => INT4, how => INT4,
            kind => TEXT, attributes => TEXT, data => BYTEA, revise.now.0 => INT8
        ];
        let mut effect = self.count(sql, &params, op).await?;
        effect.touched.insert(hint_of(&revise.stream, &revise.reader));
        if how == 2 {
            effect.touched.insert(end_of(&revise.stream, &revise.reader));
        }
        Ok(effect)
    }
}

fn columns<'a>(places: impl Iterator<Item = &'a Place>) -> (Vec<i64>, Vec<i64>) {
    places.map(|place| (signed(place.position), signed_any(place.fence))).unzip()
}
