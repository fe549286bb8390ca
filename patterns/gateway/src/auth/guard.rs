//! Several methods and a rule, as one decision.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::{Identity, Method, Policy, Reason, Refusal, View};

/// What a look at a request gives.
pub enum Check {
    /// The answer.
    Now(Result<Arc<Identity>, Refusal>),
    /// Somebody has to be asked first. The future needs a runtime with time and I/O, and ends within the method's
    /// time-out.
    Later(BoxFuture<'static, Result<Arc<Identity>, Refusal>>),
}

impl Check {
    pub(crate) fn refused(reason: Reason) -> Self {
        Self::Now(Err(Refusal::of(reason)))
    }
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Now(answer) => f.debug_tuple("Now").field(answer).finish(),
            Self::Later(_) => f.write_str("Later(…)"),
        }
    }
}

/// How many of the methods must vouch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// One of them; the first that does, in the order of the file.
    Any,
    /// All of them.
    All,
}

/// Decides about the requests of one route.
#[derive(Debug)]
pub struct Guard {
    pub(crate) methods: Vec<Method>,
    pub(crate) need: Need,
    /// Whether somebody without any credential passes as nobody, for the rule to decide. Only with [`Need::Any`].
    pub(crate) optional: bool,
    pub(crate) rule: Option<Policy>,
}

/// What the methods so far have said.
#[derive(Default)]
struct Progress {
    identity: Option<Arc<Identity>>,
    refusal: Option<Refusal>,
}

impl Guard {
    /// Decides, or says whom it asks.
    pub fn check(self: &Arc<Self>, view: &View<'_>) -> Check {
        let mut progress = Progress::default();
        for (at, method) in self.methods.iter().enumerate() {
            match method.check(view) {
                Check::Now(answer) => {
                    if self.is_settled(&mut progress, answer) {
                        break;
                    }
                }
                Check::Later(answer) => {
                    let (guard, kept) = (self.clone(), view.keep());
                    return Check::Later(Box::pin(async move {
                        let mut answer = answer.await;
                        for method in &guard.methods[at + 1..] {
                            if guard.is_settled(&mut progress, answer) {
                                return kept.look(|view| guard.conclude(progress, view));
                            }
                            answer = match kept.look(|view| method.check(view)) {
                                Check::Now(answer) => answer,
                                Check::Later(answer) => answer.await,
                            };
                        }
                        guard.is_settled(&mut progress, answer);
                        kept.look(|view| guard.conclude(progress, view))
                    }));
                }
            }
        }
        Check::Now(self.conclude(progress, view))
    }

    /// The same methods, for whoever wants to know who asks before it is decided what they may.
    pub(crate) fn only_asking(&self) -> Self {
        Self { methods: self.methods.clone(), need: self.need, optional: true, rule: None }
    }

    /// Takes one method's answer; true when no other has to be heard.
    fn is_settled(&self, progress: &mut Progress, answer: Result<Arc<Identity>, Refusal>) -> bool {
        match answer {
            Ok(identity) => {
                progress.identity = Some(match progress.identity.take() {
                    Some(before) => Arc::new(before.and(&identity)),
                    None => identity,
                });
                self.need == Need::Any
            }
            Err(refusal) => {
                let says_more = |known: &Refusal| refusal.rank() > known.rank();
                if progress.refusal.as_ref().is_none_or(says_more) {
                    progress.refusal = Some(refusal);
                }
                self.need == Need::All
            }
        }
    }

    fn conclude(&self, progress: Progress, view: &View<'_>) -> Result<Arc<Identity>, Refusal> {
        let identity = match (progress.identity, progress.refusal) {
            (Some(identity), None) => identity,
            (Some(identity), Some(_)) if self.need == Need::Any => identity,
            (_, Some(refusal)) if !(self.optional && refusal.reason == Reason::Missing) => {
                return Err(self.asking(refusal));
            }
            _ => Arc::default(),
        };
        match self.rule.as_ref().map(|rule| rule.check(view, &identity)) {
            None | Some(Ok(())) => Ok(identity),
            // Somebody who showed nothing, and could have, is asked for it first.
            Some(Err(_)) if identity.method.is_empty() && !self.methods.is_empty() => {
                Err(self.asking(Refusal::of(Reason::Missing)))
            }
            Some(Err(reason)) => Err(Refusal { consumer: identity.consumer.clone(), ..Refusal::of(reason) }),
        }
    }

    /// A 401 says what would do instead (RFC 9110 §11.6.1).
    fn asking(&self, mut refusal: Refusal) -> Refusal {
        if refusal.status == 401 {
            let has_own = refusal.fields.iter().any(|(name, _)| *name == "www-authenticate");
            let mut challenges: Vec<String> =
                self.methods.iter().filter_map(|method| method.challenge(refusal.reason)).collect();
            challenges.dedup();
            if !has_own && !challenges.is_empty() {
                refusal.fields.push(("www-authenticate", challenges.join(", ")));
            }
        }
        refusal
    }

    /// Whether a header of the client's is kept from the service.
    pub fn strips(&self, name: &str) -> bool {
        Identity::owns(name) || self.methods.iter().any(|method| method.strips(name))
    }
}
