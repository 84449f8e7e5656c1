//! Which code and which status mean what.
//!
//! Here: the verdicts. Not here: reading a body (`error`), what somebody can do about it (`hint`).
//!
//! Invariant: the verdict follows from codes. Messages are in the running user's language and may be the customer's
//! own text, so a message only refines a verdict, and an unknown message leads to the safer one.

use super::{ApiError, ErrorClass};

impl ApiError {
    /// What to do about it.
    pub fn class(&self) -> ErrorClass {
        self.class_by_code().unwrap_or_else(|| self.class_by_status())
    }

    /// The Bulk API writes the same codes without underscores, or in mixed case.
    pub(super) fn plain_code(&self) -> String {
        self.code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
    }

    pub(super) fn says(&self, part: &str) -> bool {
        self.message.to_ascii_lowercase().contains(&part.to_ascii_lowercase())
    }

    /// A daily allowance of the Bulk API is used up, while other calls still go.
    pub fn is_of_bulk(&self) -> bool {
        self.class() == ErrorClass::DailyLimit && self.plain_code() != "REQUESTLIMITEXCEEDED"
    }

    /// The place in a query's results is no longer known: asking again does not help, starting over does.
    pub fn is_lost_locator(&self) -> bool {
        self.plain_code() == "INVALIDQUERYLOCATOR"
    }

    /// Somebody else was writing the record, or one that it hangs on.
    pub fn is_lock(&self) -> bool {
        match self.plain_code().as_str() {
            "UNABLETOLOCKROW" | "TOOMANYLOCKFAILURE" => true,
            // The customer's automation ran into it; the text quotes the code, which is not translated.
            "CANNOTINSERTUPDATEACTIVATEENTITY" | "CANNOTEXECUTEFLOWTRIGGER" | "APEXERROR" => {
                self.says("UNABLE_TO_LOCK_ROW")
            }
            _ => false,
        }
    }

    /// The customer's automation failed, or ran into a limit of its transaction. All rows of the transaction carry the error,
    /// whichever of them it is due to, and a smaller transaction may go through (Apex Developer Guide, "Execution Governors
    /// and Limits" and "Bulk DML Exception Handling").
    pub fn is_of_transaction(&self) -> bool {
        let automation = ["CANNOTINSERTUPDATEACTIVATEENTITY", "CANNOTEXECUTEFLOWTRIGGER", "APEXERROR"];
        let failed = automation.contains(&self.plain_code().as_str());
        (failed || self.says("System.LimitException")) && !self.is_lock() && !self.is_closed_object()
    }

    /// The running user may not make, change or delete records of the object at all: a right is missing, not a value.
    pub fn is_closed_object(&self) -> bool {
        self.plain_code() == "CANNOTINSERTUPDATEACTIVATEENTITY" && self.says("entity type cannot be")
    }

    /// The running user may not write this record: for want of a right on the object, or by sharing.
    pub fn is_denied(&self) -> bool {
        self.is_closed_object() || self.plain_code() == "INSUFFICIENTACCESSORREADONLY"
    }

    /// The org takes calls and refuses this write, whatever is in it, until somebody else has done something: freed storage,
    /// given a right, ended an approval or a maintenance (RESTDOC `errorcodes`; Help, "Read-Only Mode").
    pub fn is_for_others_to_mend(&self) -> bool {
        let code = self.plain_code();
        self.is_closed_object()
            || self.is_read_only()
            || [
                "STORAGELIMITEXCEEDED",
                "LICENSELIMITEXCEEDED",
                "FUNCTIONALITYNOTENABLED",
                "INSUFFICIENTACCESS",
                "ENTITYISLOCKED",
            ]
            .contains(&code.as_str())
    }

    /// Nothing can be written for some minutes, while everything can be read.
    pub fn is_read_only(&self) -> bool {
        ["INSERTUPDATEDELETENOTALLOWEDDURINGMAINTENANCE", "APICURRENTLYDISABLED"]
            .contains(&self.plain_code().as_str())
    }

    /// Something went wrong inside the org, or took too long, which may be due to a record of the call or to their number.
    pub fn is_failure_inside(&self) -> bool {
        let codes = ["UNKNOWNEXCEPTION", "REQUESTRUNNINGTOOLONG", "QUERYTIMEOUT", "INTERNALSERVERERROR"];
        codes.contains(&self.plain_code().as_str()) || matches!(self.status, 500 | 502 | 504)
    }

    /// What was asked took the org too long, so that less of it may be done in time.
    pub fn is_too_slow(&self) -> bool {
        ["REQUESTRUNNINGTOOLONG", "QUERYTIMEOUT"].contains(&self.plain_code().as_str()) || self.status == 504
    }

