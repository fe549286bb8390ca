//! Routes by path: one step for each segment, whatever the number of routes.
//!
//! Most nodes of a large table lead to one child or one route, and are cold when a request comes to them. So these
//! stand in the node itself, and only what branches has a table of its own.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use crate::mixed::Mixed;
use crate::path::{PathMatch, Step};
use crate::template::Captures;

/// A tree of segments whose leaves are numbers of routes.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    texts: Texts,
    one: Option<u32>,
    /// Routes by regular expression whose paths all come through here.
    patterns: Few,
    here: Few,
    rest: Few,
}

/// Children by the text of their segment. A request cannot add to a table, so the hash needs no secret.
#[derive(Debug, Default)]
enum Texts {
    #[default]
    None,
    One(Box<str>, u32),
    Many(HashMap<Box<str>, u32, BuildHasherDefault<Mixed>>),
}

/// Numbers of routes.
#[derive(Debug, Default)]
enum Few {
    #[default]
    None,
    One(u32),
    Many(Box<[u32]>),
}

impl Texts {
    fn get(&self, text: &str) -> Option<u32> {
        match self {
            Self::None => None,
            Self::One(only, child) => (**only == *text).then_some(*child),
            Self::Many(children) => children.get(text).copied(),
        }
    }

    fn insert(&mut self, text: &str, child: u32) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(text.into(), child),
            Self::One(only, first) => Self::Many([(only, first), (text.into(), child)].into_iter().collect()),
            Self::Many(mut children) => {
                children.insert(text.into(), child);
                Self::Many(children)
            }
        };
    }
}

impl Few {
    fn all(&self) -> &[u32] {
        match self {
            Self::None => &[],
            Self::One(only) => std::slice::from_ref(only),
            Self::Many(routes) => routes,
        }
    }

    fn push(&mut self, route: u32) -> usize {
        *self = match std::mem::take(self) {
            Self::None => Self::One(route),
            some => Self::Many(some.all().iter().copied().chain([route]).collect()),
        };
        self.all().len()
    }
}

impl Tree {
    /// How many routes by regular expression now stand in the same place as this one.
    pub(crate) fn insert(&mut self, path: &PathMatch, route: u32) -> usize {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut at = 0;
        for step in path.steps() {
            // The configuration is far smaller than four billion segments.
            let next = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
            let node = &mut self.nodes[at];
            let child = match step {
                Step::Text(text) => node.texts.get(text).unwrap_or_else(|| {
                    node.texts.insert(text, next);
                    next
                }),
                Step::One(_) => *node.one.get_or_insert(next),
                Step::Pattern(_) => return node.patterns.push(route),
                Step::Rest => {
                    node.rest.push(route);
                    return 0;
                }
            };
            if child == next {
                self.nodes.push(Node::default());
            }
            at = child as usize;
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
        accept: &mut impl FnMut(u32, &mut Captures) -> bool,
    ) -> Option<u32> {
        match self.nodes.is_empty() {
            true => None,
            false => self.walk(0, path, 0, captures, accept),
        }
    }

    /// `from` is where the slash before the next segment stands, or the path's end.
    fn walk(
        &self,
        node: u32,
        path: &str,
        from: usize,
        captures: &mut Captures,
        accept: &mut impl FnMut(u32, &mut Captures) -> bool,
    ) -> Option<u32> {
        let node = &self.nodes[node as usize];
        if from >= path.len() {
            return node.here.all().iter().copied().find(|route| accept(*route, captures));
        }
        let start = from + 1;
        let end = memchr::memchr(b'/', &path.as_bytes()[start..]).map_or(path.len(), |slash| start + slash);
        let segment = &path[start..end];
        if let Some(child) = node.texts.get(segment)
            && let Some(found) = self.walk(child, path, end, captures, accept)
        {
            return Some(found);
        }
        if let Some(found) = node.patterns.all().iter().copied().find(|route| accept(*route, captures)) {
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
        let found = node.rest.all().iter().copied().find(|route| accept(*route, captures));
        if found.is_none() {
            captures.pop();
        }
        found
    }

    /// Orders the routes of each leaf.
    pub(crate) fn sort_by(&mut self, order: impl Fn(u32, u32) -> Ordering) {
        for node in &mut self.nodes {
            for routes in [&mut node.here, &mut node.patterns, &mut node.rest] {
                if let Few::Many(routes) = routes {
                    routes.sort_by(|one, other| order(*one, *other));
                }
            }
        }
        self.nodes.shrink_to_fit();
    }
}
