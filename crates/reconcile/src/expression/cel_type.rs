//! What a value of an expression is.

use std::fmt;

/// What a value is, in the language's own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Not known before there is a record.
    Any,
    /// Nothing.
    Null,
    /// True or false.
    Bool,
    /// A whole number of 64 bits.
    Int,
    /// One that is never negative.
    Uint,
    /// A floating-point number.
    Double,
    /// Text.
    String,
    /// An instant.
    Timestamp,
    /// A span of time.
    Duration,
    /// A list of anything.
    List,
    /// Values by key.
    Map,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "any value",
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::String => "string",
            Self::Timestamp => "timestamp",
            Self::Duration => "duration",
            Self::List => "list",
            Self::Map => "map",
        })
    }
}

impl Type {
    pub(super) fn may_be(self, other: Self) -> bool {
        self == other || self == Self::Any || other == Self::Any
    }

    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Uint | Self::Double)
    }

    pub(super) fn is_ordered(self) -> bool {
        self.is_number()
            || matches!(self, Self::Any | Self::Bool | Self::String | Self::Timestamp | Self::Duration)
    }

    /// Whether two values of these types can be equal.
    pub(super) fn is_like(self, other: Self) -> bool {
        self.may_be(other) || self.is_number() && other.is_number()
    }
}
