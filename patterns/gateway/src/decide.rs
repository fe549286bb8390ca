//! What becomes of one request, as far as that can be said without a socket.
//!
//! ```text
//!  preflight? ── answered
//!  find ──► Identify(hit) ── who asks, by the hit's route? ── find again
//!     └───► Route(hit) ── may they pass? ── take: gone, redirect, answer, or a service and a target
//! ```
//!
//! Both questions are mostly answered at once. Where somebody else has to be asked the decision stops ([`What::Wait`]),
//! and goes on with the answer as its next [`Step`]: the same route is found again, because the same request is asked of
//! the same snapshot. What is known of the caller goes into [`Asked`], so that taking may use it: a sticky key, a header,
//! a target.

use std::sync::Arc;

use dozen_dataplane::{Around, Outgoing, Reply};
use futures::future::BoxFuture;

use crate::access::{Admission, Counted, Pass};
use crate::amendment::{Amendment, spoken};
use crate::asked::{Asked, Claims};
use crate::auth::{Check, Consumer, Identity, Reason, Refusal};
use crate::case::Case;
use crate::compose::{Given, Plan};
use crate::cors::Cors;
use crate::feature::Way;
use crate::snapshot::{Snapshot, Standing};
use crate::table::{Found, Hit};

/// How far a decision has come.
pub(crate) enum Step {
    /// Nobody has been asked.
    Begin,
    /// Who asks was found out, as a route that asks for claims wants it, and what was counted on the way.
    Identified(Counted, Result<Arc<Identity>, Refusal>),
    /// Whether they pass was found out; and who they are, if that was asked before.
    Admitted(Option<Arc<Identity>>, Result<Pass, Refusal>),
}

/// What becomes of a request.
pub(crate) struct Decision {
    /// The route that took it, if one did.
    pub(crate) standing: Option<Arc<Standing>>,
    /// What it does with it.
    pub(crate) what: What,
    /// What stands around the exchange, where it is forwarded or composed.
    pub(crate) around: Option<Arc<dyn Around>>,
    /// What the request holds until it ends: who it is, and its places.
    pub(crate) pass: Option<Pass>,
    /// Why it did not pass, if it did not, and who it was, if that was known.
    pub(crate) refused: Option<Refused>,
}

/// A request that did not pass, as it is written down.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) reason: Reason,
    pub(crate) consumer: Option<Arc<Consumer>>,
}

/// One of five.
pub(crate) enum What {
    /// It goes to the route's service of this number, with the key of those that stay together, and its answer is changed
    /// on the way back.
    Forward(usize, Option<u64>, Option<Amendment>),
    /// It goes where a feature wants it, with the same key.
    Feature(Way, Option<u64>, Option<Amendment>),
    /// It is answered from several services, with what they will want to know of it.
    Compose(Arc<Plan>, Given, Option<Amendment>),
    /// It is answered here.
    Reply(Reply),
    /// Somebody is asked first; the answer is the next step.
    Wait(BoxFuture<'static, Step>),
}

impl What {
    /// The service of `standing` that it goes to.
    pub(crate) fn service(&self, standing: Option<&Arc<Standing>>) -> Option<Arc<str>> {
        match self {
            Self::Forward(at, ..) => standing?.route.services().nth(*at).map(|(service, _)| service.clone()),
            Self::Feature(way, ..) => Some(way.service.clone()),
            _ => None,
        }
    }
}

impl Decision {
    pub(crate) fn new(standing: Option<&Arc<Standing>>, what: What) -> Self {
        Self { standing: standing.cloned(), what, around: None, pass: None, refused: None }
    }

    pub(crate) fn reply(standing: Option<&Arc<Standing>>, reply: Reply) -> Self {
        Self::new(standing, What::Reply(reply))
    }
}

impl Snapshot {
    /// Decides, and writes what is changed of the request.
    pub(crate) fn decide(&self, case: &Case<'_>, step: Step, outgoing: &mut Outgoing<'_>) -> Decision {
        match step {
            Step::Begin => self.begin(case, outgoing),
            Step::Identified(counted, identity) => self.identified(case, counted, identity, outgoing),
            Step::Admitted(known, pass) => {
                let found = self.found(&case.asked, known.as_ref());
                let Found::Route(hit) = found else { return unfound(found) };
                self.admitted(&hit, case, known, pass, outgoing)
            }
        }
    }

