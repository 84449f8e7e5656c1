//! An expression as the checks see it: the parts of the language that serve, macros as what they were written as.
//!
//! Here: reading the parser's tree, refusing what does not serve. Not here: types (`types`), names of functions
//! (`functions`).

use cel::{
    IdedExpr,
    common::ast::{ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators},
};

use super::{cel_type::Type, flaw::Flaw, variables::VARIABLES};

/// Levels of brackets, calls and operators around each other. The evaluator takes some 4 KB of stack for each.
const DEPTH_MAX: usize = 60;

/// One part of an expression, with the parts within it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Term {
    Literal {
        of: Type,
        bytes: usize,
    },
    Variable(String),
    /// `of.name`, or `has(of.name)`.
    Field {
        of: Box<Term>,
        name: String,
        is_asked_for: bool,
    },
    /// An operator, or a function; the value that a method is called on comes first.
    Call {
        name: String,
        is_method: bool,
        args: Vec<Term>,
    },
    List(Vec<Term>),
    Map(Vec<(Term, Term)>),
    /// A macro that goes through a list, or through the keys of a map.
    Each {
        what: Each,
        over: Box<Term>,
        item: String,
        filter: Option<Box<Term>>,
        body: Box<Term>,
    },
}

/// What is made of the members of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Each {
    /// `all`, `exists` and `exists_one`: whether the body is true.
    Asks,
    /// `map` and `filter`: a list of the body's values; that of `filter` is the member itself.
    Maps,
}

impl Term {
    /// Reads the parser's tree from this depth on.
    pub(super) fn new(expr: &IdedExpr, depth: usize) -> Result<Self, Flaw> {
        if depth > DEPTH_MAX {
            let message =
                format!("has more than {DEPTH_MAX} levels of operators and brackets within each other");
            return Err(Flaw::new(
                message,
                "Use a `map` for many cases, or let your API answer the value itself.",
            ));
        }
        let inside = |expr: &IdedExpr| Self::new(expr, depth + 1);
        match &expr.expr {
            Expr::Literal(literal) => literal_term(literal),
            Expr::Ident(name) => Ok(Self::Variable(name.clone())),
            Expr::Select(select) => Ok(Self::Field {
                of: Box::new(inside(&select.operand)?),
                name: select.field.clone(),
                is_asked_for: select.test,
            }),
            Expr::Call(call) => {
                let args = call.target.iter().map(AsRef::as_ref).chain(&call.args).map(inside);
                Ok(Self::Call {
                    name: call.func_name.clone(),
                    is_method: call.target.is_some(),
                    args: args.collect::<Result<_, _>>()?,
                })
            }
            Expr::List(list) => Ok(Self::List(list.elements.iter().map(inside).collect::<Result<_, _>>()?)),
            Expr::Map(map) => {
                let entries = map.entries.iter().map(|entry| match &entry.expr {
                    EntryExpr::MapEntry(entry) => Ok((inside(&entry.key)?, inside(&entry.value)?)),
                    EntryExpr::StructField(_) => Err(unsupported("objects of a named type")),
                });
                Ok(Self::Map(entries.collect::<Result<_, _>>()?))
            }
            Expr::Comprehension(each) => each_term(each, depth),
            Expr::Struct(_) => Err(unsupported("objects of a named type")),
            Expr::Unspecified => Err(unsupported("this")),
        }
    }

    /// The paths that are taken of a variable, each as its names; an empty one = the variable as a whole.
    pub(super) fn paths(&self, variable: &str) -> Vec<Vec<String>> {
        let mut paths = Vec::new();
        self.collect(variable, &mut paths);
        paths
    }

    fn collect(&self, variable: &str, paths: &mut Vec<Vec<String>>) {
        if let Some(path) = self.path_of(variable) {
            paths.push(path);
            return;
        }
        self.parts().into_iter().for_each(|part| part.collect(variable, paths));
    }

    /// The names behind a variable, if this is it or a field of a field of it.
    fn path_of(&self, variable: &str) -> Option<Vec<String>> {
        match self {
            Self::Variable(name) => (name == variable).then(Vec::new),
            Self::Field { of, name, .. } => {
                let mut path = of.path_of(variable)?;
                path.push(name.clone());
                Some(path)
            }
            Self::Literal { .. } | Self::Call { .. } | Self::List(_) | Self::Map(_) | Self::Each { .. } => {
                None
            }
        }
    }

    fn parts(&self) -> Vec<&Self> {
        match self {
            Self::Literal { .. } | Self::Variable(_) => Vec::new(),
            Self::Field { of, .. } => vec![of],
            Self::Call { args, .. } | Self::List(args) => args.iter().collect(),
            Self::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).collect(),
            Self::Each { over, filter, body, .. } => {
                [over.as_ref(), body].into_iter().chain(filter.as_deref()).collect()
            }
        }
    }
}

fn literal_term(literal: &LiteralValue) -> Result<Term, Flaw> {
    let (of, bytes) = match literal {
        LiteralValue::Boolean(_) => (Type::Bool, 1),
        LiteralValue::Double(_) => (Type::Double, 1),
        LiteralValue::Int(_) => (Type::Int, 1),
        LiteralValue::Null => (Type::Null, 1),
        LiteralValue::String(text) => (Type::String, text.inner().len()),
        LiteralValue::UInt(_) => (Type::Uint, 1),
        LiteralValue::Bytes(_) => return Err(unsupported("bytes")),
    };
    Ok(Term::Literal { of, bytes })
}

/// A macro as it was written, from what the parser made of it: a loop whose step takes what was found so far and one part
/// or two of the operator's.
fn each_term(each: &ComprehensionExpr, depth: usize) -> Result<Term, Flaw> {
    let item = &each.iter_var;
    if VARIABLES.contains(&item.as_str()) || item.starts_with('.') {
        let hint = "Choose another, such as `x`.";
        return Err(Flaw::new(format!("calls a member `{item}`, which is a name that has a meaning"), hint));
    }
    let (what, filter, body) = written(&each.loop_step).ok_or_else(|| unsupported("this macro"))?;
    // The evaluator goes through three levels for the step of a loop.
    let inside = |expr: &IdedExpr| Term::new(expr, depth + 4).map(Box::new);
    let over = Box::new(Term::new(&each.iter_range, depth + 1)?);
    let filter = filter.map(inside).transpose()?;
    Ok(Term::Each { what, over, item: item.clone(), filter, body: inside(body)? })
}

fn written(step: &IdedExpr) -> Option<(Each, Option<&IdedExpr>, &IdedExpr)> {
    let Expr::Call(call) = &step.expr else { return None };
    match (call.func_name.as_str(), call.args.as_slice()) {
        (operators::LOGICAL_AND | operators::LOGICAL_OR, [_, body]) => Some((Each::Asks, None, body)),
        (operators::ADD, [_, added]) => Some((Each::Maps, None, only_member(added)?)),
        (operators::CONDITIONAL, [condition, then, _]) => {
            let Expr::Call(add) = &then.expr else { return None };
            let added = add.args.get(1)?;
            match only_member(added) {
                // `exists_one` counts.
                None => Some((Each::Asks, None, condition)),
                Some(body) => Some((Each::Maps, Some(condition), body)),
            }
        }
        _ => None,
    }
}

fn only_member(list: &IdedExpr) -> Option<&IdedExpr> {
    match &list.expr {
        Expr::List(list) if list.elements.len() == 1 => list.elements.first(),
        _ => None,
    }
}

fn unsupported(what: &str) -> Flaw {
    Flaw::new(
        format!("uses {what}, which does not serve here"),
        "Use texts, numbers, true, false, null, lists and maps.",
    )
}
