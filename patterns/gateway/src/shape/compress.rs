//! Which answers are compressed on their way to the client, how, and what their heads then say.

use dozen_dataplane::Body;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body::Body as _;

use super::Wrong;
use super::accept::{Coding, choose};
use super::encode::Packed;
use crate::options::CompressOptions;

/// The longest answer that is compressed as a whole.
const WHOLE_MAX: u64 = 256 * 1024;

/// Which answers of a route are compressed.
#[derive(Debug)]
pub(super) struct Compress {
    codings: Box<[Coding]>,
    types: Box<[Type]>,
    min: u64,
}

/// `text/*`, `application/json`, `application/*+json`.
#[derive(Debug)]
struct Type {
    before: Box<str>,
    /// What it ends with, where it may have anything in the middle.
    behind: Option<Box<str>>,
}

impl Type {
    fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let (main, sub) = text.split_once('/')?;
        let is_token =
            |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte));
        match sub.split_once('*') {
            Some((first, last)) if is_token(main) && is_token(first) && is_token(last) => {
                Some(Self { before: format!("{main}/{first}").into(), behind: Some(last.into()) })
            }
            None if is_token(main) && is_token(sub) && !sub.is_empty() => {
                Some(Self { before: text.into(), behind: None })
            }
            _ => None,
        }
    }

    fn takes(&self, kind: &str) -> bool {
        match &self.behind {
            None => kind == &*self.before,
            Some(behind) => kind.strip_prefix(&*self.before).is_some_and(|rest| rest.ends_with(&**behind)),
        }
    }
}

impl Compress {
    pub(super) fn compile(written: &CompressOptions) -> Result<Self, Wrong> {
        let coding = |name: &String| {
            let known = Coding::ALL.into_iter().find(|coding| coding.name() == name);
            known.ok_or_else(|| (name.clone(), "is no coding; there are `br`, `zstd` and `gzip`".to_owned()))
        };
        let kind = |text: &String| {
            let problem = "is no content type such as `text/html`, `text/*` or `application/*+json`";
            Type::parse(text).ok_or_else(|| (text.clone(), problem.to_owned()))
        };
        Ok(Self {
            codings: written.codings.iter().map(coding).collect::<Result<_, _>>()?,
            types: written.types.iter().map(kind).collect::<Result<_, _>>()?,
            min: written.min,
        })
    }

    /// The answer as it goes to a client that sent `wanted`.
    pub(super) fn answer(&self, wanted: &Wanted, response: Response<Body>) -> Response<Body> {
        let (mut parts, body) = response.into_parts();
        let length = match wanted.is_head {
            true => stated(&parts.headers),
            false => body.size_hint().exact(),
        };
        if !self.is_worth(parts.status, &parts.headers, length) {
            return Response::from_parts(parts, body);
        }
        // Also where this client gets it as it is: the next one may not.
        vary(&mut parts.headers);
        let is_small = length.is_some_and(|length| length <= WHOLE_MAX);
        let offered: Vec<Coding> =
            self.codings.iter().copied().filter(|coding| is_small || *coding != Coding::Zstd).collect();
        let lines = wanted.encodings.iter().map(HeaderValue::as_bytes);
        let Some(coding) = choose(lines, &offered).filter(|_| !wanted.as_it_is) else {
            return Response::from_parts(parts, body);
        };
        let headers = &mut parts.headers;
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        for name in [header::CONTENT_LENGTH, header::ACCEPT_RANGES] {
            headers.remove(name);
        }
        weaken(headers);
        let body = if wanted.is_head { body } else { Body::new(Packed::new(body, coding)) };
        Response::from_parts(parts, body)
    }

    fn is_worth(&self, status: StatusCode, headers: &HeaderMap, length: Option<u64>) -> bool {
        let has_body = !matches!(status.as_u16(), 100..=199 | 204 | 205 | 206 | 304);
        let is_plain =
            !headers.contains_key(header::CONTENT_ENCODING) && !headers.contains_key(header::CONTENT_RANGE);
        has_body
            && is_plain
            && length.is_none_or(|length| length >= self.min.max(1))
            && !says(headers, "no-transform")
            && media_type(headers).is_some_and(|kind| self.types.iter().any(|known| known.takes(&kind)))
    }
}

/// What of a request matters for the form of its answer.
#[derive(Debug)]
pub(super) struct Wanted {
    encodings: Vec<HeaderValue>,
    is_head: bool,
    /// It asks not to be meddled with.
    as_it_is: bool,
}

impl Wanted {
    pub(super) fn of(method: &Method, headers: &HeaderMap) -> Self {
        let encodings = headers.get_all(header::ACCEPT_ENCODING).iter().cloned().collect();
        Self { encodings, is_head: *method == Method::HEAD, as_it_is: says(headers, "no-transform") }
    }
}

fn stated(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether `Cache-Control` has this word.
fn says(headers: &HeaderMap, word: &str) -> bool {
    let lines = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|one| one.trim().eq_ignore_ascii_case(word))
}

/// The content type in small letters, without its parameters.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

fn vary(headers: &mut HeaderMap) {
    let lines = headers.get_all(header::VARY).iter().filter_map(|value| value.to_str().ok());
    let mut names = lines.flat_map(|line| line.split(',')).map(str::trim);
    if !names.any(|name| name == "*" || name.eq_ignore_ascii_case("accept-encoding")) {
        headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
}

/// Other bytes that mean the same have a weak validator (RFC 9110 §8.8.1).
pub(super) fn weaken(headers: &mut HeaderMap) {
    let Some(tag) = headers.get(header::ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/")) else {
        return;
    };
    if let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()) {
        headers.insert(header::ETAG, weak);
    }
}
