//! Customers who connect their orgs themselves: what they grant, and which Salesforce org is whose.
//!
//! Here: keeping it. Not here: the pages and the consent (`src/connect`), using it (`org/api/vault.rs`).

use orgpipe_salesforce::{
    call::Reply,
    oauth::{Login, LoginCall, error::LoginError},
};
use orgpipe_store::StoreError;
use secrecy::{ExposeSecret as _, SecretString};

use super::Service;
use crate::{
    failpoint::Failpoints,
    org::{
        grant::Grant,
        store::{OrgStore, Position},
    },
    supervise::supervisor::OrgError,
};

impl Service {
    /// A key for one purpose, which comes of the vault key.
    pub async fn derived_key(&self, purpose: &str) -> Vec<u8> {
        self.in_force.lock().await.common.grants.derived_key(purpose)
    }

    /// The customer has granted this refresh token to the app with this client ID: it is durable once this is answered. An org
    /// that runs works with it from then on, one that does not finds it when it is started.
    pub async fn grant(
        &self,
        id: &str,
        client_id: &str,
        refresh_token: &SecretString,
    ) -> Result<(), OrgError> {
        // No reload waits for it: the settings in force are not held while a token request of the org may be under way.
        if let Some(org) = self.orgs.get(id) {
            org.api.connect(client_id, refresh_token).await?;
        } else {
            let store = OrgStore::new(self.store.clone(), id);
            let grants = self.grants.of(store, Failpoints::default());
            let grant = Grant::new(refresh_token.expose_secret(), self.clock.now_ms()).of_app(client_id);
            grants.hold().await.put(&grant).await?;
        }
        // Also one that was started in between begins anew. It may have used the grant already: it is not stored once more.
        match self.restart(id).await {
            // One that is not there, parked or paused finds it later.
            Ok(())
            | Err(OrgError::Unknown(_) | OrgError::Down(_) | OrgError::Busy(_) | OrgError::Stopping(_)) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// How an org of the settings logs in.
    pub fn login_of(&self, id: &str) -> Option<Login> {
        self.orgs.get(id).map(|org| org.settings.login.clone())
    }

    /// Which org of those of which something is stored, in the settings or not, is this Salesforce org by its last login.
    pub async fn org_of(&self, org_id: &str) -> Result<Option<String>, StoreError> {
        for (id, _) in self.store.orgs().await? {
            if self.org_id(&id).await?.as_deref() == Some(org_id) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// The ID of the Salesforce org that an org's login has led to last, 18 characters.
    pub async fn org_id(&self, id: &str) -> Result<Option<String>, StoreError> {
        let stored = OrgStore::new(self.store.clone(), id).bytes(Position::OrgId).await?;
        Ok(stored.and_then(|bytes| String::from_utf8(bytes).ok()))
    }

    /// Posts a form to one of a host's OAuth endpoints; an answer of any status is `Ok`.
    pub async fn post_form(&self, host: &str, call: LoginCall) -> Result<Reply, LoginError> {
        self.http.post_form(host, call).await
    }
}
