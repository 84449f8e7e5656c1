//! One call, taken apart.
//!
//! Here: path, query, headers and body as the resources read them. Not here: the socket.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::answer::Answer;
use crate::row::Row;

#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    pub(crate) method: String,
    /// The path behind `/services/data`, split and then decoded; the first is the version.
    pub(crate) segments: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) content_type: String,
    pub(crate) query_options: String,
    pub(crate) options: String,
    pub(crate) if_modified_since: String,
    pub(crate) body: bytes::Bytes,
}

impl Call {
    /// `path` and `query` as sent. A `POST` may stand for another method, by `_HttpMethod`.
    pub(crate) fn new(method: &str, path: &str, query: &str, body: bytes::Bytes) -> Self {
        let rest = path.trim_start_matches('/').strip_prefix("services/data").unwrap_or_default();
        let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let segments = rest.split('/').filter(|part| !part.is_empty()).map(decode).collect();
        let query: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let method = query
            .iter()
            .find(|(key, _)| key == "_HttpMethod" && method == "POST")
            .map_or(method, |(_, value)| value);
        Self { method: method.to_owned(), segments, query, body, ..Self::default() }
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The API version without its point: 66.
    pub(crate) fn version(&self) -> u32 {
        let text = self.segments.first().map_or("", |version| version.trim_start_matches('v'));
        text.split('.').next().and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    /// What change events name as the origin of what the call writes: the API, its version and what the client calls itself.
    /// Source: Change Data Capture Developer Guide "ChangeEventHeader Fields", REST guide "Call Options Header".
    pub(crate) fn origin(&self, api: &str) -> String {
        let options = self.options.split(',').filter_map(|option| option.trim().split_once('='));
        let client =
            options.filter(|(name, _)| name.trim() == "client").map(|(_, value)| value.trim()).next();
        let client = client.map(|client| format!(";client={client}")).unwrap_or_default();
        format!("com/salesforce/api/{api}/{}.0{client}", self.version())
    }

    /// The path up to the version: `/services/data/v66.0`.
    pub(crate) fn base(&self) -> String {
        format!("/services/data/v{}.0", self.version())
    }

    /// The body as a JSON object; `Err` is the answer to anything else.
    pub(crate) fn object(&self) -> Result<Row, Answer> {
        if !self.content_type.is_empty() && !self.content_type.starts_with("application/json") {
            let message = format!("Content type {} is not supported", self.content_type);
            return Err(Answer::error(415, "UNSUPPORTED_MEDIA_TYPE", &message));
        }
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(row)) => Ok(row),
            Ok(_) => Err(unreadable("Unexpected token at [line:1, column:1]")),
            Err(error) => Err(unreadable(&format!(
                "Unexpected character at [line:{}, column:{}]",
                error.line(),
                error.column()
            ))),
        }
    }
}

pub(crate) fn unreadable(message: &str) -> Answer {
    Answer::error(400, "JSON_PARSER_ERROR", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_before_they_are_decoded() {
        let call = Call::new(
            "GET",
            "//services/data/v66.0/sobjects/X/Key__c/a%2Fb%20c",
            "q=a%2Bb+c",
            bytes::Bytes::new(),
        );
        assert_eq!(call.segments, ["v66.0", "sobjects", "X", "Key__c", "a/b c"]);
        assert_eq!(call.parameter("q"), Some("a+b c"));
        assert_eq!((call.version(), call.base().as_str()), (66, "/services/data/v66.0"));
    }

    #[test]
    fn a_post_may_stand_for_another_method() {
        let call = Call::new("POST", "/services/data/v66.0", "_HttpMethod=PATCH", bytes::Bytes::new());
        assert_eq!(call.method, "PATCH");
    }

    #[test]
    fn the_origin_names_the_client_only_if_it_names_itself() {
        let mut call = Call::new("PATCH", "/services/data/v66.0/sobjects/Account/1", "", bytes::Bytes::new());
        for (options, origin) in [
            ("", "com/salesforce/api/rest/66.0"),
            ("client=a", "com/salesforce/api/rest/66.0;client=a"),
            ("defaultNamespace=n, client=b", "com/salesforce/api/rest/66.0;client=b"),
        ] {
            options.clone_into(&mut call.options);
            assert_eq!(call.origin("rest"), origin);
        }
    }
}
