//! Routes by path: one step for each segment, whatever the number of routes.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::path::{PathMatch, Step};
use crate::template::Captures;

/// A tree of segments whose leaves are numbers of routes.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    texts: HashMap<Box<str>, usize>,
    /// Routes by regular expression whose paths all come through here.
    patterns: Vec<usize>,
    one: Option<usize>,
    here: Vec<usize>,
    rest: Vec<usize>,
}

impl Tree {
    /// How many routes by regular expression now stand in the same place as this one.
    pub(crate) fn insert(&mut self, path: &PathMatch, route: usize) -> usize {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut at = 0;
        for step in path.steps() {
            let next = self.nodes.len();
            let node = &mut self.nodes[at];
            let child = match step {
                Step::Text(text) => match node.texts.get(text) {
                    Some(child) => *child,
                    None => *node.texts.entry(text.into()).or_insert(next),
                },
                Step::One(_) => *node.one.get_or_insert(next),
                Step::Pattern(_) => {
                    node.patterns.push(route);
                    return node.patterns.len();
                }
                Step::Rest => {
                    node.rest.push(route);
                    return 0;
                }
            };
            if child == next {
                self.nodes.push(Node::default());
            }
            at = child;
        }
        self.nodes[at].here.push(route);
        0
    }

    /// Offers the routes that match `path`, the most specific first, until `accept` takes one.
    ///
    /// At each segment a text comes before a regular expression, that before `{name}`, and that before `{*rest}`; see
    /// [`crate::rank`]. Every node is visited at most once. `accept` matches regular expressions itself.
    pub(crate) fn find(
        &self,
        path: &str,
        captures: &mut Captures,
        accept: &mut impl FnMut(usize, &mut Captures) -> bool,
    ) -> Option<usize> {
        match self.nodes.is_empty() {
            true => None,
            false => self.walk(0, path, 0, captures, accept),
        }
    }

    /// `from` is where the slash before the next segment stands, or the path's end.
    fn walk(
        &self,
        node: usize,
        path: &str,
        from: usize,
        captures: &mut Captures,
        accept: &mut impl FnMut(usize, &mut Captures) -> bool,
    ) -> Option<usize> {
        let node = &self.nodes[node];
        if from >= path.len() {
            return node.here.iter().copied().find(|route| accept(*route, captures));
        }
        let start = from + 1;
        let end = path[start..].find('/').map_or(path.len(), |slash| start + slash);
        let segment = &path[start..end];
        if let Some(child) = node.texts.get(segment)
            && let Some(found) = self.walk(*child, path, end, captures, accept)
        {
            return Some(found);
        }
        if let Some(found) = node.patterns.iter().copied().find(|route| accept(*route, captures)) {
            return Some(found);
        }
        if let Some(child) = node.one
            && !segment.is_empty()
        {
            captures.push(start, end);
            if let Some(found) = self.walk(child, path, end, captures, accept) {
                return Some(found);
            }
            captures.pop();
        }
        captures.push(start, path.len());
        let found = node.rest.iter().copied().find(|route| accept(*route, captures));
        if found.is_none() {
            captures.pop();
        }
        found
    }

    /// Orders the routes of each leaf.
    pub(crate) fn sort_by(&mut self, order: impl Fn(usize, usize) -> Ordering) {
        for node in &mut self.nodes {
            for routes in [&mut node.here, &mut node.patterns, &mut node.rest] {
                routes.sort_by(|one, other| order(*one, *other));
                routes.shrink_to_fit();
            }
        }
        self.nodes.shrink_to_fit();
    }
}
