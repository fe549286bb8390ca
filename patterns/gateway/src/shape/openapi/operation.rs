//! One operation, and a request that is held against it.

use http::HeaderMap;
use serde_json::Value as Json;

use super::body::Bodies;
use super::parameter::Parameter;
use super::schema::Document;
use crate::shape::problem::{Flaw, Part, Refused};
use crate::shape::schemas::pairs;

/// Parameters of one operation.
const PARAMETERS_MAX: usize = 200;

/// One operation.
#[derive(Debug)]
pub(in crate::shape) struct Operation {
    parameters: Vec<Parameter>,
    bodies: Option<Bodies>,
}

/// The operation of one request, and the pieces of its path.
pub(in crate::shape) struct Found<'a> {
    pub(super) operation: &'a Operation,
    pub(super) pieces: Vec<(&'a str, String)>,
}

impl Operation {
    pub(super) fn compile(
        document: &Document<'_>,
        written: &Json,
        shared: Option<&Json>,
        names: &[String],
    ) -> Result<Self, String> {
        let mut parameters: Vec<Parameter> = Vec::new();
        let own = written.get("parameters").and_then(Json::as_array).into_iter().flatten();
        for parameter in own.chain(shared.and_then(Json::as_array).into_iter().flatten()) {
            let Some(parameter) = Parameter::compile(document, document.resolved(parameter)?)? else {
                continue;
            };
            // The operation's own comes before that of its path.
            if !parameters.iter().any(|known| known.is_same(&parameter)) {
                parameters.push(parameter);
            }
            if parameters.len() > PARAMETERS_MAX {
                return Err(format!("it has more than {PARAMETERS_MAX} parameters"));
            }
        }
        let unknown = parameters.iter().find(|one| one.part == Part::Path && !names.contains(&one.name));
        if let Some(unknown) = unknown {
            return Err(format!("the path has no `{{{}}}`", unknown.name));
        }
        let body = written.get("requestBody").map(|body| document.resolved(body)).transpose()?;
        let bodies = body.map(|body| Bodies::compile(document, body)).transpose()?;
        Ok(Self { parameters, bodies })
    }
}

impl Found<'_> {
    /// Holds path, query, headers and cookies against the parameters.
    pub(in crate::shape) fn head(&self, query: Option<&str>, headers: &HeaderMap, flaws: &mut Vec<Flaw>) {
        if self.operation.parameters.is_empty() {
            return;
        }
        let query: Vec<(String, String)> = pairs(query).collect();
        for parameter in &self.operation.parameters {
            let given: Vec<(&str, String)> = match parameter.part {
                Part::Path => {
                    let pieces = self.pieces.iter().filter(|(name, _)| *name == parameter.name);
                    pieces.map(|(name, piece)| (*name, piece.clone())).collect()
                }
                Part::Query => query.iter().map(|(name, value)| (name.as_str(), value.clone())).collect(),
                Part::Header => {
                    let lines: Vec<String> = headers
                        .get_all(parameter.name.as_str())
                        .iter()
                        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                        .collect();
                    // Several lines are one list (RFC 9110 §5.3).
                    match lines.is_empty() {
                        true => Vec::new(),
                        false => vec![(parameter.name.as_str(), lines.join(", "))],
                    }
                }
                Part::Cookie => cookies(headers, &parameter.name),
                Part::Body => Vec::new(),
            };
            parameter.hold(&given, flaws);
        }
    }

    pub(in crate::shape) fn looks_into_body(&self) -> bool {
        self.operation.bodies.is_some()
    }

    /// Holds a body against what the operation takes.
    pub(in crate::shape) fn body(
        &self,
        bytes: &[u8],
        media_type: Option<&str>,
        flaws: &mut Vec<Flaw>,
    ) -> Result<(), Refused> {
        match &self.operation.bodies {
            Some(bodies) => bodies.hold(bytes, media_type, flaws),
            None => Ok(()),
        }
    }
}

fn cookies<'p>(headers: &HeaderMap, name: &'p str) -> Vec<(&'p str, String)> {
    let lines = headers.get_all(http::header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let all = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    all.filter(|(known, _)| *known == name).map(|(_, value)| (name, value.to_owned())).collect()
}
