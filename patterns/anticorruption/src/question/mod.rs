//! A question in a provider's own model: a request over HTTP, a statement of SQL, or a message. No I/O.
//!
//! All three have one form on their way out, a request with a method, a target and a document: that is what examples record,
//! what mocks answer, and what [`Foreign`](crate::Foreign) is given. A statement is asked as `SQL /` with its values as the
//! document, a message is sent as `SEND /`.

mod made;

use std::sync::Arc;

use bytes::Bytes;
use dozen_mapping::{Format, Limits, Mapping, Object, Options, Value, json};
use http::{HeaderName, HeaderValue, Method, header};

use crate::error::Gathered;
use crate::options::{RequestOptions, Speaks};
use crate::problem::Problem;
use crate::statement::Statement;
use crate::template::Template;
use made::{Document, Made};

/// What is asked.
#[derive(Debug)]
pub(crate) enum Question {
    Http {
        method: Method,
        path: Template,
        query: Option<Mapping>,
        headers: Vec<(HeaderName, Template)>,
        document: Option<Document>,
    },
    Sql {
        statement: Arc<Statement>,
        values: Values,
    },
    Message(Document),
}

/// What the names of a statement stand for.
#[derive(Debug)]
pub(crate) enum Values {
    /// A table. What it leaves out is `null`.
    Table(Mapping),
    /// The members of these names, each required.
    Named(Vec<Mapping>),
}

/// The method of a statement, and of a message.
const SQL: &str = "SQL";
const SEND: &str = "SEND";

impl Question {
    pub(crate) fn compile(
        options: &RequestOptions,
        speaks: Speaks,
        at: &str,
        asked: &Options<'_>,
        gathered: &mut Gathered,
    ) -> Option<Self> {
        let is_foreign = options.is_foreign_to(speaks);
        for key in &is_foreign {
            let problem = format!("`{key}` means nothing for {}", speaks.noun());
            gathered.add(format!("{at}.request.{key}"), problem);
        }
        if !is_foreign.is_empty() {
            return None;
        }
        match speaks {
            Speaks::Http => Self::http(options, at, asked, gathered),
            Speaks::Sql => Self::sql(options, at, asked, gathered),
            Speaks::Messages => {
                let json = Value::from("json");
                let format = options.format.as_ref().unwrap_or(&json);
                Document::compile(Some(format), options, at, asked, gathered)?.map(Self::Message)
            }
        }
    }

    fn http(
        options: &RequestOptions,
        at: &str,
        asked: &Options<'_>,
        gathered: &mut Gathered,
    ) -> Option<Self> {
        let method = gathered
            .take(&format!("{at}.request.method"), options.method.to_ascii_uppercase().parse::<Method>());
        let path_at = format!("{at}.request.path");
        if !options.path.starts_with('/') {
            gathered.add(&*path_at, "a path begins with `/`");
        }
        let path = gathered.take(&path_at, Template::parse(&options.path, &path_at, asked));
        let query = table(&options.query, &format!("{at}.request.query"), asked, gathered);
        if options.map.is_some() && options.format.is_none() {
            gathered.add(format!("{at}.request.format"), "a `map` makes a document, so say its format");
        }
        let document = Document::compile(options.format.as_ref(), options, at, asked, gathered);
        let mut headers = Vec::with_capacity(options.headers.len());
        for (name, value) in &options.headers {
            let at = format!("{at}.request.headers.{name}");
            let name = gathered.take(&at, name.parse::<HeaderName>());
            let value = gathered.take(&at, Template::parse(value, &at, asked));
            headers.extend(name.zip(value));
        }
        Some(Self::Http { method: method?, path: path?, query: query?, headers, document: document? })
    }