    /// The fields of this row whose values were refused, of those that were sent: without them the rest of the row may go in.
    /// None where the row as a whole was judged, or where a value is missing.
    pub fn refused_fields(&self, fields: &[String]) -> Vec<String> {
        let all = self.all().flat_map(|error| error.refused_alone(fields));
        let all: Vec<String> = all.collect();
        fields.iter().filter(|name| all.contains(name)).cloned().collect()
    }

    fn refused_alone(&self, fields: &[String]) -> Vec<String> {
        let of_value = match self.plain_code().as_str() {
            "INVALIDORNULLFORRESTRICTEDPICKLIST"
            | "FIELDINTEGRITYEXCEPTION"
            | "FIELDFILTERVALIDATIONEXCEPTION"
            | "NUMBEROUTSIDEVALIDRANGE"
            | "STRINGTOOLONG"
            | "INVALIDEMAILADDRESS"
            | "INVALIDTYPEONFIELDINRECORD"
            | "MALFORMEDID"
            | "TEXTDATAOUTSIDESUPPORTEDCHARSET"
            | "INVALIDCROSSREFERENCEKEY"
            | "INVALIDFIELD"
            | "DUPLICATEVALUE" => self.class() == ErrorClass::Record,
            _ => false,
        };
        if !of_value {
            return Vec::new();
        }
        // A state is blamed under the name of its text while its code was sent, and the other way round (Help, "State and
        // Country/Territory Picklists").
        let stem = |name: &str| name.strip_suffix("Code").unwrap_or(name).to_ascii_lowercase();
        let blamed: Vec<String> = self.blamed(fields).iter().map(|name| stem(name)).collect();
        fields.iter().filter(|name| blamed.contains(&stem(name))).cloned().collect()
    }

    /// The version of the path is served no more, or there is nothing at the path (RESTDOC `errorcodes`: 404 and 410).
    pub fn may_be_of_version(&self) -> bool {
        matches!(self.status, 404 | 410) || self.plain_code() == "UNSUPPORTEDAPIVERSION"
    }

    /// A job that has ended cannot be aborted, nor one that runs be read (BULKDOC, "Close or Abort a Job").
    pub fn is_job_state(&self) -> bool {
        self.plain_code() == "INVALIDJOBSTATE"
    }

    /// Another record holds a value that must be unique.
    pub fn is_duplicate(&self) -> bool {
        self.plain_code() == "DUPLICATEVALUE"
    }

    /// The fields to name: those Salesforce blames, or if it lists none, those of `fields` that its text names.
    pub fn blamed(&self, fields: &[String]) -> Vec<String> {
        if !self.fields.is_empty() {
            return self.fields.clone();
        }
        let words: Vec<&str> = self.message.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
        fields.iter().filter(|name| words.contains(&name.as_str())).cloned().collect()
    }

    /// The record itself is not there, or not any more.
    pub fn is_gone(&self) -> bool {
        match self.plain_code().as_str() {
            "ENTITYISDELETED" => true,
            // With a field it is a parent that is not there.
            "INVALIDCROSSREFERENCEKEY" => self.fields.is_empty(),
            _ => false,
        }
    }

