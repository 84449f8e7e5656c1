//! An expression in the Common Expression Language that makes one mapped value.
//!
//! Here: compiling and checking it, evaluating it for one record within a bound. Not here: what is made of its value
//! (`value`), its types (`types`), its bound (`cost`), JSON (`convert`).
//!
//! Invariant: what is compiled fits the stack of any thread, and what is evaluated was found to be cheap enough before.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use cel::{Context, Env, ExecutionError, IdedExpr, extensions, parser::PrattParser};
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::row::Row;

mod cel_type;
mod convert;
mod cost;
mod flaw;
mod functions;
mod term;
mod types;
mod variables;

pub use cel_type::Type;
pub use flaw::{Failure, Flaw};

use term::Term;
use variables::{ANSWER, NOW, ORG, RECORD};

/// Characters of an expression.
pub const CHARS_MAX: usize = 2_000;
/// Steps that one expression may take for one record: some 10 ms for the slowest that are known, less than 1 ms for loops
/// over numbers, as measured.
pub const STEPS_MAX: u64 = 200_000;
/// The path of a value as a whole.
const WHOLE: &[&[String]] = &[&[]];

/// Without optional values: what is not there is asked for by `has`.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::default().with_optional_support(false).with_stdlib();
    extensions::strings(&mut env).expect("no name of the library is taken");
    Arc::new(env)
});

/// A checked expression; two are equal if their texts are.
#[derive(Clone)]
pub struct Expression {
    source: String,
    compiled: Arc<Compiled>,
}

struct Compiled {
    expr: IdedExpr,
    term: Term,
    result: Type,
    record_paths: Vec<String>,
    /// Members of the answer that it takes; an empty path is the whole.
    answer_paths: Vec<Vec<String>>,
}

/// Everything an expression may take.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// The customer's record.
    pub record: &'a Row,
    /// One object of what the vendor answered.
    pub answer: &'a Value,
    /// The org's name in the settings.
    pub org: &'a str,
    /// The time of the decision.
    pub now: DateTime<Utc>,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source).finish()
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Expression {}

impl Expression {
    /// Compiles and checks an expression; reports every flaw that can be told apart.
    pub fn new(source: &str) -> Result<Self, Vec<Flaw>> {
        let expr = parsed(source).map_err(|flaw| vec![flaw])?;
        let term = Term::new(&expr, 0).map_err(|flaw| vec![flaw])?;
        let (result, mut flaws) = types::check(&term);
        let record_paths = record_paths(&term, &mut flaws);
        if !flaws.is_empty() {
            return Err(flaws);
        }
        let answer_paths = term.paths(ANSWER);
        let compiled = Arc::new(Compiled { expr, term, result, record_paths, answer_paths });
        Ok(Self { source: source.to_owned(), compiled })
    }

    /// Its text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What its value is, as far as it can be told without a record.
    pub fn result(&self) -> Type {
        self.compiled.result
    }

    /// Paths of the customer's record that have to be read for it.
    pub fn record_paths(&self) -> &[String] {
        &self.compiled.record_paths
    }

    /// Whether it takes nothing of what the vendor answered.
    pub fn is_without_answer(&self) -> bool {
        self.compiled.answer_paths.is_empty()
    }

    /// Whether it takes something that tells one record from another.
    pub fn tells_records_apart(&self) -> bool {
        !self.compiled.record_paths.is_empty() || !self.is_without_answer()
    }

    /// Whether it comes to something else each time, as it takes the time of the decision.
    pub fn takes_now(&self) -> bool {
        !self.compiled.term.paths(NOW).is_empty()
    }

    /// Its value for one record.
    pub fn value(&self, given: Given<'_>) -> Result<Value, Failure> {
        let Compiled { expr, record_paths, .. } = self.compiled.as_ref();
        let record = convert::record(given.record, record_paths).map_err(|path| {
            let hint = format!("Check that `{path}` exists and that the integration user may read it.");
            Failure::new(format!("the record was read without `{path}`"), &hint)
        })?;
        if self.steps(&record, given) > STEPS_MAX {
            let hint =
                "Let the expression go through less of the answer, or let your API answer the value itself.";
            return Err(Failure::new("its expression would take too long for what is answered", hint));
        }
        let mut context = Context::with_env(Arc::clone(&ENV));
        context.add_variable_from_value(RECORD, convert::cel(&record, WHOLE));
        context.add_variable_from_value(ANSWER, convert::cel(given.answer, &self.taken()));
        context.add_variable_from_value(ORG, given.org.to_owned());
        context.add_variable_from_value(NOW, cel::Value::Timestamp(given.now.fixed_offset()));
        let value = cel::Value::resolve(expr, &context).map_err(|error| failure(&error))?;
        convert::json(value)
    }

    /// The members of the answer that it takes.
    fn taken(&self) -> Vec<&[String]> {
        self.compiled.answer_paths.iter().map(Vec::as_slice).collect()
    }

