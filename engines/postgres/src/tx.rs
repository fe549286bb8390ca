//! A transaction that is decided step by step.
//!
//! Its appends are kept here and sent with its commit, so that it takes the lock of positions for no longer than a commit
//! takes, however long its owner thinks.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use dozen_store::{Committed, EngineTx, Error, Op, Outcome};

use crate::call::together;
use crate::error::Doing;
use crate::ops::Caller;
use crate::pool::Loan;
use crate::shared::Shared;
use crate::single::{join, say, send, steps, touch_appends, touches_outbox};

/// One that its owner forgets is ended by the server.
const BEGIN: &str =
    "begin; set local idle_in_transaction_session_timeout = '60s'; set local lock_timeout = '10s'";

pub(crate) struct PostgresTx {
    shared: Arc<Shared>,
    loan: Loan,
    appends: Vec<Op>,
    touched: HashSet<Arc<str>>,
    outbox: bool,
    /// Something was done that others may wait for.
    moves: bool,
    failed: bool,
}

impl PostgresTx {
    pub(crate) fn new(shared: Arc<Shared>, loan: Loan) -> Self {
        Self {
            shared,
            loan,
            appends: Vec::new(),
            touched: HashSet::new(),
            outbox: false,
            moves: false,
            failed: false,
        }
    }

    /// Runs operations, and at the end the appends and the commit.
    async fn run(&mut self, ops: Vec<Op>, ends: bool) -> Result<(Vec<Outcome>, u64), Error> {
        if self.failed {
            return Err(Error::Invalid("an earlier step of this transaction failed".into()));
        }
        self.failed = true; // until it has not
        let count = ops.len();
        let (appends, others): (Vec<_>, Vec<_>) =
            ops.into_iter().enumerate().partition(|(_, op)| matches!(op, Op::Append(_)));
        let appended: Vec<usize> = appends.iter().map(|(at, _)| *at).collect();
        let (others_at, others): (Vec<usize>, Vec<Op>) = others.into_iter().unzip();
        let kept = self.appends.len();
        self.appends.extend(appends.into_iter().map(|(_, op)| op));
        self.shared.resolve(others.iter().chain(&self.appends)).await?;
        self.outbox |= touches_outbox(&others);
        let moves =
            others.iter().any(|op| matches!(op, Op::Settle(_) | Op::Seek(_) | Op::Revise(_) | Op::Pause(_)));
        // Looked at now, though it is sent later: whoever gives a wrong message learns it here.
        let last = steps(&self.shared, &self.appends)?;
        let own = steps(&self.shared, &others)?;
        let began = self.loan.is_open;
        self.loan.is_open = true;
        let caller = Caller { shared: &self.shared, client: &self.loan, doing: Doing::Working };
        let change = self.shared.sql("do $$ begin perform nextval('dozen.change'); end $$");
        let mut calls = Vec::new();
        if !began {
            calls.push(say(caller, BEGIN, Doing::Working));
        }
        calls.extend(own.iter().map(|step| send(caller, step)));
        let first = calls.len();
        // A commit behind a step that failed is a rollback.
        if ends {
            calls.extend(last.iter().map(|step| send(caller, step)));
            if self.moves || moves {
                // It moved when the step was taken, and nobody could see why. Those who look rather than listen must find
                // that it has moved since.
                calls.push(say(caller, &change, Doing::Working));
            }
            calls.push(say(caller, "commit", Doing::Committing));
        }
        let mut answers = together(calls).await;
        let end = answers.split_off(first);
        let (given, _) = join(answers, &mut self.touched).map_err(|failure| failure.error)?;
        let (positions, position) = join(end, &mut HashSet::new()).map_err(|failure| failure.error)?;
        self.loan.is_open = !ends;
        self.moves |= moves;
        let mut outcomes = vec![Outcome::Appended { first: 0, last: 0 }; count];
        for (at, outcome) in others_at.into_iter().zip(given) {
            outcomes[at] = outcome;
        }
        for (at, outcome) in appended.into_iter().zip(positions.into_iter().skip(kept)) {
            outcomes[at] = outcome;
        }
        self.failed = false;
        Ok((outcomes, position))
    }
}

#[async_trait]
impl EngineTx for PostgresTx {
    async fn apply(&mut self, ops: Vec<Op>) -> Result<Vec<Outcome>, Error> {
        Ok(self.run(ops, false).await?.0)
    }

    async fn commit(mut self: Box<Self>, ops: Vec<Op>) -> Result<Committed, Error> {
        let (outcomes, position) = self.run(ops, true).await?;
        let this = *self;
        let mut touched = this.touched;
        touch_appends(&this.appends, &mut touched);
        this.shared.touch(touched);
        if this.outbox {
            this.shared.look.notify_one();
        }
        Ok(Committed { outcomes, token: this.shared.token(position) })
    }
}
