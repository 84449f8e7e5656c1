//! A body of Bayeux messages, read in one pass.
//!
//! Here: JSON to fields, whatever their types. Not here: what the fields mean (`wire`).
//!
//! An answer may hold thousands of events, so a message is no map, and fields that nobody asks for are skipped. The bench
//! `cometd` holds it against the bare parse.

use std::fmt;

use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

/// The fields of a message that are looked at, of any type; of two with the same name the last.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) channel: Option<Value>,
    pub(super) client: Option<Value>,
    pub(super) successful: Option<Value>,
    pub(super) error: Option<Value>,
    pub(super) ext: Option<Value>,
    pub(super) advice: Option<Value>,
    pub(super) data: Option<Value>,
}

/// What a body of JSON is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A list, or one object, which counts as a list of one.
    Messages,
    Null,
    /// A number, a text, a truth.
    Other,
}

/// Gives each message of a body, in order; what stands in the list and is no object is left out. After an error, those
/// given so far are not to be relied on.
pub(super) fn each(body: &[u8], take: &mut dyn FnMut(Message)) -> Result<Kind, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let kind = Part { take, nested: false }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(kind)
}

/// The body, or one element of its list.
struct Part<'t> {
    take: &'t mut dyn FnMut(Message),
    nested: bool,
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = Kind;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = Kind;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Kind, A::Error> {
        if self.nested {
            while list.next_element::<IgnoredAny>()?.is_some() {}
        } else {
            while list.next_element_seed(Part { take: &mut *self.take, nested: true })?.is_some() {}
        }
        Ok(Kind::Messages)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Kind, A::Error> {
        let mut message = Message::default();
        while let Some(name) = fields.next_key()? {
            let field = match name {
                Name::Channel => &mut message.channel,
                Name::ClientId => &mut message.client,
                Name::Successful => &mut message.successful,
                Name::Error => &mut message.error,
                Name::Ext => &mut message.ext,
                Name::Advice => &mut message.advice,
                Name::Data => &mut message.data,
                Name::Other => {
                    fields.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *field = Some(fields.next_value()?);
        }
        (self.take)(message);
        Ok(Kind::Messages)
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Kind, E> {
        Ok(Kind::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Kind, E> {
        Ok(Kind::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Kind, E> {
        Ok(Kind::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Kind, E> {
        Ok(Kind::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Kind, E> {
        Ok(Kind::Other)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Name {
    Channel,
    ClientId,
    Successful,
    Error,
    Ext,
    Advice,
    Data,
    #[serde(other)]
    Other,
}
