//! The operators and functions that serve in an expression, by the types that they take and give.
//!
//! Here: the table, and how names are shown. Not here: checking a call (`types`), what a call costs (`cost`).
//! Source: CEL language definition "List of Standard Definitions"; strings extension of cel-go.

use cel::common::ast::operators as op;

use super::cel_type::Type::{self, Any, Bool, Double, Duration, Int, List, Map, String, Timestamp, Uint};

/// One way to call an operator or a function.
#[derive(Clone, Copy, Debug)]
pub(super) struct Overload {
    pub(super) name: &'static str,
    /// Written behind the value that it is called on, which is the first argument.
    pub(super) is_method: bool,
    pub(super) args: &'static [Type],
    pub(super) result: Type,
}

const fn operator(name: &'static str, args: &'static [Type], result: Type) -> Overload {
    Overload { name, is_method: false, args, result }
}

const fn function(name: &'static str, args: &'static [Type], result: Type) -> Overload {
    Overload { name, is_method: false, args, result }
}

const fn method(name: &'static str, args: &'static [Type], result: Type) -> Overload {
    Overload { name, is_method: true, args, result }
}

/// `==`, `!=` and `?:` are not in it: they take what is alike, which `types` looks at.
pub(super) const ALL: &[Overload] = &[
    operator(op::LOGICAL_AND, &[Bool, Bool], Bool),
    operator(op::LOGICAL_OR, &[Bool, Bool], Bool),
    operator(op::LOGICAL_NOT, &[Bool], Bool),
    operator(op::NEGATE, &[Int], Int),
    operator(op::NEGATE, &[Double], Double),
    operator(op::ADD, &[Int, Int], Int),
    operator(op::ADD, &[Uint, Uint], Uint),
    operator(op::ADD, &[Double, Double], Double),
    operator(op::ADD, &[String, String], String),
    operator(op::ADD, &[List, List], List),
    operator(op::ADD, &[Timestamp, Duration], Timestamp),
    operator(op::ADD, &[Duration, Timestamp], Timestamp),
    operator(op::ADD, &[Duration, Duration], Duration),
    operator(op::SUBSTRACT, &[Int, Int], Int),
    operator(op::SUBSTRACT, &[Uint, Uint], Uint),
    operator(op::SUBSTRACT, &[Double, Double], Double),
    operator(op::SUBSTRACT, &[Timestamp, Timestamp], Duration),
    operator(op::SUBSTRACT, &[Timestamp, Duration], Timestamp),
    operator(op::SUBSTRACT, &[Duration, Duration], Duration),
    operator(op::MULTIPLY, &[Int, Int], Int),
    operator(op::MULTIPLY, &[Uint, Uint], Uint),
    operator(op::MULTIPLY, &[Double, Double], Double),
    operator(op::DIVIDE, &[Int, Int], Int),
    operator(op::DIVIDE, &[Uint, Uint], Uint),
    operator(op::DIVIDE, &[Double, Double], Double),
    operator(op::MODULO, &[Int, Int], Int),
    operator(op::MODULO, &[Uint, Uint], Uint),
    operator(op::IN, &[Any, List], Bool),
    operator(op::IN, &[Any, Map], Bool),
    operator(op::INDEX, &[List, Int], Any),
    operator(op::INDEX, &[List, Uint], Any),
    operator(op::INDEX, &[Map, Any], Any),
    function("size", &[String], Int),
    function("size", &[List], Int),
    function("size", &[Map], Int),
    method("size", &[String], Int),
    method("size", &[List], Int),
    method("size", &[Map], Int),
    function("bool", &[Bool], Bool),
    function("bool", &[String], Bool),
    function("int", &[Int], Int),
    function("int", &[Uint], Int),
    function("int", &[Double], Int),
    function("int", &[String], Int),
    function("int", &[Timestamp], Int),
    function("uint", &[Uint], Uint),
    function("uint", &[Int], Uint),
    function("uint", &[Double], Uint),
    function("uint", &[String], Uint),
    function("double", &[Double], Double),
    function("double", &[Int], Double),
    function("double", &[Uint], Double),
    function("double", &[String], Double),
    function("string", &[String], String),
    function("string", &[Bool], String),
    function("string", &[Int], String),
    function("string", &[Uint], String),
    function("string", &[Double], String),
    function("string", &[Timestamp], String),
    function("string", &[Duration], String),
    function("timestamp", &[String], Timestamp),
    function("timestamp", &[Int], Timestamp),
    function("timestamp", &[Timestamp], Timestamp),
    function("duration", &[String], Duration),
    function("duration", &[Duration], Duration),
    method("contains", &[String, String], Bool),
    method("startsWith", &[String, String], Bool),
    method("endsWith", &[String, String], Bool),
    method("charAt", &[String, Int], String),
    method("indexOf", &[String, String], Int),
    method("lastIndexOf", &[String, String], Int),
    method("substring", &[String, Int], String),
    method("substring", &[String, Int, Int], String),
    method("trim", &[String], String),
    method("lowerAscii", &[String], String),
    method("upperAscii", &[String], String),
    method("replace", &[String, String, String], String),
    method("split", &[String, String], List),
    method("join", &[List], String),
    method("join", &[List, String], String),
    method("getFullYear", &[Timestamp], Int),
    method("getFullYear", &[Timestamp, String], Int),
    method("getMonth", &[Timestamp], Int),
    method("getMonth", &[Timestamp, String], Int),
    method("getDate", &[Timestamp], Int),
    method("getDate", &[Timestamp, String], Int),
    method("getDayOfMonth", &[Timestamp], Int),
    method("getDayOfMonth", &[Timestamp, String], Int),
    method("getDayOfWeek", &[Timestamp], Int),
    method("getDayOfWeek", &[Timestamp, String], Int),
    method("getDayOfYear", &[Timestamp], Int),
    method("getDayOfYear", &[Timestamp, String], Int),
    method("getHours", &[Timestamp], Int),
    method("getHours", &[Timestamp, String], Int),
    method("getHours", &[Duration], Int),
    method("getMinutes", &[Timestamp], Int),
    method("getMinutes", &[Timestamp, String], Int),
    method("getMinutes", &[Duration], Int),
    method("getSeconds", &[Timestamp], Int),
    method("getSeconds", &[Timestamp, String], Int),
    method("getSeconds", &[Duration], Int),
];

/// Names of macros, for one that is misspelt or takes other arguments.
pub(super) const MACROS: &[(&str, &str)] = &[
    ("has", "`has(answer.x)`, a member behind a dot"),
    ("all", "`list.all(x, condition)`"),
    ("exists", "`list.exists(x, condition)`"),
    ("exists_one", "`list.exists_one(x, condition)`"),
    ("existsOne", "`list.existsOne(x, condition)`"),
    ("map", "`list.map(x, value)` or `list.map(x, condition, value)`"),
    ("filter", "`list.filter(x, condition)`"),
];

/// An operator as it is written: the parser calls `+` `_+_`.
pub(super) fn shown(name: &str) -> &str {
    match name {
        op::INDEX => "[ ]",
        op::CONDITIONAL => "? :",
        op::IN => "in",
        "_._" => ".",
        _ => name.trim_matches('_'),
    }
}

/// The kind of a value as people call it.
pub(super) fn kind(name: &str) -> &str {
    match name {
        "null_type" => "null",
        "iterable" => "a list",
        _ => name,
    }
}

/// Whether the name is an operator's.
pub(super) fn is_operator(name: &str) -> bool {
    name.starts_with(['_', '!', '-', '@'])
}