    /// The most steps that it takes for one record, of which these fields are read; what it is given is copied as well.
    fn steps(&self, record: &Value, given: Given<'_>) -> u64 {
        let copied = cost::bytes(record, WHOLE).saturating_add(cost::bytes(given.answer, &self.taken()));
        if copied > STEPS_MAX {
            return copied;
        }
        let sizes = [
            (RECORD, cost::Size::of(record, WHOLE)),
            (ANSWER, cost::Size::of(given.answer, &self.taken())),
            (ORG, cost::Size::of_text(given.org)),
            (NOW, cost::Size::of_instant()),
        ];
        cost::steps(&self.compiled.term, &sizes).saturating_add(copied)
    }
}

fn parsed(source: &str) -> Result<IdedExpr, Flaw> {
    let chars = source.chars().count();
    if source.trim().is_empty() {
        return Err(Flaw::new("is empty", "Write an expression, such as `answer.employees > 1000`."));
    }
    if chars > CHARS_MAX {
        let message = format!("has {chars} characters, and an expression may have {CHARS_MAX}");
        return Err(Flaw::new(message, "Let your API answer the value itself."));
    }
    PrattParser::new().parse(source).map_err(|errors| {
        let hint = "Write an expression of the Common Expression Language, such as \
                    `answer.employees > 1000 ? 'large' : 'small'`.";
        match errors.errors.first() {
            Some(error) => {
                let place = match error.pos {
                    (line, column) if line > 0 => format!(" at line {line}, character {column}"),
                    _ => String::new(),
                };
                Flaw::new(format!("cannot be read{place}: {}", error.msg), hint)
            }
            None => Flaw::new("cannot be read", hint),
        }
    })
}

/// The fields that an expression takes of the record; a record as a whole cannot be read.
fn record_paths(term: &Term, flaws: &mut Vec<Flaw>) -> Vec<String> {
    let mut paths: Vec<String> = Vec::new();
    for path in term.paths(RECORD) {
        let path = path.join(".");
        if path.is_empty() {
            let hint = "Name the field, such as `record.Website`.";
            flaws.push(Flaw::new("takes `record` as a whole, of which only named fields are read", hint));
        } else if !crate::name::is_path(&path) {
            let hint = "Write API names, such as `record.Website` or `record.Owner.Email`.";
            flaws.push(Flaw::new(format!("`record.{path}` names no field"), hint));
        } else if !paths.contains(&path) {
            paths.push(path);
        }
    }
    let within = |path: &str, parent: &str| {
        path.len() > parent.len()
            && path.as_bytes()[parent.len()] == b'.'
            && path[..parent.len()].eq_ignore_ascii_case(parent)
    };
    if let Some(parent) = paths.iter().find(|parent| paths.iter().any(|path| within(path, parent))) {
        let hint = "Name a field of it, as in the other places.";
        flaws.push(Flaw::new(format!("`record.{parent}` is a record of its own"), hint));
    }
    paths
}

/// What an error of the evaluator says, without the values that it holds.
fn failure(error: &ExecutionError) -> Failure {
    let types = "Convert one of the values, such as `string(answer.number)` or `double(answer.number)`; \
                 where null may stand, write `answer.x == null ? … : …`.";
    match error {
        ExecutionError::NoSuchKey(_) => {
            let hint = "Ask before whether it is there: `has(answer.x) ? … : …`.";
            Failure::new("its expression takes something that was not answered", hint)
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            let hint = "Ask before: `answer.x == 0 ? … : …`.";
            Failure::new("its expression divides by zero", hint)
        }
        ExecutionError::Overflow(..) => {
            let hint = "Calculate with doubles: `double(answer.x)`.";
            Failure::new("its expression comes to a number or time that is out of range", hint)
        }
        ExecutionError::IndexOutOfBounds(_) => {
            let hint = "Ask before: `size(answer.list) > 0 ? answer.list[0] : …`.";
            Failure::new("its expression takes a member of a list that has fewer", hint)
        }
        ExecutionError::FunctionError { function, .. } => {
            Failure::new(format!("`{function}` of its expression cannot take the value"), types)
        }
        ExecutionError::NoSuchOverload(overload) => {
            let name = functions::shown(overload.function());
            let kinds: Vec<&str> =
                overload.argument_types().iter().map(|kind| functions::kind(kind)).collect();
            let kinds = kinds.join(", ");
            Failure::new(format!("`{name}` of its expression cannot take {kinds}"), types)
        }
        ExecutionError::UnexpectedType { got, want } => {
            let (got, want) = (functions::kind(got), functions::kind(want));
            Failure::new(format!("its expression has {got} where {want} is needed"), types)
        }
        _ => Failure::new("its expression has values of kinds that do not go together", types),
    }
}

#[cfg(test)]
mod tests;
