//! What an expression's parts are, as far as it can be told without a record: what surely cannot work is refused.
//!
//! Here: one pass over the tree. What the record and the answer hold is not known, so it fits everywhere.

use cel::common::ast::operators as op;

use super::{
    cel_type::Type,
    flaw::Flaw,
    functions::{self, ALL, MACROS, Overload},
    term::{Each, Term},
    variables::{NOW, ORG, VARIABLES},
};

/// Names further apart than this are not taken for misspellings of each other.
const EDITS_MAX: usize = 2;

/// What the expression comes to, and everything that cannot work.
pub(super) fn check(term: &Term) -> (Type, Vec<Flaw>) {
    let mut checker = Checker { items: Vec::new(), flaws: Vec::new() };
    let result = checker.of(term);
    if matches!(result, Type::Map | Type::Duration) {
        let hint = match result {
            Type::Map => "Take one of its values.",
            _ => "Take a number of it, such as `(now - timestamp(answer.at)).getHours()`.",
        };
        checker.flaw(format!("comes to a {result}, which no field keeps"), hint);
    }
    (result, checker.flaws)
}

struct Checker<'t> {
    /// Names of members of the lists around this place.
    items: Vec<&'t str>,
    flaws: Vec<Flaw>,
}

impl<'t> Checker<'t> {
    fn flaw(&mut self, message: impl Into<String>, hint: impl Into<String>) {
        self.flaws.push(Flaw::new(message, hint));
    }

    fn of(&mut self, term: &'t Term) -> Type {
        match term {
            Term::Literal { of, .. } => *of,
            Term::Variable(name) => self.variable(name),
            Term::Field { of, name, is_asked_for } => {
                let of = self.of(of);
                if !matches!(of, Type::Any | Type::Map) {
                    let hint = "Only what your API answered, the record and maps have members.";
                    self.flaw(format!("takes `.{name}` of a {of}"), hint);
                }
                if *is_asked_for { Type::Bool } else { Type::Any }
            }
            Term::List(members) => {
                for member in members {
                    self.of(member);
                }
                Type::List
            }
            Term::Map(entries) => {
                for (key, value) in entries {
                    let key = self.of(key);
                    if !matches!(key, Type::Any | Type::Bool | Type::Int | Type::Uint | Type::String) {
                        self.flaw(format!("has a map with a {key} as a key"), "Use a text as the key.");
                    }
                    self.of(value);
                }
                Type::Map
            }
            Term::Each { what, over, item, filter, body } => {
                let over = self.of(over);
                if !matches!(over, Type::Any | Type::List | Type::Map) {
                    let hint = "Only lists, and the keys of maps, can be gone through; `split` makes a list of a text.";
                    self.flaw(format!("goes through the members of a {over}"), hint);
                }
                self.items.push(item);
                if let Some(filter) = filter {
                    self.condition(filter);
                }
                let result = match what {
                    Each::Asks => {
                        self.condition(body);
                        Type::Bool
                    }
                    Each::Maps => {
                        self.of(body);
                        Type::List
                    }
                };
                self.items.pop();
                result
            }
            Term::Call { name, is_method, args } => self.call(name, *is_method, args),
        }
    }

    fn variable(&mut self, name: &str) -> Type {
        if self.items.contains(&name) {
            return Type::Any;
        }
        match name {
            ORG => Type::String,
            NOW => Type::Timestamp,
            _ if VARIABLES.contains(&name) => Type::Any,
            _ => {
                let known = VARIABLES.iter().chain(&self.items).copied();
                let hint = nearest(name, known).map_or_else(
                    || "There are `record`, `answer`, `org` and `now`; a text stands in quotes.".to_owned(),
                    |meant| format!("Did you mean `{meant}`?"),
                );
                self.flaw(format!("takes `{name}`, which is not there"), hint);
                Type::Any
            }
        }
    }

    fn condition(&mut self, term: &'t Term) {
        let of = self.of(term);
        if !of.may_be(Type::Bool) {
            self.flaw(
                format!("asks whether a {of} is true"),
                "Compare it, such as `answer.x > 0` or `answer.x != ''`.",
            );
        }
    }