    fn class_by_code(&self) -> Option<ErrorClass> {
        Some(match self.plain_code().as_str() {
            // "Not valid for use with the REST API" is not cured by a new token, but costs only one renewal.
            "INVALIDSESSIONID" | "INVALIDAUTHHEADER" | "BADOAUTHTOKEN" | "MISSINGOAUTHTOKEN" | "WRONGORG" => {
                ErrorClass::Auth
            }
            "REQUESTLIMITEXCEEDED" => self.class_of_request_limit(),
            "LIMITEXCEEDED" | "EXCEEDEDQUOTA" | "SINGLEEMAILLIMITEXCEEDED" => ErrorClass::DailyLimit,
            // A daily Bulk limit is sometimes reported under this code.
            "APIERROR" if self.says("per 24 hrs") => ErrorClass::DailyLimit,
            "UNABLETOLOCKROW"
            | "SERVERUNAVAILABLE"
            | "REQUESTRUNNINGTOOLONG"
            | "QUERYTIMEOUT"
            | "INVALIDQUERYLOCATOR"
            | "ALREADYINPROCESS"
            | "TOOMANYAPEXREQUESTS"
            | "TXNSECURITYMETERINGERROR"
            | "UNKNOWNEXCEPTION"
            | "PLATFORMEVENTPUBLISHINGUNAVAILABLE"
            | "INSERTUPDATEDELETENOTALLOWEDDURINGMAINTENANCE"
            | "APICURRENTLYDISABLED"
            | "TOOMANYLOCKFAILURE"
            | "INTERNALSERVERERROR"
            | "TIMEOUT"
            | "ALLORNONEOPERATIONROLLEDBACK"
            | "PROCESSINGHALTED" => ErrorClass::Transient,
            // Whoever it is says that nothing of the kind may be written.
            "CANNOTINSERTUPDATEACTIVATEENTITY" if self.says("entity type cannot be") => ErrorClass::Org,
            // The customer's automation failed; what it ran into is quoted in the text as a code.
            "CANNOTINSERTUPDATEACTIVATEENTITY" | "CANNOTEXECUTEFLOWTRIGGER" | "APEXERROR"
                if self.says("UNABLE_TO_LOCK_ROW") || self.says("CPU time limit exceeded") =>
            {
                ErrorClass::Transient
            }
            // A value or a parent of one row, under the code for a missing field.
            "INVALIDFIELD" if self.says("Failed to deserialize") || self.says("Foreign key external ID") => {
                ErrorClass::Record
            }
            "INVALIDFIELD"
            | "INVALIDTYPE"
            | "INVALIDFIELDFORINSERTUPDATE"
            | "NOTFOUND"
            | "INVALIDENTITY"
            | "INVALIDBATCH" => ErrorClass::Schema,
            "APIDISABLEDFORORG"
            | "INVALIDOPERATIONWITHEXPIREDPASSWORD"
            | "FUNCTIONALITYNOTENABLED"
            | "FEATURENOTENABLED"
            | "LICENSELIMITEXCEEDED"
            | "UNSUPPORTEDAPIVERSION"
            | "INVALIDVERSION"
            | "STORAGELIMITEXCEEDED"
            | "INSUFFICIENTACCESS"
            | "INVALIDUSER" => ErrorClass::Org,
            "MALFORMEDQUERY"
            | "INVALIDQUERYFILTEROPERATOR"
            | "INVALIDQUERYSCOPE"
            | "QUERYTOOCOMPLICATED"
            | "OPERATIONTOOLARGE"
            | "EXCEEDEDMAXSEMIJOINSUBSELECTS"
            | "EXCEEDEDIDLIMIT"
            | "METHODNOTALLOWED"
            | "INVALIDJOB"
            | "INVALIDJOBSTATE"
            | "INVALIDOPERATION"
            | "INVALIDURL"
            | "CLIENTINPUTERROR" => ErrorClass::Bug,
            "REQUIREDFIELDMISSING" if self.says("At least 1 record is required") => ErrorClass::Bug,
            // A single record's trouble, which then is the status of the whole answer: 403 or 404.
            "INSUFFICIENTACCESSORREADONLY"
            | "INSUFFICIENTACCESSONCROSSREFERENCEENTITY"
            | "ENTITYISDELETED"
            | "ENTITYISLOCKED"
            | "ENTITYISARCHIVED"
            | "INVALIDCROSSREFERENCEKEY"
            | "CANNOTINSERTUPDATEACTIVATEENTITY"
            | "CANNOTEXECUTEFLOWTRIGGER"
            | "DUPLICATESDETECTED"
            | "DUPLICATEVALUE" => ErrorClass::Record,
            _ => return None,
        })
    }

    /// True if no code of Salesforce's is given where something between here and Salesforce may have answered, perhaps because
    /// of what was in the request: a gateway or a filter. Not so a login page, a path that nobody knows, and too many requests.
    pub fn is_of_something_between(&self) -> bool {
        self.is_without_code()
            && self.status != 429
            && matches!(
                self.class_by_status(),
                ErrorClass::Org | ErrorClass::Bug | ErrorClass::Transient | ErrorClass::Record
            )
    }

    /// True if the API as such is closed to the user or to the whole org, whatever is asked.
    pub fn is_api_closed(&self) -> bool {
        ["APIDISABLEDFORORG", "APICURRENTLYDISABLED"].contains(&self.plain_code().as_str())
    }

    /// One code, three limits. Only the text tells them apart, and it may be translated, so what is not surely
    /// about concurrency counts as the day's limit: waiting too long costs time, hammering costs the customer.
    fn class_of_request_limit(&self) -> ErrorClass {
        if self.says("concurrent") { ErrorClass::Concurrency } else { ErrorClass::DailyLimit }
    }

    fn class_by_status(&self) -> ErrorClass {
        match self.status {
            // Redirects are not followed: a stale instance URL leads to a login page.
            301..=303 | 305..=308 | 401 => ErrorClass::Auth,
            403 | 410 => ErrorClass::Org,
            404 => ErrorClass::Schema,
            405 | 409 | 411..=415 | 428 | 431 => ErrorClass::Bug,
            406 | 408 | 420 | 429 | 500..=599 => ErrorClass::Transient,
            // Not Salesforce's words but those of something in between: no verdict on a record.
            400 if self.is_without_code() => ErrorClass::Transient,
            _ => ErrorClass::Record,
        }
    }
}