    fn sql(options: &RequestOptions, at: &str, asked: &Options<'_>, gathered: &mut Gathered) -> Option<Self> {
        let Some(sql) = &options.sql else {
            gathered.add(format!("{at}.request"), "a database is asked with `sql:`");
            return None;
        };
        let sql_at = format!("{at}.request.sql");
        let statement = gathered.take(&sql_at, Statement::parse(sql))?;
        let values = match &options.map {
            Some(map) => {
                let known = map.as_object();
                for name in &statement.names {
                    if known.is_some_and(|known| known.get(name).is_none()) {
                        gathered.add(&*sql_at, format!("the `map` makes nothing for `:{name}`"));
                    }
                }
                Values::Table(table(&options.map, &format!("{at}.request.map"), asked, gathered)??)
            }
            None => {
                let rule = |name: &String| {
                    let rule = Value::object([
                        ("from", Value::text(name.as_str())),
                        ("as", "any".into()),
                        ("required", true.into()),
                    ]);
                    gathered.mapped(Mapping::rule(&rule, &sql_at, asked))
                };
                let rules: Vec<_> = statement.names.iter().map(rule).collect();
                Values::Named(rules.into_iter().collect::<Option<_>>()?)
            }
        };
        Some(Self::Sql { statement: Arc::new(statement), values })
    }

    /// Whether it may be asked twice without harm, unless the file says otherwise.
    pub(crate) fn is_repeatable(&self) -> bool {
        match self {
            Self::Http { method, .. } => method.is_idempotent(),
            // Databases are opened to read, unless the file says otherwise; then it has to say this, too.
            Self::Sql { .. } => true,
            Self::Message(_) => false,
        }
    }

    /// The format of what is sent, if something is.
    pub(crate) fn format(&self) -> Option<Format> {
        match self {
            Self::Http { document, .. } => document.as_ref().map(|document| document.format.clone()),
            Self::Sql { .. } => Some(Format::json()),
            Self::Message(document) => Some(document.format.clone()),
        }
    }

    /// The statement, if it is one.
    pub(crate) fn statement(&self) -> Option<Arc<Statement>> {
        match self {
            Self::Sql { statement, .. } => Some(statement.clone()),
            _ => None,
        }
    }

    /// The question for these values; a bare one has no header in its envelope.
    pub(crate) fn ask(
        &self,
        with: &Value,
        provider: &str,
        limits: &Limits,
        is_bare: bool,
    ) -> Result<http::Request<Bytes>, Problem> {
        let made = Made { with, provider, limits, is_bare };
        match self {
            Self::Http { method, path, query, headers, document } => {
                let mut target = path.path(with, limits)?;
                if let Some(query) = query {
                    let query = made.by(query)?;
                    let written = Format::form().encode(&query);
                    let query = written.map_err(|error| made.unwritable("the query", &error))?;
                    if !query.is_empty() {
                        target.push(if target.contains('?') { '&' } else { '?' });
                        target.push_str(&String::from_utf8_lossy(&query));
                    }
                }
                let mut fields = Vec::with_capacity(headers.len());
                for (name, value) in headers {
                    let value = value.text(with, limits)?;
                    let value = HeaderValue::from_str(&value).map_err(|_| made.unsendable())?;
                    fields.push((name.clone(), value));
                }
                made.request(method.as_str(), &target, fields, document.as_ref())
            }
            Self::Sql { statement, values } => {
                let values = match values {
                    Values::Table(table) => made.by(table)?,
                    Values::Named(rules) => {
                        let mut named = Object::with_capacity(rules.len());
                        for (name, rule) in statement.names.iter().zip(rules) {
                            named.insert(name.as_str().into(), made.by(rule)?);
                        }
                        Value::Object(named)
                    }
                };
                let kind = HeaderValue::from_static("application/json");
                let request =
                    http::Request::builder().method(SQL).uri("/").header(header::CONTENT_TYPE, kind);
                request.body(json::write(&values).into()).map_err(|_| made.unsendable())
            }
            Self::Message(document) => made.request(SEND, "/", Vec::new(), Some(document)),
        }
    }
}

/// A table, if there is one.
fn table(
    table: &Option<Value>,
    at: &str,
    asked: &Options<'_>,
    gathered: &mut Gathered,
) -> Option<Option<Mapping>> {
    match table {
        Some(table) => gathered.mapped(Mapping::table(table, at, asked)).map(Some),
        None => Some(None),
    }
}