    fn call(&mut self, name: &str, is_method: bool, args: &'t [Term]) -> Type {
        if let (op::CONDITIONAL, [condition, then, otherwise]) = (name, args) {
            self.condition(condition);
            return match (self.of(then), self.of(otherwise)) {
                (Type::Null, other) | (other, Type::Null) => other,
                (then, otherwise) if then == otherwise => then,
                _ => Type::Any,
            };
        }
        let given: Vec<Type> = args.iter().map(|arg| self.of(arg)).collect();
        match (name, given.as_slice()) {
            (op::EQUALS | op::NOT_EQUALS, [one, other]) => {
                if !one.is_like(*other) && *one != Type::Null && *other != Type::Null {
                    self.flaw(format!("compares a {one} with a {other}, which are never equal"), convert());
                }
                Type::Bool
            }
            (op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS, [one, other]) => {
                if !one.is_like(*other) || !one.is_ordered() || !other.is_ordered() {
                    let name = functions::shown(name);
                    self.flaw(format!("compares a {one} with a {other} by `{name}`"), convert());
                }
                Type::Bool
            }
            // Whether a number of the answer is an int is for the answer to say: what works for 1234.5 fails for 1234.
            (
                op::ADD | op::SUBSTRACT | op::MULTIPLY | op::DIVIDE,
                [Type::Any, Type::Double] | [Type::Double, Type::Any],
            ) => {
                let name = functions::shown(name);
                let message = format!("calculates by `{name}` with a double and a value that may be an int");
                self.flaw(message, "Make both doubles, such as `double(answer.number) / 1000.0`.");
                Type::Double
            }
            _ => self.overloaded(name, is_method, &given),
        }
    }

    fn overloaded(&mut self, name: &str, is_method: bool, given: &[Type]) -> Type {
        let named: Vec<&Overload> = ALL.iter().filter(|overload| overload.name == name).collect();
        if named.is_empty() {
            self.unknown_function(name);
            return Type::Any;
        }
        let written: Vec<&Overload> =
            named.iter().copied().filter(|known| known.is_method == is_method).collect();
        if written.is_empty() {
            let example = if is_method { format!("{name}(x)") } else { format!("x.{name}(…)") };
            self.flaw(format!("calls `{name}` another way than it is called"), format!("Write `{example}`."));
            return Type::Any;
        }
        let taking: Vec<&Overload> =
            written.iter().copied().filter(|known| known.args.len() == given.len()).collect();
        if taking.is_empty() {
            let behind = usize::from(is_method);
            let mut counts: Vec<usize> = written.iter().map(|known| known.args.len() - behind).collect();
            counts.sort_unstable();
            counts.dedup();
            let counts: Vec<String> = counts.iter().map(ToString::to_string).collect();
            let message = format!("gives `{name}` {} values", given.len() - behind);
            self.flaw(message, format!("It takes {}.", counts.join(" or ")));
            return Type::Any;
        }
        let fits =
            |known: &&&Overload| known.args.iter().zip(given).all(|(takes, given)| takes.may_be(*given));
        let results: Vec<Type> = taking.iter().filter(fits).map(|known| known.result).collect();
        match results.as_slice() {
            [] => {
                let name = functions::shown(name);
                let given: Vec<String> = given.iter().map(ToString::to_string).collect();
                self.flaw(format!("gives `{name}` {}", given.join(" and ")), convert());
                Type::Any
            }
            [first, rest @ ..] if rest.iter().all(|result| result == first) => *first,
            _ => Type::Any,
        }
    }

    fn unknown_function(&mut self, name: &str) {
        let shown = functions::shown(name);
        if let Some((name, usage)) = MACROS.iter().find(|(known, _)| *known == name) {
            self.flaw(format!("calls `{name}` another way than it is called"), format!("Write {usage}."));
            return;
        }
        let known = ALL.iter().map(|known| known.name).filter(|name| !functions::is_operator(name));
        let hint = nearest(name, known.clone().chain(MACROS.iter().map(|(name, _)| *name))).map_or_else(
            || {
                let mut names: Vec<&str> = known.collect();
                names.dedup();
                format!("There are: {}.", names.join(", "))
            },
            |meant| format!("Did you mean `{meant}`?"),
        );
        self.flaw(format!("calls `{shown}`, which is not there"), hint);
    }
}

fn convert() -> &'static str {
    "Convert one of them, such as `string(answer.number)`, `int(answer.text)` or `double(answer.number)`."
}

/// The name that was probably meant.
fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let edits = |known: &str| strsim::osa_distance(&known.to_lowercase(), &name.to_lowercase());
    known
        .map(|known| (edits(known), known))
        .filter(|(edits, _)| *edits <= EDITS_MAX)
        .min()
        .map(|(_, known)| known)
}
