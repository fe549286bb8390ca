//! The request that values make, with its document.

use bytes::Bytes;
use dozen_mapping::{Format, Limits, Mapping, Options, Value};
use http::{HeaderName, HeaderValue, header};

use super::table;
use crate::error::Gathered;
use crate::options::RequestOptions;
use crate::problem::Problem;

/// A document that is made for them.
#[derive(Debug)]
pub(crate) struct Document {
    pub(super) format: Format,
    /// Without a table it is what `with` makes.
    map: Option<Mapping>,
    /// The header of an envelope.
    header: Option<Mapping>,
}

impl Document {
    /// `Some(None)` where there is none.
    pub(super) fn compile(
        format: Option<&Value>,
        options: &RequestOptions,
        at: &str,
        asked: &Options<'_>,
        gathered: &mut Gathered,
    ) -> Option<Option<Self>> {
        let map = table(&options.map, &format!("{at}.request.map"), asked, gathered);
        let header_at = format!("{at}.request.header");
        let header = table(&options.header, &header_at, asked, gathered);
        let format = match format {
            Some(format) => gathered.mapped(Format::parse(format, &format!("{at}.request.format"))).map(Some),
            None => Some(None),
        };
        let is_soap = |format: &Option<Format>| format.as_ref().is_some_and(|format| format.name() == "soap");
        if options.header.is_some() && format.as_ref().is_some_and(|format| !is_soap(format)) {
            gathered
                .add(header_at, "only an envelope has a header, `format: soap`; `headers` are those of HTTP");
        }
        let (map, header) = (map?, header?);
        Some(format?.map(|format| Self { format, map, header }))
    }
}

/// What a question is made of.
pub(super) struct Made<'a> {
    pub(super) with: &'a Value,
    pub(super) provider: &'a str,
    pub(super) limits: &'a Limits,
    /// Whether an envelope goes without its header.
    pub(super) is_bare: bool,
}

impl Made<'_> {
    pub(super) fn by(&self, mapping: &Mapping) -> Result<Value, Problem> {
        let made = mapping.apply(self.with, self.limits).map_err(|failure| {
            Problem::untranslatable(format!("the request for `{}`: {failure}", self.provider))
        })?;
        Ok(made.value)
    }

    pub(super) fn request(
        &self,
        method: &str,
        target: &str,
        headers: Vec<(HeaderName, HeaderValue)>,
        document: Option<&Document>,
    ) -> Result<http::Request<Bytes>, Problem> {
        let body = match document {
            None => Bytes::new(),
            Some(Document { format, map, header }) => {
                let made = |table: &Option<Mapping>| table.as_ref().map(|table| self.by(table)).transpose();
                let header = if self.is_bare { None } else { made(header)? };
                let made = made(map)?;
                let written = format.encode_under(header.as_ref(), made.as_ref().unwrap_or(self.with));
                written.map_err(|error| self.unwritable("the document", &error))?.into()
            }
        };
        let request = http::Request::builder().method(method).uri(target).body(body);
        let mut request = request.map_err(|_| self.unsendable())?;
        let fields = request.headers_mut();
        for (name, value) in headers {
            fields.append(name, value);
        }
        if let Some(Document { format, .. }) = document
            && !fields.contains_key(header::CONTENT_TYPE)
        {
            let kind = HeaderValue::from_str(&format.content_type()).map_err(|_| self.unsendable())?;
            fields.insert(header::CONTENT_TYPE, kind);
        }
        Ok(request)
    }

    pub(super) fn unsendable(&self) -> Problem {
        Problem::invalid(format!("the values make no request for `{}`", self.provider))
    }

    pub(super) fn unwritable(&self, what: &str, error: &dozen_mapping::EncodeError) -> Problem {
        Problem::untranslatable(format!("{what} for `{}`: {error}", self.provider))
    }
}
