//! How many steps an expression may take, before it is evaluated.
//!
//! Here: an upper bound, from the sizes of what it is given. Not here: the limit (`expression`).
//!
//! Invariant: no evaluation visits more nodes or copies more bytes than the bound says. A part's value is at most as large
//! as its bound, whichever branch is taken; a macro goes through its list once, and lists within it once for each member.

use std::collections::BTreeSet;

use cel::common::ast::operators as op;
use serde_json::Value;

use super::term::{Each, Term};

/// Steps for one node of the tree: the evaluator takes as long for it as for copying so many bytes.
const NODE_STEPS: u64 = 10;

/// Bytes of `2026-01-31T13:05:00.123456789+00:00`.
const INSTANT_BYTES: u64 = 35;

/// How large a value is at most, and what is within it, level by level: itself, its members, their members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Size(Vec<Level>);

/// How large the values of one level are at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Level {
    /// Bytes of all texts in one value, and one for each value in it.
    bytes: u64,
    /// Members of one list or map.
    members: u64,
}

impl Size {
    fn one() -> Self {
        Self::of_bytes(0)
    }

    pub(super) fn of_text(text: &str) -> Self {
        Self::of_bytes(text.len() as u64)
    }

    /// A date and time, as it is written.
    pub(super) fn of_instant() -> Self {
        Self::of_bytes(INSTANT_BYTES)
    }

    fn of_bytes(bytes: u64) -> Self {
        Self(vec![Level { bytes: bytes.saturating_add(1), members: 0 }])
    }

    /// The size of what is taken of a value; an empty path is the whole.
    pub(super) fn of(value: &Value, paths: &[&[String]]) -> Self {
        let Value::Object(members) = value else { return Self::whole(value) };
        if paths.iter().any(|path| path.is_empty()) {
            return Self::whole(value);
        }
        let found =
            taken(paths).filter_map(|(name, behind)| Some((name, Self::of(members.get(name)?, &behind))));
        let parts: Vec<Self> = found.flat_map(|(name, member)| [Self::of_text(name), member]).collect();
        Self::made_of(&parts, parts.len() / 2)
    }

    fn whole(value: &Value) -> Self {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => Self::one(),
            Value::String(text) => Self::of_text(text),
            Value::Array(members) => {
                let parts: Vec<Self> = members.iter().map(Self::whole).collect();
                Self::made_of(&parts, members.len())
            }
            Value::Object(members) => {
                let parts =
                    members.iter().flat_map(|(name, member)| [Self::of_text(name), Self::whole(member)]);
                Self::made_of(&parts.collect::<Vec<_>>(), members.len())
            }
        }
    }

    /// A list or map of these parts, of which keys are some.
    fn made_of(parts: &[Self], members: usize) -> Self {
        let bytes = parts.iter().fold(1_u64, |sum, part| sum.saturating_add(part.bytes()));
        let mut levels = vec![Level { bytes, members: members as u64 }];
        let deepest = parts.iter().map(|part| part.0.len()).max().unwrap_or_default();
        levels.extend(
            (0..deepest).map(|level| {
                parts.iter().fold(Level::default(), |largest, part| largest.or(part.level(level)))
            }),
        );
        Self(levels)
    }

    /// A list of so many values of this size.
    fn times(self, times: u64) -> Self {
        let bytes = self.bytes().saturating_mul(times).saturating_add(1);
        let mut levels = vec![Level { bytes, members: times }];
        levels.extend(self.0);
        Self(levels)
    }

    fn level(&self, level: usize) -> Level {
        self.0.get(level).copied().unwrap_or_default()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.level(0).bytes
    }

    fn members(&self) -> u64 {
        self.level(0).members
    }

    /// The size of one of its members.
    fn member(&self) -> Self {
        if self.0.len() > 1 { Self(self.0[1..].to_vec()) } else { Self::one() }
    }

    /// The larger one in each respect.
    fn or(&self, other: &Self) -> Self {
        let deepest = self.0.len().max(other.0.len());
        Self((0..deepest).map(|level| self.level(level).or(other.level(level))).collect())
    }

    /// The size of one behind the other: a text, or a list.
    fn and(&self, other: &Self) -> Self {
        let mut both = self.or(other);
        both.0[0] = Level {
            bytes: self.bytes().saturating_add(other.bytes()),
            members: self.members().saturating_add(other.members()),
        };
        both
    }
}

impl Level {
    fn or(self, other: Self) -> Self {
        Self { bytes: self.bytes.max(other.bytes), members: self.members.max(other.members) }
    }
}

/// Bytes of what is taken of a value, without looking at its levels; an empty path is the whole.
pub(super) fn bytes(value: &Value, paths: &[&[String]]) -> u64 {
    const WHOLE: &[&[String]] = &[&[]];
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
        Value::String(text) => 1 + text.len() as u64,
        Value::Array(members) => members.iter().map(|member| 1 + bytes(member, WHOLE)).sum(),
        Value::Object(members) if paths.iter().any(|path| path.is_empty()) => {
            members.iter().map(|(name, member)| 1 + name.len() as u64 + bytes(member, WHOLE)).sum()
        }
        Value::Object(members) => taken(paths)
            .filter_map(|(name, behind)| Some(1 + name.len() as u64 + bytes(members.get(name)?, &behind)))
            .sum(),
    }
}

/// The names that paths begin with, each once, with what follows behind it.
pub(super) fn taken<'p>(paths: &'p [&'p [String]]) -> impl Iterator<Item = (&'p String, Vec<&'p [String]>)> {
    let firsts: BTreeSet<&String> = paths.iter().filter_map(|path| path.first()).collect();
    firsts.into_iter().map(|name| {
        let behind = paths.iter().filter(|path| path.first() == Some(name)).map(|path| &path[1..]);
        (name, behind.collect())
    })
}

