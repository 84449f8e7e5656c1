//! Paths, queries and bodies that are not understood.
//!
//! Here: what is answered to them, and what a body is at all. Not here: which names a path knows (the handlers).

use std::{fmt, marker::PhantomData};

use actix_web::{
    HttpResponse,
    error::{InternalError, QueryPayloadError},
    web::{PathConfig, QueryConfig},
};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::json;

/// For a path that takes no query: any name in one is refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoQuery {}

/// A query that cannot be read, or that has a name nobody knows, is answered with the names there are.
pub(super) fn queries() -> QueryConfig {
    QueryConfig::default().error_handler(|error, _| {
        let what = match &error {
            QueryPayloadError::Deserialize(cause) => cause.to_string(),
            other => other.to_string(),
        };
        let hint = "Nothing was done; correct the name and ask again.";
        let body = json!({ "error": format!("the query cannot be taken: {what}"), "hint": hint });
        InternalError::from_response(error, HttpResponse::BadRequest().json(body)).into()
    })
}

/// A part of a path that is not what it must be, such as a number.
pub(super) fn paths() -> PathConfig {
    PathConfig::default().error_handler(|error, _| {
        let hint = "GET /api/v1/orgs lists the orgs, and GET /api/v1/orgs/ORG/dead-letters their dead letters by number.";
        let body = json!({ "error": format!("there is no such path: {error}"), "hint": hint });
        InternalError::from_response(error, HttpResponse::NotFound().json(body)).into()
    })
}

/// A JSON object with the keys of `T`, each of them once. A derived `T` alone would be read from a list, too.
#[derive(Debug)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectKeys(PhantomData)).map(Self)
    }
}

/// Reads them.
struct ObjectKeys<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectKeys<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, keys: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(keys))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        name: String,
    }

    #[test]
    fn a_body_is_an_object_with_each_key_once() {
        for (text, read) in [
            (r#"{"name":"a"}"#, Ok("a")),
            (r#"["a"]"#, Err("expected an object")),
            (r#""a""#, Err("expected an object")),
            ("null", Err("expected an object")),
            (r#"{"name":"a","name":"b"}"#, Err("duplicate field `name`")),
            (r#"{"nam":"a"}"#, Err("unknown field `nam`, expected `name`")),
            ("{}", Err("missing field `name`")),
        ] {
            match (serde_json::from_str::<Object<Body>>(text), read) {
                (Ok(Object(body)), Ok(name)) => assert_eq!(body.name, name),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{text}: {error}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }
}
