//! What somebody can do about an error of Salesforce's.
//!
//! Here: one sentence for each code that has a cure of its own, and one for each verdict otherwise. Not here: the verdict
//! (`class`).

use super::{ApiError, ErrorClass};

impl ApiError {
    /// What the org's own rule, trigger or flow says to whoever it refuses: its author's words, in which the author may
    /// have quoted the record. None for Salesforce's texts.
    pub fn words_of_the_org(&self) -> Option<&str> {
        let is_of_org = !self.is_closed_object()
            && matches!(
                self.plain_code().as_str(),
                "FIELDCUSTOMVALIDATIONEXCEPTION"
                    | "CANNOTINSERTUPDATEACTIVATEENTITY"
                    | "CANNOTEXECUTEFLOWTRIGGER"
                    | "APEXERROR"
                    | "DUPLICATESDETECTED"
            );
        Some(self.message.as_str()).filter(|words| is_of_org && !words.is_empty())
    }

    /// What somebody can do about it.
    pub fn hint(&self) -> Option<String> {
        let fields = || {
            if self.fields.is_empty() {
                "its fields".into()
            } else {
                format!("`{}`", self.fields.join("`, `"))
            }
        };
        Some(match (self.plain_code().as_str(), self.class()) {
            ("INVALIDSESSIONID", _) if self.says("not valid for use") || self.says("not attached") => {
                "Give the external client app the scope `api`, and lift IP or agent limits on the running user; \
                 a new login does not help."
                    .into()
            }
            ("STORAGELIMITEXCEEDED", _) => "The org's storage is full: free some, or buy more.".into(),
            ("APIDISABLEDFORORG", _) => "The org's edition has no API: the customer needs the API add-on.".into(),
            ("UNSUPPORTEDAPIVERSION", _) => {
                "Set the org's `api_version` to one that it lists under `/services/data/`.".into()
            }
            ("INVALIDFIELDFORINSERTUPDATE", _) => {
                format!("Give the running user edit access to {}, or take it out of the mapping.", fields())
            }
            ("DUPLICATESDETECTED", _) => {
                "A duplicate rule of the org blocked the record: let the rule pass the running user.".into()
            }
            ("DUPLICATEVALUE", _) => "Another record holds this unique value: merge the two, then retry.".into(),
            ("UNABLETOLOCKROW", _) => "Somebody else was writing the same or a parent record; it is retried.".into(),
            ("STRINGTOOLONG", _) => format!("Lengthen {} in the org, or shorten the value in the mapping.", fields()),
            ("REQUIREDFIELDMISSING", _) => format!("Map a value to {}.", fields()),
            ("FIELDCUSTOMVALIDATIONEXCEPTION", _) => {
                "A validation rule of the org refused the record: exempt the running user, or fix the value.".into()
            }
            ("INSUFFICIENTACCESSORREADONLY" | "INSUFFICIENTACCESSONCROSSREFERENCEENTITY", _) => {
                "Let the running user edit the record and see what it points to, by permission set or sharing; then \
                 retry it."
                    .into()
            }
            ("ENTITYISDELETED" | "INVALIDCROSSREFERENCEKEY", _) => {
                "The record, or one that it points to, is gone from the org: retry it to have it looked up again.".into()
            }
            ("ENTITYISLOCKED", _) => {
                "The record is locked, for instance by an approval: it is sent again until that has ended.".into()
            }
            ("INSERTUPDATEDELETENOTALLOWEDDURINGMAINTENANCE", _) => {
                "The org is read-only while Salesforce maintains it (status.salesforce.com); it is sent again until that \
                 is over."
                    .into()
            }
            ("CANNOTINSERTUPDATEACTIVATEENTITY", ErrorClass::Org) => {
                "Give the running user the rights Create and Edit on the object, by the package's permission set or \
                 another one; it is sent again until then."
                    .into()
            }
            ("CANNOTINSERTUPDATEACTIVATEENTITY" | "CANNOTEXECUTEFLOWTRIGGER" | "APEXERROR", ErrorClass::Record) => {
                "A trigger or flow of the org refused the record: mend it there, then retry the record.".into()
            }
            ("HTTP300" | "DUPLICATEEXTERNALID", _) => "Make the external id field unique in the org, and merge the records.".into(),
            ("HTTP414" | "HTTP431" | "URITOOLONG", _) => {
                "The request's address and head are too long for Salesforce, or for a proxy on the way, which may take less: \
                 shorten the sync's `refresh.where`, map fewer fields with shorter names, or raise the proxy's limit to \
                 16 KB."
                    .into()
            }
            (_, ErrorClass::Auth) => "The token is renewed and the call repeated once.".into(),
            (_, ErrorClass::DailyLimit) => {
                "The org's daily API calls are used up; we wait and look again. The customer can buy more calls, or \
                 find out in Setup, Company Information, who uses them."
                    .into()
            }
            (_, ErrorClass::Concurrency) => "Too many long calls at a time; lower the org's `concurrent_max`.".into(),
            (_, ErrorClass::Transient) => "It is retried by itself.".into(),
            (_, ErrorClass::Schema) => {
                "Check that the object and its fields exist under this name and that the running user may see them."
                    .into()
            }
            (_, ErrorClass::Org) => {
                "Somebody must change the org or the running user's permissions before we can go on.".into()
            }
            (_, ErrorClass::Record) if self.fields.is_empty() => {
                "Correct the record in the org, or the mapping, then retry it.".into()
            }
            (_, ErrorClass::Record) => format!("Correct {} of this record, or the mapping, then retry it.", fields()),
            (_, ErrorClass::Bug) => return None,
        })
    }
}
