//! Setting a channel's position: where its events go on.
//!
//! Here: what is stored for it, and what it leads to, in words. Pure. Not here: stopping the subscription first
//! (`supervise/org_actor.rs`).

use std::{fmt, str::FromStr};

use orgpipe_store::UnixMs;

use crate::org::store::{Moved, Position};

/// Where a channel's events go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayFrom {
    /// With everything that Salesforce still has.
    Earliest,
    /// With what is published from now on.
    Latest,
    /// Behind the event of this replay ID.
    After(u64),
}

/// What is none of the three.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no place to replay from: write `earliest`, `latest` or a replay ID such as 1234")]
pub struct NoReplayPosition(String);

impl FromStr for ReplayFrom {
    type Err = NoReplayPosition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            _ if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().map(Self::After).map_err(|_| NoReplayPosition(text.to_owned()))
            }
            _ => Err(NoReplayPosition(text.chars().take(40).collect())),
        }
    }
}

impl fmt::Display for ReplayFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earliest => f.write_str("earliest"),
            Self::Latest => f.write_str("latest"),
            Self::After(id) => write!(f, "{id}"),
        }
    }
}

impl ReplayFrom {
    /// What follows from it, for an operator to read.
    pub fn consequence(self) -> String {
        let again = "Records that come again are looked up and compared again, and written only where they \
                     differ; each event counts once more against the org's event delivery allowance.";
        match self {
            Self::Earliest => format!("All events that Salesforce still has (72 hours) come again. {again}"),
            Self::Latest => {
                "Events published between the last position and now are passed over. Refresh the org to \
                             make up for them."
                    .to_owned()
            }
            Self::After(id) => format!(
                "The events behind replay ID {id} come, again if they have come before. {again} An ID that Salesforce \
                 no longer has leads to all that it still has; one that is too high passes events over."
            ),
        }
    }

    /// What is stored for it.
    pub(crate) fn positions(self, channel: &str, now_ms: UnixMs) -> Vec<Moved> {
        let (replay_id, begun) = (Position::ReplayId(channel), Position::Begun(channel));
        vec![
            match self {
                Self::Earliest | Self::Latest => replay_id.cleared(),
                Self::After(id) => replay_id.replay_id(id),
            },
            // When the event at the position was published is not known any more.
            Position::Published(channel).cleared(),
            if self == Self::Latest { begun.cleared() } else { begun.moment(now_ms) },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_word_or_a_replay_id() {
        for (text, place) in [
            ("earliest", ReplayFrom::Earliest),
            ("latest", ReplayFrom::Latest),
            ("0", ReplayFrom::After(0)),
            ("98127346", ReplayFrom::After(98_127_346)),
        ] {
            assert_eq!(text.parse(), Ok(place));
            assert_eq!(place.to_string(), text);
        }
        for text in ["-1", "-2", "", "Earliest", "1.5", "99999999999999999999999"] {
            assert!(text.parse::<ReplayFrom>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_latest_begins_a_channel_anew() {
        let stored = |place: ReplayFrom| {
            place.positions("/event/A__e", UnixMs(7)).into_iter().map(|(_, value)| value).collect::<Vec<_>>()
        };
        assert_eq!(stored(ReplayFrom::Earliest), [&b""[..], b"", b"7"]);
        assert_eq!(stored(ReplayFrom::Latest), [&b""[..], b"", b""]);
        assert_eq!(stored(ReplayFrom::After(12)), [&b"12"[..], b"", b"7"]);
    }
}
