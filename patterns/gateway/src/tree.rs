//! Routes by path: one step for each segment, whatever the number of routes.

use std::collections::HashMap;

use crate::template::{Captures, Segment, Template};

/// A tree of segments whose leaves are numbers of routes.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    texts: HashMap<Box<str>, usize>,
    one: Option<usize>,
    here: Vec<usize>,
    rest: Vec<usize>,
}

impl Tree {
    pub(crate) fn insert(&mut self, template: &Template, route: usize) {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut at = 0;
        for segment in &template.segments {
            let next = self.nodes.len();
            let child = match segment {
                Segment::Text(text) => *self.nodes[at].texts.entry(text.clone()).or_insert(next),
                Segment::One(_) => *self.nodes[at].one.get_or_insert(next),
                Segment::Rest(_) => return self.nodes[at].rest.push(route),
            };
            if child == next {
                self.nodes.push(Node::default());
            }
            at = child;
        }
        self.nodes[at].here.push(route);
    }

    /// Offers the routes that match `path`, the most specific first, until `accept` takes one.
    ///
    /// At each segment a text comes before `{name}`, and that before `{*rest}`. Every node is visited at most once.
    pub(crate) fn find(
        &self,
        path: &str,
        captures: &mut Captures,
        accept: &mut impl FnMut(usize) -> bool,
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
        accept: &mut impl FnMut(usize) -> bool,
    ) -> Option<usize> {
        let node = &self.nodes[node];
        if from >= path.len() {
            return node.here.iter().copied().find(|route| accept(*route));
        }
        let start = from + 1;
        let end = path[start..].find('/').map_or(path.len(), |slash| start + slash);
        let segment = &path[start..end];
        if let Some(child) = node.texts.get(segment)
            && let Some(found) = self.walk(*child, path, end, captures, accept)
        {
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
        let found = node.rest.iter().copied().find(|route| accept(*route));
        if found.is_none() {
            captures.pop();
        }
        found
    }

    /// Orders the routes of each leaf.
    pub(crate) fn sort_by_key<K: Ord>(&mut self, key: impl Fn(usize) -> K) {
        for node in &mut self.nodes {
            node.here.sort_by_key(|route| key(*route));
            node.rest.sort_by_key(|route| key(*route));
        }
    }
}
