//! An org that is kept in the store, beside those of the settings file.
//!
//! Here: what is stored of it, and as what it is read by the settings. Not here: what its keys mean (`config`).

use orgpipe_actors::Service;
use orgpipe_store::{RegistryWrite, StoreError, UnixMs};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use url::Url;

use crate::config::OrgText;

/// Kind of these values in the store's registry.
const KIND: &str = "org";
/// The flow of an org that a customer connects, as the settings call it.
pub(crate) const WEB_SERVER: &str = "web_server";

/// One org of the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredOrg {
    /// Format version, now 1.
    v: u8,
    /// Its name.
    pub(crate) id: String,
    /// Its keys as in an `[[org]]` table of the settings, `id` among them; no secret is. None: it stands in a file, and only
    /// who connects it is kept here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) table: Option<Map<String, Value>>,
    /// Who added it: the name of a token.
    pub(crate) by: String,
    /// When.
    pub(crate) added_ms: UnixMs,
    /// The link by which a customer may connect it, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) invitation: Option<Invitation>,
    /// Who has connected it, if it is to be connected by a customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) connected: Option<Connected>,
}

/// What is stored of a link: by it one of several is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Invitation {
    /// Which link it is.
    pub(crate) number: String,
    /// Until when it is good.
    pub(crate) until_ms: UnixMs,
    /// Who made it: the name of a token.
    pub(crate) by: String,
    /// Where the customer logs in, if that is settled with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) login_url: Option<Url>,
}

/// As whom the org was connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Connected {
    /// The Salesforce org, 18 characters.
    pub(crate) org_id: String,
    /// The user, 18 characters.
    pub(crate) user_id: String,
    /// When.
    pub(crate) at_ms: UnixMs,
}

/// Why what is stored of the orgs cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was written by a later version, or is damaged.
    #[error("what is stored of org `{id}` cannot be read: {cause}")]
    Unreadable {
        /// Its name.
        id: String,
        /// What is wrong with it.
        #[source]
        cause: serde_json::Error,
    },
}

impl StoredOrg {
    /// One that nobody has connected yet; without a table, one that stands in a file.
    pub(crate) fn new(id: &str, table: Option<Map<String, Value>>, by: &str, now_ms: UnixMs) -> Self {
        let (id, by) = (id.to_owned(), by.to_owned());
        Self { v: 1, id, table, by, added_ms: now_ms, invitation: None, connected: None }
    }

    /// One that a customer connects.
    pub(crate) fn by_consent(id: &str, by: &str, now_ms: UnixMs) -> Self {
        let table = [("id".to_owned(), json!(id)), ("auth".to_owned(), json!({ "flow": WEB_SERVER }))];
        Self::new(id, Some(Map::from_iter(table)), by, now_ms)
    }

    /// Where it logs in, if that is settled here.
    pub(crate) fn login_url(&self) -> Option<&str> {
        self.table.as_ref()?.get("login_url")?.as_str()
    }

    /// Settles where it logs in; an org of a file says so itself.
    pub(crate) fn set_login_url(&mut self, url: &Url) {
        if let Some(table) = &mut self.table {
            table.insert("login_url".to_owned(), json!(url.as_str().trim_end_matches('/')));
        }
    }

    /// Whether a customer connects it.
    pub(crate) fn is_by_consent(&self) -> bool {
        let Some(table) = &self.table else { return true };
        table.get("auth").and_then(|auth| auth.get("flow")).and_then(Value::as_str) == Some(WEB_SERVER)
    }

    /// Whether it can be worked for: it needs nobody's consent, or has it.
    pub(crate) fn is_ready(&self) -> bool {
        !self.is_by_consent() || self.connected.is_some()
    }

    /// As it would stand in a settings file; none if it stands in one.
    pub(crate) fn text(&self) -> Option<OrgText> {
        let table = self.table.as_ref()?;
        // What cannot be written as TOML is no settings, and is told as such.
        let toml = toml::to_string(&json!({ "org": [table] })).unwrap_or_else(|error| format!("= # {error}"));
        Some(OrgText { id: self.id.clone(), toml, ready: self.is_ready() })
    }

    /// All of them, by name.
    pub(crate) async fn all(service: &Service) -> Result<Vec<Result<Self, RecordError>>, StoreError> {
        let stored = service.registry(KIND).await?;
        let read = |(id, bytes): (String, Vec<u8>)| {
            serde_json::from_slice(&bytes).map_err(|cause| RecordError::Unreadable { id, cause })
        };
        Ok(stored.into_iter().map(read).collect())
    }

    /// One of them.
    pub(crate) async fn find(service: &Service, id: &str) -> Result<Option<Self>, RecordError> {
        let Some(bytes) = service.registered(KIND, id).await? else { return Ok(None) };
        let unreadable = |cause| RecordError::Unreadable { id: id.to_owned(), cause };
        serde_json::from_slice(&bytes).map(Some).map_err(unreadable)
    }

    /// Stores it, in the place of the one of its name.
    pub(crate) async fn put(&self, service: &Service) -> Result<(), StoreError> {
        let value = serde_json::to_vec(self).expect("names, texts and numbers can be written as JSON");
        let write = RegistryWrite { kind: KIND.to_owned(), name: self.id.clone(), value: Some(value) };
        service.register(vec![write]).await
    }

    /// Removes the one of this name.
    pub(crate) async fn remove(service: &Service, id: &str) -> Result<(), StoreError> {
        let write = RegistryWrite { kind: KIND.to_owned(), name: id.to_owned(), value: None };
        service.register(vec![write]).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_org_stands_in_settings_as_it_would_in_a_file() {
        let mut org = StoredOrg::by_consent("acme", "ops", UnixMs(1));
        org.set_login_url(&"https://acme.my.salesforce.com".parse().expect("a URL"));
        let table = org.table.as_mut().expect("a table");
        table.insert("limits".to_owned(), json!({ "daily_share": 0.1 }));
        assert!(org.is_by_consent() && !org.is_ready(), "nobody has connected it");
        org.connected = Some(Connected { org_id: String::new(), user_id: String::new(), at_ms: UnixMs(1) });
        let text = org.text().expect("it stands in no file");
        assert!(text.ready, "it is connected");
        let read: toml::Table = text.toml.parse().expect("TOML");
        let table = &read["org"][0];
        assert_eq!(table["id"].as_str(), Some("acme"));
        assert_eq!(table["login_url"].as_str(), Some("https://acme.my.salesforce.com"));
        assert_eq!(table["auth"]["flow"].as_str(), Some("web_server"));
        assert_eq!(table["limits"]["daily_share"].as_float(), Some(0.1));
        let again: StoredOrg = serde_json::from_value(json!(org)).expect("as it was");
        assert_eq!(again, org);
    }

    #[test]
    fn an_org_with_a_login_of_its_own_is_ready_at_once_and_one_of_a_file_stands_there() {
        let table = json!({ "id": "acme", "auth": { "flow": "jwt", "username": "a@b.example" } });
        let own = StoredOrg::new("acme", table.as_object().cloned(), "ops", UnixMs(1));
        assert!(own.text().is_some_and(|text| text.ready) && !own.is_by_consent());
        let of_file = StoredOrg::new("acme", None, "ops", UnixMs(1));
        assert!(of_file.text().is_none() && of_file.is_by_consent());
        let null = StoredOrg::new("acme", json!({ "id": null }).as_object().cloned(), "ops", UnixMs(1));
        assert!(null.text().is_some_and(|text| text.toml.parse::<toml::Table>().is_err()));
    }
}