/// The steps for a value, and how large it is.
#[derive(Clone, Debug)]
struct Bound {
    steps: u64,
    size: Size,
}

/// The most steps that it takes to evaluate an expression with variables of these sizes.
pub(super) fn steps(term: &Term, variables: &[(&str, Size)]) -> u64 {
    let mut scope: Vec<(&str, Size)> = variables.to_vec();
    let bound = bound(term, &mut scope);
    // The value is copied when it is handed back.
    bound.steps.saturating_add(bound.size.bytes())
}

fn bound<'t>(term: &'t Term, scope: &mut Vec<(&'t str, Size)>) -> Bound {
    match term {
        Term::Literal { bytes, .. } => Bound { steps: NODE_STEPS, size: Size::of_bytes(*bytes as u64) },
        Term::Variable(name) => {
            let known = scope.iter().rev().find(|(known, _)| known == name);
            Bound { steps: NODE_STEPS, size: known.map_or_else(Size::one, |(_, size)| size.clone()) }
        }
        Term::Field { of, name, .. } => {
            let of = bound(of, scope);
            let steps = of.steps.saturating_add(NODE_STEPS + name.len() as u64);
            Bound { steps, size: of.size.member() }
        }
        Term::List(members) => {
            let parts = members.iter().map(|member| bound(member, scope)).collect();
            copied(parts, members.len())
        }
        Term::Map(entries) => {
            let parts = entries.iter().flat_map(|(key, value)| [key, value]);
            let parts = parts.map(|part| bound(part, scope)).collect();
            copied(parts, entries.len())
        }
        Term::Each { what, over, item, filter, body } => {
            let over = bound(over, scope);
            scope.push((item, over.size.member()));
            let filter = filter.as_ref().map(|filter| bound(filter, scope).steps).unwrap_or_default();
            let body = bound(body, scope);
            scope.pop();
            // The loop's own nodes, and what is added to the list.
            let each = body.steps.saturating_add(filter).saturating_add(4 * NODE_STEPS);
            let each = each.saturating_add(body.size.bytes());
            let times = over.size.members();
            let steps =
                each.saturating_mul(times).saturating_add(over.steps).saturating_add(over.size.bytes());
            let size = match what {
                Each::Asks => Size::one(),
                Each::Maps => body.size.times(times),
            };
            Bound { steps: steps.saturating_add(NODE_STEPS), size }
        }
        Term::Call { name, args, .. } => {
            let args: Vec<Bound> = args.iter().map(|arg| bound(arg, scope)).collect();
            call(name, &args)
        }
    }
}

/// A list or map of these parts, each of which is copied into it.
fn copied(parts: Vec<Bound>, members: usize) -> Bound {
    let steps = parts.iter().fold(NODE_STEPS, |sum, part| sum.saturating_add(part.steps));
    let sizes: Vec<Size> = parts.into_iter().map(|part| part.size).collect();
    let size = Size::made_of(&sizes, members);
    Bound { steps: steps.saturating_add(size.bytes()), size }
}

fn call(name: &str, args: &[Bound]) -> Bound {
    let steps = args.iter().fold(NODE_STEPS, |sum, arg| sum.saturating_add(arg.steps));
    let given = args.iter().fold(0_u64, |sum, arg| sum.saturating_add(arg.size.bytes()));
    let sizes: Vec<&Size> = args.iter().map(|arg| &arg.size).collect();
    // What the function itself does, and what it comes to.
    let (work, size) = match (name, sizes.as_slice()) {
        (op::CONDITIONAL, [_, then, otherwise]) => (0, then.or(otherwise)),
        // An index that is no whole number ends in an error that holds a copy of the list.
        (op::INDEX, [of, at]) => (at.bytes().saturating_add(of.bytes()), of.member()),
        (op::ADD, [one, other]) => (given, one.and(other)),
        ("indexOf" | "lastIndexOf", [text, part]) => {
            (given.saturating_add(text.bytes().saturating_mul(part.bytes())), Size::one())
        }
        ("replace", [text, _, to]) => {
            // Between all characters, if an empty text is replaced.
            let put_in = text.bytes().saturating_add(1).saturating_mul(to.bytes());
            let bytes = text.bytes().saturating_add(put_in);
            (given.saturating_add(bytes), Size::of_bytes(bytes))
        }
        ("split", [text, _]) => {
            let bytes = text.bytes().saturating_mul(2).saturating_add(2);
            let members = text.bytes().saturating_add(1);
            (given.saturating_add(bytes), Size(vec![Level { bytes, members }, text.level(0)]))
        }
        ("join", [list, between]) => {
            let bytes = list.bytes().saturating_add(list.members().saturating_mul(between.bytes()));
            (given.saturating_add(bytes), Size::of_bytes(bytes))
        }
        (
            op::EQUALS
            | op::NOT_EQUALS
            | op::LESS
            | op::LESS_EQUALS
            | op::GREATER
            | op::GREATER_EQUALS
            | op::LOGICAL_AND
            | op::LOGICAL_OR
            | op::LOGICAL_NOT
            | op::IN
            | "size"
            | "contains"
            | "startsWith"
            | "endsWith",
            _,
        ) => (given, Size::one()),
        // Conversions and methods go through what they are given once, and come to no more than that; a number as a text
        // has at most some 330 characters.
        _ => (given, Size::of_bytes(given.saturating_add(400))),
    };
    Bound { steps: steps.saturating_add(work), size }
}
