//! Paths, queries and bodies that are not understood.
//!
//! Here: what is answered to them, and what a body is at all. Not here: which names a path knows (the handlers).

use std::{fmt, marker::PhantomData};

use actix_web::{
    Error, FromRequest, HttpRequest, HttpResponse,
    dev::{JsonBody, Payload},
    error::{InternalError, JsonPayloadError, QueryPayloadError},
    http::{StatusCode, header},
    web::{JsonConfig, PathConfig, QueryConfig},
};
use futures_util::future::{FutureExt as _, LocalBoxFuture};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::json;

/// Bytes of a body.
const BODY_BYTES_MAX: usize = 16 * 1024;

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

/// A body that cannot be read, or that has a key nobody knows, is answered with the keys there are.
pub(super) fn bodies() -> JsonConfig {
    let config = JsonConfig::default().limit(BODY_BYTES_MAX);
    config.error_handler(|error, _| unreadable_body(error, BODY_BYTES_MAX))
}

fn unreadable_body(error: JsonPayloadError, bytes_max: usize) -> Error {
    let (status, what) = match &error {
        JsonPayloadError::ContentType => (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body must be JSON, and say so by `Content-Type: application/json`".to_owned(),
        ),
        JsonPayloadError::Overflow { .. } | JsonPayloadError::OverflowKnownLength { .. } => (
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is larger than the {bytes_max} bytes that are read"),
        ),
        JsonPayloadError::Deserialize(cause) => {
            (StatusCode::BAD_REQUEST, format!("the body cannot be taken: {cause}"))
        }
        _ => (StatusCode::BAD_REQUEST, "the body cannot be read".to_owned()),
    };
    let hint = "Nothing was done; correct the body and ask again.";
    let mut answer = HttpResponse::build(status);
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        // What was not read would be taken for the next request.
        answer.insert_header((header::CONNECTION, "close"));
    }
    InternalError::from_response(error, answer.json(json!({ "error": what, "hint": hint }))).into()
}

/// A body like an [`Object`], of at most `BYTES_MAX` bytes where that is more than others may have.
#[derive(Debug)]
pub(super) struct LargeObject<T, const BYTES_MAX: usize>(pub(super) T);

impl<T: DeserializeOwned + 'static, const BYTES_MAX: usize> FromRequest for LargeObject<T, BYTES_MAX> {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = JsonBody::<Object<T>>::new(request, payload, None, true).limit(BYTES_MAX);
        let read = body.map(|read| match read {
            Ok(Object(body)) => Ok(Self(body)),
            Err(error) => Err(unreadable_body(error, BYTES_MAX)),
        });
        read.boxed_local()
    }
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
