//! What an org has changed about the fields that a mapping writes.
//!
//! Here: which of them cannot be written at all. Not here: values that a field cannot keep (`stored`).

use crate::{Mapping, describe::Describe};

/// Why a field cannot be written, whatever its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Drift {
    /// It does not exist, or the integration user may not see it.
    Gone,
    /// It may be neither set nor changed by the integration user.
    ReadOnly,
}

/// The mapping's fields that cannot be written in this org. The external ID is not among them: without it nothing can be.
pub fn drifted(mapping: &Mapping, describe: &Describe) -> Vec<(String, Drift)> {
    let drift = |name: &str| match describe.field(name) {
        None => Some(Drift::Gone),
        Some(field) if !field.createable && !field.updateable => Some(Drift::ReadOnly),
        Some(_) => None,
    };
    mapping.fields().iter().filter_map(|(name, _)| Some((name.clone(), drift(name)?))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::mapping::tests::spec;

    #[test]
    fn what_vanished_or_is_locked_has_drifted_and_what_can_be_set_once_has_not() {
        let json = json!({ "name": "acmeco__Enrichment__c", "fields": [
            { "name": "acmeco__account__C", "type": "reference", "updateable": false },
            { "name": "acmeco__Employee_Count__c", "type": "double", "createable": false, "updateable": false }] });
        let describe = Describe::from_json(json.as_object().unwrap()).unwrap();
        let expected = [("acmeco__Employee_Count__c", Drift::ReadOnly), ("acmeco__Owner__c", Drift::Gone)];
        let expected = expected.map(|(name, drift)| (name.to_owned(), drift));
        assert_eq!(drifted(&Mapping::new(spec()).unwrap(), &describe), expected);
    }
}
