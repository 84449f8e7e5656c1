//! Salesforce's numbers, each with the page it stands on, and the org's use of its daily API calls.
//!
//! Here: limits that hold for every org, and the reading of the header that tells the use. Not here: limits of our own
//! choosing that concern one module only, which stand in that module.
//!
//! Pages were read as of November 2026. RESTDOC is the REST API Developer Guide, BULKDOC the Bulk API 2.0 and Bulk
//! API Developer Guide v66, SOQLDOC the SOQL and SOSL Reference, HELP an article number of help.salesforce.com.

use std::time::Duration;

/// Records in one sObject Collections request (RESTDOC `resources_composite_sobjects_collections`).
pub const COLLECTION_RECORDS_MAX: usize = 200;
/// Records that one request reads by their IDs, named in its body (RESTDOC
/// `resources_composite_sobjects_collections_retrieve`).
pub const RETRIEVE_RECORDS_MAX: usize = 2_000;
/// Characters of one SOQL statement (SOQLDOC, SOQL limits).
pub const SOQL_CHARS_MAX: usize = 100_000;
/// Characters of one string literal in a WHERE clause (SOQLDOC, SOQL limits).
pub const SOQL_LITERAL_CHARS_MAX: usize = 4_000;
/// Bytes of URI and headers together, beyond which the answer is 431 (HELP 000386264, RESTDOC `errorcodes`).
pub const REQUEST_HEAD_BYTES_MAX: usize = 16_384;
/// Bytes of percent-encoded SOQL we put in one URL: leaves room for a long token and for proxies in between.
pub const QUERY_URL_BYTES_MAX: usize = 8_000;
/// Bytes of percent-encoded SOQL beyond which a long token has no room beside it.
pub const QUERY_URL_BYTES_REFUSED: usize = 12_000;
/// Of what we put in one URL, what fields take in one of several statements that read the fields of wide records.
pub const COLUMNS_URL_BYTES_MAX: usize = QUERY_URL_BYTES_MAX / 2;
/// Values in one IN list of ours; with 18-character ids the URL budget allows little more.
pub const IN_LIST_MAX: usize = 200;

/// Bytes of one Bulk upload: 150 MB once base64-encoded (BULKDOC, "Upload Job Data").
pub const BULK_UPLOAD_BYTES_MAX: usize = 100_000_000;
/// Characters of the CSV header line (BULKDOC, "Prepare CSV files").
pub const BULK_HEADER_CHARS_MAX: usize = 32_000;
/// Characters of one CSV field; the lower of two documented values (BULKDOC, "Bulk API Limits").
pub const BULK_FIELD_CHARS_MAX: usize = 32_000;
/// Fields of one record (BULKDOC, "Bulk API Limits").
pub const BULK_FIELDS_MAX: usize = 5_000;
/// Characters of one record (BULKDOC, "Bulk API Limits").
pub const BULK_RECORD_CHARS_MAX: usize = 400_000;

/// Bytes of an answer with events or with a page of records that we are willing to hold, decompressed.
pub const REPLY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of an answer to a small question: limits, versions, a job; and of any refusal.
pub const SMALL_REPLY_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of an answer to a write of up to 200 records, each with the texts of what it was refused for.
pub const WRITE_REPLY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of a description: the largest objects have 800 fields and picklists of a thousand values.
pub const DESCRIBE_REPLY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Values in the JSON of one answer: 2,000 records of 750 fields. Each takes some 30 to 100 bytes of memory, so a body
/// of `[0,0,…]` would take sixteen times its own size.
pub const JSON_VALUES_MAX: usize = 1_500_000;
/// Bytes of all bodies that are held at a time, over all orgs, beside those of small ones.
pub const BODIES_BYTES_MAX: usize = 3 * REPLY_BYTES_MAX;
/// Bytes up to which a body is small: many of them may be held.
pub const SMALL_BODY_BYTES_MAX: usize = 256 * 1024;
/// Bytes of an answer that is read piece by piece: a Bulk upload of the largest size, and an error beside each record.
pub const DOWNLOAD_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Time to open a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a login.
pub const LOGIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Time for a small question.
pub const SMALL_TIMEOUT: Duration = Duration::from_mins(1);
/// Time for a query; a synchronous query ends by itself after about two minutes.
pub const QUERY_TIMEOUT: Duration = Duration::from_secs(150);
/// Time for a write of one record, with the triggers of the customer behind it, and of each further one: 3 minutes for 200.
pub const WRITE_TIMEOUT: Duration = Duration::from_mins(1);
/// See [`WRITE_TIMEOUT`].
pub const WRITE_TIMEOUT_PER_RECORD: Duration = Duration::from_millis(600);
/// Time for an upload or for a result file.
pub const TRANSFER_TIMEOUT: Duration = Duration::from_mins(10);

/// How long events can be replayed: high-volume platform events and change events ("Message Durability").
pub const EVENT_RETENTION: Duration = Duration::from_hours(72);

/// Life of a JWT assertion: the server allows about three minutes of skew (HELP `remoteaccess_oauth_jwt_flow`).
pub const ASSERTION_SECS: i64 = 180;

const _: () = assert!(BULK_UPLOAD_BYTES_MAX < DOWNLOAD_BYTES_MAX);
const _: () = assert!(REPLY_BYTES_MAX <= BODIES_BYTES_MAX);
const _: () = assert!(QUERY_URL_BYTES_MAX < QUERY_URL_BYTES_REFUSED);
const _: () = assert!(QUERY_URL_BYTES_REFUSED + 4_000 < REQUEST_HEAD_BYTES_MAX);
const _: () = assert!(BULK_FIELD_CHARS_MAX < BULK_RECORD_CHARS_MAX);
const _: () = assert!(BULK_RECORD_CHARS_MAX * 4 < BULK_UPLOAD_BYTES_MAX);

/// How many of the org's API calls of the last 24 hours are used, by everybody.
///
/// It lags and may go back between parallel answers; `used` may exceed `max` (RESTDOC `headers_api_usage`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiUsage {
    /// Calls that were used.
    pub used: u64,
    /// Calls that are allowed.
    pub max: u64,
}

impl ApiUsage {
    /// Reads the value of `Sforce-Limit-Info`; the part per app, if any, is passed over.
    ///
    /// Its parts are separated by `;`, in any order (RESTDOC `headers_api_usage`).
    pub fn from_header(value: &str) -> Option<Self> {
        value.split([';', ',']).find_map(|part| {
            let (name, numbers) = part.split_once('=')?;
            if !name.trim().eq_ignore_ascii_case("api-usage") {
                return None;
            }
            let (used, max) = numbers.split_once('/')?;
            Some(Self { used: used.trim().parse().ok()?, max: max.trim().parse().ok()? })
        })
    }

    /// Used share of the day's calls; 1 if the maximum is 0.
    #[expect(clippy::cast_precision_loss, reason = "call counts stay far below 2^52")]
    pub fn share(self) -> f64 {
        if self.max == 0 { 1.0 } else { self.used as f64 / self.max as f64 }
    }
}

#[cfg(test)]
mod tests;
