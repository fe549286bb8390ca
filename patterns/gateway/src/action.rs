//! What a route does with a request that it takes.

use std::sync::Arc;

use crate::RouteOptions;
use crate::compose::Plan;
use crate::options;
use crate::path::PathMatch;
use crate::split::{Split, Sticky};
use crate::target::{Rewriting, Unsafe};
use crate::text::{Facts, Text};

/// One of the five.
#[derive(Debug)]
pub(crate) enum Action {
    Forward { split: Split, rewrite: Rewriting },
    Feature { name: Box<str>, sticky: Option<Sticky>, rewrite: Rewriting },
    Redirect(Redirect),
    Answer(Answer),
    Compose(Arc<Plan>),
}

/// Where a client is sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Redirect {
    pub(crate) status: u16,
    to: Text,
}

/// An answer that is written in the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: Box<str>,
    body: Option<Text>,
}

impl Action {
    pub(crate) fn compile(
        name: &str,
        options: &RouteOptions,
        path: &PathMatch,
    ) -> Result<Self, (String, String)> {
        let wrong = |problem: &str| Err((name.to_owned(), problem.to_owned()));
        let forwards = !options.to.is_empty();
        if !forwards && options.split.is_some() {
            return wrong("has `split`, which means nothing without `to`");
        }
        if !forwards && options.feature.is_none() && options.sticky.is_some() {
            return wrong("has `sticky`, which means nothing without `to` or `feature`");
        }
        if !forwards && options.feature.is_none() && options.rewrite.is_some() {
            return wrong("has `rewrite`, which means nothing without `to` or `feature`");
        }
        if let Some(feature) = &options.feature {
            let others = [options.redirect.is_some(), options.answer.is_some(), options.compose.is_some()];
            if forwards || others.contains(&true) {
                return wrong(
                    "has `feature` beside another of `to`, `redirect`, `answer` and `compose`; keep one of them",
                );
            }
            if options.cache.is_some() {
                return wrong(
                    "has `cache` beside `feature`: what one system has answered is no answer of the other",
                );
            }
            let rewrite = options.rewrite.as_ref().map(|written| Rewriting::compile(written, path));
            let sticky = options.sticky.as_deref();
            let sticky = sticky.map(|text| Sticky::parse(text).map_err(|problem| (text.to_owned(), problem)));
            return Ok(Self::Feature {
                name: feature.as_str().into(),
                sticky: sticky.transpose()?,
                rewrite: rewrite.transpose()?.unwrap_or_default(),
            });
        }
        if let Some(compose) = &options.compose {
            if forwards || options.redirect.is_some() || options.answer.is_some() {
                return wrong(
                    "has `compose` beside another of `to`, `redirect` and `answer`; keep one of them",
                );
            }
            if options.headers.request != options::Change::default() {
                return wrong(
                    "has `headers.request`, which mean nothing with `compose`; say `headers` in a call",
                );
            }
            let plan = Plan::compile(compose, &path.names(), options.timeout)?;
            return Ok(Self::Compose(Arc::new(plan)));
        }
        match (forwards, &options.redirect, &options.answer) {
            (true, None, None) => {
                let split = options.split.as_deref().unwrap_or(name);
                let split = Split::compile(split, &options.to, options.sticky.as_deref(), path)?;
                let rewrite = options.rewrite.as_ref().map(|written| Rewriting::compile(written, path));
                let rewrite = rewrite.transpose()?.unwrap_or_default();
                if rewrite.changes_path() && split.destinations.iter().any(|one| one.target.is_some()) {
                    return wrong("has a path in `to` and another in `rewrite`; keep one of the two");
                }
                Ok(Self::Forward { split, rewrite })
            }
            (false, Some(redirect), None) => Redirect::compile(redirect, path).map(Self::Redirect),
            (false, None, Some(answer)) => Answer::compile(answer, path).map(Self::Answer),
            (false, None, None) => {
                wrong("leads nowhere; give it `to`, `feature`, `redirect`, `answer` or `compose`")
            }
            _ => wrong("has more than one of `to`, `redirect` and `answer`; keep one of them"),
        }
    }

    pub(crate) fn split(&self) -> Option<&Split> {
        match self {
            Self::Forward { split, .. } => Some(split),
            Self::Feature { .. } | Self::Redirect(_) | Self::Answer(_) | Self::Compose(_) => None,
        }
    }
}

impl Redirect {
    fn compile(written: &options::Redirect, path: &PathMatch) -> Result<Self, (String, String)> {
        let wrong = |problem: String| (written.to.clone(), problem);
        if !matches!(written.status, 301 | 302 | 307 | 308) {
            return Err(wrong(format!(
                "has the status {}; a redirect has 301, 302, 307 or 308",
                written.status
            )));
        }
        let text = if written.to == "https" { "https://{host}{uri}" } else { &written.to };
        if text.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return Err(wrong("holds what a URL cannot; escape it".into()));
        }
        let to = Text::url(text, &path.names()).map_err(wrong)?;
        let beginning = to.beginning();
        let is_absolute = ["https://", "http://"].iter().any(|scheme| beginning.starts_with(scheme));
        let is_path = beginning.starts_with('/') && !beginning.starts_with("//");
        if !is_absolute && !is_path {
            return Err(wrong("begins neither with `https://`, `http://` nor with one `/`".into()));
        }
        if is_absolute && to.asks_for_a_host() {
            return Err(wrong(
                "lets the request say to which host it leads; write the host, or `{host}` for that of the request".into(),
            ));
        }
        Ok(Self { status: written.status, to })
    }

    /// The value of `Location`. Never one that leads to another host than the file says.
    pub(crate) fn location(&self, facts: &Facts<'_>) -> Result<String, Unsafe> {
        let mut out = String::new();
        self.to.write(facts, &mut out);
        let has_host = !out.starts_with("//") && !out.contains(":///");
        let is_fine = has_host && out.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        if is_fine { Ok(out) } else { Err(Unsafe) }
    }
}

impl Answer {
    fn compile(written: &options::Answer, path: &PathMatch) -> Result<Self, (String, String)> {
        let wrong = |problem: &str| (written.body.clone().unwrap_or_default(), problem.to_owned());
        if !(200..=599).contains(&written.status) {
            return Err(wrong("has a status that is not from 200 to 599"));
        }
        if written.body.is_some() && matches!(written.status, 204 | 304) {
            return Err(wrong("is a body, and answers of status 204 and 304 have none"));
        }
        if written.content_type.bytes().any(|byte| !(32..127).contains(&byte)) {
            return Err((written.content_type.clone(), "is no media type".into()));
        }
        let body = written.body.as_ref().map(|text| Text::plain(text, &path.names()));
        let body = body.transpose().map_err(|problem| wrong(&problem))?;
        Ok(Self { status: written.status, content_type: written.content_type.as_str().into(), body })
    }

    pub(crate) fn body(&self, facts: &Facts<'_>) -> Option<String> {
        let mut out = String::new();
        self.body.as_ref()?.write(facts, &mut out);
        Some(out)
    }
}
