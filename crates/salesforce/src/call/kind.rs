//! What a request to Salesforce is for, in one word.
//!
//! Here: the list, small enough for the label of a metric. Not here: the requests (`rest`, `bulk`, `oauth`, `cometd`).

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// Asks for a token.
    Token,
    /// Reads by SOQL.
    Query,
    /// Reads metadata by SOQL.
    ToolingQuery,
    /// Reads records by ID.
    Retrieve,
    /// Reads an object's fields, or the list of objects.
    Describe,
    /// Reads the org's limits.
    Limits,
    /// Reads which API versions are served; counts as no API call.
    Versions,
    /// Writes one record.
    Upsert,
    /// Writes or removes up to 200 records.
    Collections,
    /// Opens a Bulk job that writes.
    BulkCreate,
    /// Uploads its file.
    BulkUpload,
    /// Closes or ends it.
    BulkEnd,
    /// Looks how far it is.
    BulkPoll,
    /// Fetches what became of its rows.
    BulkResult,
    /// Opens a Bulk job that reads.
    BulkQueryCreate,
    /// Looks how far it is.
    BulkQueryPoll,
    /// Fetches rows of it.
    BulkQueryResult,
    /// Ends or removes it.
    BulkQueryEnd,
    /// Opens an event session; the event endpoint counts as no API call.
    CometdHandshake,
    /// Waits for events: held open by Salesforce until there are some, for at most two minutes.
    CometdConnect,
    /// Subscribes to a channel.
    CometdSubscribe,
    /// Ends an event session.
    CometdDisconnect,
}

impl CallKind {
    /// Every kind, in the order of the enum.
    pub const ALL: [Self; 22] = [
        Self::Token,
        Self::Query,
        Self::ToolingQuery,
        Self::Retrieve,
        Self::Describe,
        Self::Limits,
        Self::Versions,
        Self::Upsert,
        Self::Collections,
        Self::BulkCreate,
        Self::BulkUpload,
        Self::BulkEnd,
        Self::BulkPoll,
        Self::BulkResult,
        Self::BulkQueryCreate,
        Self::BulkQueryPoll,
        Self::BulkQueryResult,
        Self::BulkQueryEnd,
        Self::CometdHandshake,
        Self::CometdConnect,
        Self::CometdSubscribe,
        Self::CometdDisconnect,
    ];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Query => "query",
            Self::ToolingQuery => "tooling_query",
            Self::Retrieve => "retrieve",
            Self::Describe => "describe",
            Self::Limits => "limits",
            Self::Versions => "versions",
            Self::Upsert => "upsert",
            Self::Collections => "collections",
            Self::BulkCreate => "bulk_create",
            Self::BulkUpload => "bulk_upload",
            Self::BulkEnd => "bulk_end",
            Self::BulkPoll => "bulk_poll",
            Self::BulkResult => "bulk_result",
            Self::BulkQueryCreate => "bulk_query_create",
            Self::BulkQueryPoll => "bulk_query_poll",
            Self::BulkQueryResult => "bulk_query_result",
            Self::BulkQueryEnd => "bulk_query_end",
            Self::CometdHandshake => "cometd_handshake",
            Self::CometdConnect => "cometd_connect",
            Self::CometdSubscribe => "cometd_subscribe",
            Self::CometdDisconnect => "cometd_disconnect",
        }
    }

    /// Of a message to the event endpoint, by the end of its path; a held poll if it is none of the others.
    pub fn of_cometd(suffix: &str) -> Self {
        match suffix {
            "/handshake" => Self::CometdHandshake,
            "/subscribe" => Self::CometdSubscribe,
            "/disconnect" => Self::CometdDisconnect,
            _ => Self::CometdConnect,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_listed_at_its_place_under_its_own_name() {
        for (at, kind) in CallKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, at, "{kind:?}");
            assert!(CallKind::ALL[..at].iter().all(|other| other.name() != kind.name()), "{kind:?}");
        }
    }
}