    fn begin(&self, case: &Case<'_>, outgoing: &mut Outgoing<'_>) -> Decision {
        if case.asked.method == "OPTIONS"
            && let Some(decision) = self.preflight(&case.asked)
        {
            return decision;
        }
        let hit = match self.table.find(&case.asked) {
            Found::Route(hit) => return self.enter(&hit, case, None, Counted::default(), outgoing),
            Found::Identify(hit) => hit,
            found => return unfound(found),
        };
        let entrance = self.standings.get(hit.at).and_then(|standing| standing.entrance.as_ref());
        let who = entrance.map(|entrance| entrance.identify(&case.view(&hit.route.name)));
        match who {
            None => self.identified(case, Counted::default(), Ok(Arc::default()), outgoing),
            Some((counted, Check::Now(identity))) => self.identified(case, counted, identity, outgoing),
            Some((counted, Check::Later(identity))) => {
                let step = Box::pin(async move { Step::Identified(counted, identity.await) });
                Decision::new(self.standings.get(hit.at), What::Wait(step))
            }
        }
    }

    /// Goes on when it is known who asks: with their claims, or without any.
    fn identified(
        &self,
        case: &Case<'_>,
        counted: Counted,
        identity: Result<Arc<Identity>, Refusal>,
        outgoing: &mut Outgoing<'_>,
    ) -> Decision {
        match identity {
            Ok(known) => {
                let found = self.found(&case.asked, Some(&known));
                let Found::Route(hit) = found else { return unfound(found) };
                self.enter(&hit, case, Some(known), counted, outgoing)
            }
            // Which route it would be cannot be said; the one that asked for the claims answers.
            Err(refusal) => match self.table.find(&case.asked) {
                Found::Identify(hit) => self.refused(&hit, &case.asked, refusal),
                found => unfound(found),
            },
        }
    }

    /// The route, with what is known of the caller; without that, nobody has claims.
    fn found(&self, asked: &Asked<'_>, known: Option<&Arc<Identity>>) -> Found<'_> {
        match known {
            Some(identity) => self.table.find(&asked.by(identity)),
            None => match self.table.find(asked) {
                Found::Identify(_) => self.table.find(&Asked { claims: Claims::None, ..*asked }),
                found => found,
            },
        }
    }

    /// Asks the route's entrance, if it has one.
    fn enter(
        &self,
        hit: &Hit<'_>,
        case: &Case<'_>,
        known: Option<Arc<Identity>>,
        counted: Counted,
        outgoing: &mut Outgoing<'_>,
    ) -> Decision {
        let standing = self.standings.get(hit.at);
        let Some(entrance) = standing.and_then(|standing| standing.entrance.as_ref()) else {
            return self.taken(hit, case, known.as_ref(), None, outgoing);
        };
        match entrance.admit(&case.view(&hit.route.name), counted) {
            Admission::Now(pass) => self.admitted(hit, case, known, pass, outgoing),
            Admission::Later(pass) => {
                let step = Box::pin(async move { Step::Admitted(known, pass.await) });
                Decision::new(standing, What::Wait(step))
            }
        }
    }

    fn admitted(
        &self,
        hit: &Hit<'_>,
        case: &Case<'_>,
        known: Option<Arc<Identity>>,
        pass: Result<Pass, Refusal>,
        outgoing: &mut Outgoing<'_>,
    ) -> Decision {
        match pass {
            // A route that asks nobody itself has what was found out on the way to it.
            Ok(pass) => {
                let identity = if pass.identity.method.is_empty() { known } else { None };
                let identity = identity.unwrap_or_else(|| pass.identity.clone());
                self.taken(hit, case, Some(&identity), Some(pass), outgoing)
            }
            Err(refusal) => self.refused(hit, &case.asked, refusal),
        }
    }

    fn refused(&self, hit: &Hit<'_>, asked: &Asked<'_>, refusal: Refusal) -> Decision {
        let mut reply = refusal.reply();
        // A page of another origin may read why, as it may read any answer of this route.
        reply.fields.extend(spoken(hit.route, asked));
        let decision = Decision::reply(self.standings.get(hit.at), reply);
        let Refusal { reason, consumer, .. } = refusal;
        Decision { refused: Some(Refused { reason, consumer }), ..decision }
    }

    /// The answer to a question about another method, if the route of that method has one.
    fn preflight(&self, asked: &Asked<'_>) -> Option<Decision> {
        let method = Cors::preflight(asked)?;
        let meant = Asked { method, ..*asked };
        // A browser asks without credentials, so claims cannot choose; where only they lead, that route answers.
        let hit = match (self.table.find(&meant), self.found(&meant, None)) {
            (_, Found::Route(hit)) | (Found::Identify(hit), _) => hit,
            _ => return None,
        };
        let cors = hit.route.cors.as_ref()?;
        let mut reply = Reply::empty(204);
        reply.fields = cors.answer(asked, method, &hit.route.methods);
        Some(Decision::reply(self.standings.get(hit.at), reply))
    }
}

/// What is said where no route takes a request.
fn unfound(found: Found<'_>) -> Decision {
    let Found::Method(allowed) = found else {
        return Decision::reply(None, Reply::new(404, "no route matches this request"));
    };
    let mut reply = Reply::new(405, "this path does not take this method");
    reply.fields.push(("allow", allowed.join(", ")));
    Decision::reply(None, reply)
}
