//! What every page of an org begins with: where it is, its state, what may be done about it, and the org's other pages.
//!
//! Here: values for `templates/org_top.html`. Not here: how commands are carried out (`admin`, over the API).

use orgpipe_actors::{DesiredState, OrgView, State};

use crate::{
    admin::names,
    dashboard::{shell::Viewer, words},
};

/// The pages of an org.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tab {
    Overview,
    DeadLetters,
    Doctor,
    Mapping,
    Audit,
    Record,
}

impl Tab {
    const ALL: [Self; 6] =
        [Self::Overview, Self::DeadLetters, Self::Record, Self::Doctor, Self::Mapping, Self::Audit];

    fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::DeadLetters => "Dead letters",
            Self::Doctor => "Doctor",
            Self::Mapping => "Mapping",
            Self::Audit => "Audit",
            Self::Record => "Records",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Overview => "",
            Self::DeadLetters => "/dead-letters",
            Self::Doctor => "/doctor",
            Self::Mapping => "/mapping",
            Self::Audit => "/audit",
            Self::Record => "/records",
        }
    }
}

/// What a page of an org begins with.
pub(crate) struct Top {
    pub(crate) id: String,
    pub(crate) state: &'static str,
    /// An operator does not want it to run now.
    pub(crate) rests: bool,
    pub(crate) tabs: Vec<TabView>,
    pub(crate) commands: Vec<CommandButton>,
    /// Why no command may be given; empty if they may.
    pub(crate) refused: &'static str,
}

/// A page of the org, as a link.
pub(crate) struct TabView {
    pub(crate) name: &'static str,
    pub(crate) href: String,
    pub(crate) is_here: bool,
    /// Beside its name; empty if there is nothing to count.
    pub(crate) number: String,
}

/// Something an operator may do, as a button.
pub(crate) struct CommandButton {
    pub(crate) name: &'static str,
    pub(crate) href: String,
    /// What is asked first; empty if nothing is.
    pub(crate) question: String,
    /// What is said once it is accepted.
    pub(crate) said: String,
    pub(crate) kind: &'static str,
}

impl Top {
    /// Of a page of the org; `letters` are kept of it.
    pub(crate) fn new(org: &OrgView, letters: u64, here: Tab, viewer: &Viewer) -> Self {
        let tab = |tab: Tab| TabView {
            name: tab.name(),
            href: format!("/orgs/{}{}", org.id, tab.path()),
            is_here: tab == here,
            number: if tab == Tab::DeadLetters && letters > 0 {
                words::count(letters)
            } else {
                String::new()
            },
        };
        // What an org said about a record may have values of it.
        let tabs = Tab::ALL.into_iter().filter(|tab| *tab != Tab::Record || viewer.may_operate);
        Self {
            id: org.id.clone(),
            state: names::state(org.state),
            rests: org.status.desired != DesiredState::Run,
            tabs: tabs.map(tab).collect(),
            commands: commands(org),
            refused: if viewer.may_operate { "" } else { "It takes the role operate" },
        }
    }
}

/// What makes sense in the state that the org is in.
fn commands(org: &OrgView) -> Vec<CommandButton> {
    let command = |name, path, kind, question: &str, said: &str| CommandButton {
        name,
        href: format!("/api/v1/orgs/{}/{path}", org.id),
        question: question.replace("{org}", &org.id),
        said: said.replace("{org}", &org.id),
        kind,
    };
    let resume = command("Resume", "resume", "primary", "", "{org} is resumed.");
    let restart = command(
        "Restart",
        "restart",
        "",
        "Restart {org}? All its parts end and begin anew from what is stored; nothing is lost.",
        "{org} is restarted.",
    );
    let drain = command(
        "Drain",
        "drain",
        "",
        "Drain {org}? Nothing new is taken in; what is open is finished, then it is paused.",
        "{org} is drained, then paused.",
    );
    let pause = command(
        "Pause",
        "pause",
        "danger",
        "Pause {org}? Events wait at Salesforce, which keeps them for 72 hours.",
        "{org} is paused.",
    );
    match (org.status.desired, org.state) {
        (DesiredState::Pause, _) => vec![resume],
        (DesiredState::Drain { .. }, _) => vec![resume, pause],
        (DesiredState::Run, State::Parked) => vec![resume, restart, pause],
        (DesiredState::Run, _) => vec![restart, drain, pause],
    }
}
