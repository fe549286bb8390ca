//! Patterns of places in a document, and all of them at once while walking down.
//!
//! `$.a.b` · `$['odd name']` · `$.items[*].id` · `$.items[0]` · `$.*` · `$..id` (at any depth). The patterns of a rule set are
//! one tree; walking a document down is walking the tree down beside it, and where no pattern goes on the walk is free.

use std::collections::BTreeMap;

/// One step of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A member of that name.
    Member(String),
    /// Any member.
    AnyMember,
    /// An element at that place.
    Element(usize),
    /// Any element.
    AnyElement,
    /// Whatever stands between, nothing included.
    Deep,
}

/// Steps of one pattern at most.
const STEPS_MAX: usize = 32;

/// Reads a pattern; the error says what is wrong with it.
pub(crate) fn parse(pattern: &str) -> Result<Vec<Step>, &'static str> {
    let mut rest = pattern.strip_prefix('$').ok_or("must begin with `$`")?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if steps.len() >= STEPS_MAX {
            return Err("has more than 32 steps");
        }
        if let Some(after) = rest.strip_prefix("..") {
            steps.push(Step::Deep);
            rest = member(after, &mut steps)?;
        } else if let Some(after) = rest.strip_prefix('.') {
            rest = member(after, &mut steps)?;
        } else if let Some(after) = rest.strip_prefix("['") {
            let (name, after) = after.split_once("']").ok_or("has a `['` without its `']`")?;
            steps.push(Step::Member(name.to_owned()));
            rest = after;
        } else if let Some(after) = rest.strip_prefix('[') {
            let (place, after) = after.split_once(']').ok_or("has a `[` without its `]`")?;
            steps.push(match place {
                "*" => Step::AnyElement,
                place => Step::Element(
                    place.parse().map_err(|_| "has something in `[ ]` that is no number, `*` or `'name'`")?,
                ),
            });
            rest = after;
        } else {
            return Err("has something that is neither `.name`, `[place]` nor `..name`");
        }
    }
    Ok(steps)
}

fn member<'p>(rest: &'p str, steps: &mut Vec<Step>) -> Result<&'p str, &'static str> {
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    steps.push(match name {
        "" => return Err("has a `.` without a name"),
        "*" => Step::AnyMember,
        name => Step::Member(name.to_owned()),
    });
    Ok(after)
}

/// Patterns as one tree, with something of the caller's at their ends.
#[derive(Clone, Debug)]
pub(crate) struct Tree<R> {
    nodes: Vec<Node<R>>,
}

#[derive(Clone, Debug)]
struct Node<R> {
    members: BTreeMap<String, usize>,
    any_member: Option<usize>,
    elements: BTreeMap<usize, usize>,
    any_element: Option<usize>,
    deep: Option<usize>,
    /// It stays with the walk at every depth below.
    stays: bool,
    rule: R,
}

/// Where a walk stands in the tree: usually nowhere or at one node.
pub(crate) type Spots = Vec<u32>;

impl<R: Default> Tree<R> {
    pub(crate) fn new() -> Self {
        Self { nodes: vec![Node::new()] }
    }

    /// The rule at the end of a pattern, made where there is none.
    pub(crate) fn at(&mut self, steps: &[Step]) -> &mut R {
        let mut here = 0;
        for step in steps {
            let fresh = self.nodes.len();
            let node = &mut self.nodes[here];
            here = match step {
                Step::Member(name) => *node.members.entry(name.clone()).or_insert(fresh),
                Step::AnyMember => *node.any_member.get_or_insert(fresh),
                Step::Element(place) => *node.elements.entry(*place).or_insert(fresh),
                Step::AnyElement => *node.any_element.get_or_insert(fresh),
                Step::Deep => *node.deep.get_or_insert(fresh),
            };
            if here == fresh {
                self.nodes.push(Node { stays: *step == Step::Deep, ..Node::new() });
            }
        }
        &mut self.nodes[here].rule
    }

    /// Where a walk begins.
    pub(crate) fn root(&self) -> Spots {
        let mut spots = Spots::new();
        self.enter(0, &mut spots);
        spots
    }

    fn enter(&self, node: usize, spots: &mut Spots) {
        spots.push(node as u32);
        if let Some(deep) = self.nodes[node].deep {
            self.enter(deep, spots);
        }
    }

    /// Where the walk stands one member further down.
    pub(crate) fn member(&self, spots: &Spots, name: &str) -> Spots {
        self.down(spots, |node| [node.members.get(name).copied(), node.any_member])
    }

    /// Where the walk stands one element further down.
    pub(crate) fn element(&self, spots: &Spots, place: usize) -> Spots {
        self.down(spots, |node| [node.elements.get(&place).copied(), node.any_element])
    }

    fn down(&self, spots: &Spots, next: impl Fn(&Node<R>) -> [Option<usize>; 2]) -> Spots {
        let mut below = Spots::new();
        for spot in spots {
            let node = &self.nodes[*spot as usize];
            if node.stays {
                below.push(*spot);
            }
            for child in next(node).into_iter().flatten() {
                self.enter(child, &mut below);
            }
        }
        if below.len() > 1 {
            below.sort_unstable();
            below.dedup();
        }
        below
    }

    /// The rule at one of the spots where a walk stands.
    pub(crate) fn rule(&self, spot: u32) -> &R {
        &self.nodes[spot as usize].rule
    }
}

impl<R: Default> Node<R> {
    fn new() -> Self {
        Self {
            members: BTreeMap::new(),
            any_member: None,
            elements: BTreeMap::new(),
            any_element: None,
            deep: None,
            stays: false,
            rule: R::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meets(pattern: &str, place: &[Step]) -> bool {
        let mut tree = Tree::<bool>::new();
        *tree.at(&parse(pattern).expect("a pattern")) = true;
        let mut spots = tree.root();
        for step in place {
            spots = match step {
                Step::Member(name) => tree.member(&spots, name),
                Step::Element(place) => tree.element(&spots, *place),
                _ => unreachable!("a place is concrete"),
            };
        }
        spots.iter().any(|spot| *tree.rule(*spot))
    }

    fn place(text: &str) -> Vec<Step> {
        parse(text).expect("a place")
    }

    #[test]
    fn a_pattern_meets_its_places_and_no_others() {
        for (pattern, yes, no) in [
            ("$", "$", "$.a"),
            ("$.a.b", "$.a.b", "$.a"),
            ("$['a b'].c", "$['a b'].c", "$.a.c"),
            ("$.items[*].id", "$.items[7].id", "$.items.id"),
            ("$.items[1]", "$.items[1]", "$.items[2]"),
            ("$.*.x", "$.any.x", "$.any.y"),
            ("$..id", "$.a[3].b.id", "$.a.idx"),
            ("$..id", "$.id", "$"),
            ("$.a..id", "$.a.id", "$.b.id"),
            ("$.a..id", "$.a.b.c.id", "$.id"),
        ] {
            assert!(meets(pattern, &place(yes)), "{pattern} {yes}");
            assert!(!meets(pattern, &place(no)), "{pattern} {no}");
        }
    }

    #[test]
    fn a_pattern_that_is_none_says_why() {
        for wrong in ["a", "$.", "$a", "$[x]", "$['a", "$[1", "$..", "$.a..", ""] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse(&("$".to_owned() + &".a".repeat(33))).is_err());
    }
}
