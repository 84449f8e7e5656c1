//! The way of an org from an invitation to live.
//!
//! Here: the order, and what is durable before what. Not here: what the customer's admin sees of it (`pages`), paths
//! (`handlers`).
//!
//! ```text
//! invite ─▶ record with the link's number
//! link opened, host chosen ─▶ consent kept in memory, the browser goes to Salesforce
//! callback ─▶ code exchanged ─▶ grant durable ─▶ record says connected ─▶ settings read again: the org runs ─▶ doctor
//! ```
//!
//! A crash after the exchange and before the grant is durable loses the grant; the customer's admin clicks once more. After
//! it, nothing is lost: the next start or the next click goes on.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use orgpipe_actors::{OrgError, Report, Service, clock::Clock};
use orgpipe_salesforce::oauth::{
    Flow, Login, Token, answer,
    error::LoginError,
    login_host::{self, NoLoginHost},
    revocation,
    web_server::{self, Callback, Consent, ConsentRequest, NoCallback},
};
use orgpipe_store::StoreError;
use secrecy::SecretString;
use url::{Host, Url};

use super::{
    consents::{Consents, Pending},
    link::{Links, NoLink},
};
use crate::{
    config::{ConnectApp, ConnectSettings},
    in_force::{
        SettingsFile,
        stored_org::{Connected, Invitation, RecordError, StoredOrg},
    },
};

/// What the key that signs links is derived for.
const PURPOSE: &str = "orgpipe links to connect by, 1";
/// Where Salesforce sends browsers back to.
const CALLBACK: &str = "/oauth/callback";
/// How long a new org has to come up before it is examined; then again, until it can be.
const COMING_UP: (Duration, u32) = (Duration::from_millis(500), 20);

/// A link is good for so long once it has served, to look again what is missing and to connect once more.
const SERVED: Duration = Duration::from_hours(24);
/// Looks at what an org lacks that one link allows, and the least time from one to the next: each takes some 20 API calls.
const LOOKS: (u32, Duration) = (20, Duration::from_secs(20));
/// Links whose looks are counted.
const LOOKED_MAX: usize = 10_000;

/// Everything that connecting orgs takes.
#[derive(Clone)]
pub(crate) struct Onboarding {
    service: Service,
    file: SettingsFile,
    links: Links,
    consents: Arc<Consents>,
    /// By the link's number: looks so far, and when the last one was (time since the start).
    looks: Arc<std::sync::Mutex<BTreeMap<String, (u32, Duration)>>>,
    clock: Clock,
}

/// Why an org is not invited.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InviteError {
    /// It logs in by itself.
    #[error("org `{0}` logs in with what the settings give it, not with what a customer grants")]
    NotByConsent(String),
    /// It stands in a file, with its login host.
    #[error("org `{0}` stands in a settings file, and so does where it logs in")]
    OfFile(String),
    /// The settings say nothing of customers who connect.
    #[error("the settings have no `[connect]`")]
    NoConnect,
    /// Nobody is to be sent there.
    #[error("`{0}` is on this machine, and customers connect from elsewhere")]
    Loopback(Url),
    /// The settings do not take it.
    #[error("the org cannot be added: {}", problems.join("; "))]
    Settings {
        /// Each problem with what to do.
        problems: Vec<String>,
    },
    /// What is stored of it.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl InviteError {
    /// What to do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::NotByConsent(_) => {
                "To let a customer connect it, write `auth = { flow = \"web_server\" }` for it, and reload."
            }
            Self::OfFile(_) => "Leave out the login host, or change it there.",
            Self::NoConnect => {
                "Write `[connect]` into the settings (config/example.toml has it), and reload."
            }
            Self::Loopback(_) => "Give the org's My Domain, or leave it out and let the customer choose.",
            Self::Settings { .. } => "Correct it and ask again; nothing was changed.",
            Self::Record(_) => "Look into orgpipe's log.",
        }
    }
}

/// Why it did not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The link.
    #[error(transparent)]
    Link(#[from] NoLink),
    /// The address that was typed.
    #[error(transparent)]
    Host(#[from] NoLoginHost),
    /// The callback is of no consent that was asked for here, or was asked for in another browser, or long ago.
    #[error("this answer belongs to no request that was made in this browser in the last half hour")]
    NotAsked,
    /// What was chosen did not come as the page sends it.
    #[error("this form cannot be read")]
    Form,
    /// The callback is none that Salesforce makes.
    #[error("this address is no answer of Salesforce's: {0}")]
    NoCallback(#[from] NoCallback),
    /// Salesforce, or the admin there, said no.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// It was connected to another Salesforce org before.
    #[error("you logged in to the Salesforce org {found}, and this link is for {expected}")]
    OtherOrg {
        /// The one that was let in to now.
        found: String,
        /// The one that is known.
        expected: String,
    },
    /// It is another customer's, by our books.
    #[error("the Salesforce org {found} is connected already, under another name")]
    Taken {
        /// The Salesforce org.
        found: String,
    },
    /// It was looked at often enough.
    #[error("it was looked at too often by this link")]
    TooOften,
    /// The settings do not take the org.
    #[error("the settings do not take the org: {0}")]
    Settings(String),
    /// The org cannot be worked for as it is stored.
    #[error("it is connected and cannot be started yet: {0}")]
    NotStarted(String),
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is stored of the org.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The org.
    #[error(transparent)]
    Org(#[from] OrgError),
}

/// What the link of an org leads to now.
#[derive(Clone, Debug)]
pub(super) struct Invited {
    /// Its name with the operator.
    pub(super) org: String,
    /// How it logs in, if that is settled.
    pub(super) login: Option<Login>,
    /// Whether it was connected before.
    pub(super) connected: Connection,
}

/// Whether an org is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connection {
    /// Nobody has connected it yet.
    Never,
    /// It is.
    Stands,
    /// It was, and what was granted is of no more use.
    Lost,
}

/// How it went.
#[derive(Debug)]
pub(super) struct Done {
    /// The Salesforce org.
    pub(super) org_id: String,
    /// What it lacks, if it could be asked.
    pub(super) report: Option<Report>,
    /// Seconds after which it can be asked once more; none if it was asked, or is still coming up.
    pub(super) again_secs: Option<u64>,
}

impl Onboarding {
    /// With the settings in force, which it asks for each time.
    pub(crate) async fn new(service: Service, file: SettingsFile) -> Self {
        let links = Links::new(&service.derived_key(PURPOSE).await);
        let clock = service.clock();
        let (consents, looks) = (Arc::default(), Arc::default());
        Self { service, file, links, consents, looks, clock }
    }

    /// How customers connect now, if they can.
    pub(super) fn settings(&self) -> Option<ConnectSettings> {
        self.file.connect()
    }

    /// Whether a link was made here, for which org, and is not over yet; whether it still counts is not looked at.
    pub(super) fn signed(&self, link: &str) -> Result<String, NoLink> {
        self.links.read(link, self.clock.now_ms()).map(|(org, _)| org)
    }

    /// Makes a link for an org, which is added if it is not there; it ends the org's link of before.
    pub(crate) async fn invite(
        &self,
        id: &str,
        login_url: Option<&Url>,
        by: &str,
        life: Option<Duration>,
        chance: [u8; 16],
    ) -> Result<(StoredOrg, Url), InviteError> {
        let settings = self.settings().ok_or(InviteError::NoConnect)?;
        if let Some(url) = login_url.filter(|url| is_loopback(url) && !is_loopback(&settings.base_url)) {
            return Err(InviteError::Loopback(url.clone()));
        }
        let _change = self.file.change().await;
        let now_ms = self.clock.now_ms();
        let mut org = match StoredOrg::find(&self.service, id).await? {
            Some(org) => org,
            None if self.service.org(id).await.is_some() => StoredOrg::new(id, None, by, now_ms),
            None => StoredOrg::by_consent(id, by, now_ms),
        };
        let of_file = org.table.is_none();
        if !org.is_by_consent() || of_file && self.own_login(id).is_none() {
            return Err(InviteError::NotByConsent(id.to_owned()));
        }
        if of_file && login_url.is_some() {
            return Err(InviteError::OfFile(id.to_owned()));
        }
        let problems = self.file.problems_of(&self.service, &org).await.map_err(RecordError::from)?;
        if !problems.is_empty() {
            return Err(InviteError::Settings { problems });
        }
        let life = life.unwrap_or(settings.link_life);
        let (invitation, link) = self.links.make(id, by, life, chance, now_ms);
        // Kept with the link: an org that is connected goes on at its own host until somebody connects it at this one.
        org.invitation = Some(Invitation { login_url: login_url.cloned(), ..invitation });
        org.put(&self.service).await.map_err(RecordError::from)?;
        Ok((org, address(&settings, &format!("/connect/{link}"))))
    }

    /// The login of an org of a file, if a customer grants what it logs in with.
    fn own_login(&self, id: &str) -> Option<Login> {
        let login = self.service.login_of(id)?;
        matches!(login.flow, Flow::RefreshToken { refresh_token: None, .. }).then_some(login)
    }

    /// What a link leads to.
    pub(super) async fn open(&self, settings: &ConnectSettings, link: &str) -> Result<Invited, ConnectError> {
        let org = self.org_of(link).await?;
        let chosen = org.invitation.as_ref().and_then(|invitation| invitation.login_url.clone());
        let settled = || org.login_url().and_then(|url| url.parse().ok());
        let login = if org.table.is_none() {
            self.own_login(&org.id)
        } else {
            chosen.or_else(settled).map(|url| login(settings, url))
        };
        let connected = match (&org.connected, self.service.org(&org.id).await) {
            (None, _) => Connection::Never,
            (Some(_), Some(view)) if view.status.is_locked_out() => Connection::Lost,
            (Some(_), _) => Connection::Stands,
        };
        Ok(Invited { login, connected, org: org.id })
    }

    /// Begins a consent at the host that was chosen: the page to go to, and what the browser has to keep.
    pub(super) async fn begin(
        &self,
        settings: &ConnectSettings,
        link: &str,
        host: &str,
        chance: ([u8; 32], [u8; 32], SecretString),
    ) -> Result<(Url, SecretString), ConnectError> {
        let invited = self.open(settings, link).await?;
        let login = match invited.login {
            Some(login) => login,
            None => login(settings, login_url(settings, host)?),
        };
        let (state, verifier, browser) = chance;
        let consent = Consent::from_chance(state, verifier);
        let redirect_uri = address(settings, CALLBACK);
        // Whoever is logged in as somebody else is asked, so that not the wrong user is let in by one click.
        let request =
            ConsentRequest { redirect_uri: &redirect_uri, prompt: Some("login consent"), login_hint: None };
        let page = consent.page(&login, request)?;
        let (org, link, browser) = (invited.org, link.to_owned(), browser);
        let pending = Pending { org, link, login, consent, redirect_uri, browser: browser.clone() };
        self.consents.keep(pending, self.clock.monotonic());
        Ok((page, browser))
    }

    /// The consent that came back in a browser, if it was asked for there. It counts once.
    pub(super) fn answered(&self, callback: &Callback, browser: Option<&str>) -> Option<Pending> {
        self.consents.take(callback, browser, self.clock.monotonic())
    }

    /// Ends a consent: from what came back to a live org.
    pub(super) async fn finish(&self, pending: Pending, callback: Callback) -> Result<Done, ConnectError> {
        let onboarding = self.clone();
        // By itself: the browser may go away meanwhile, and with it the answer to the exchange would be lost.
        match actix_rt::spawn(async move { onboarding.connect(pending, callback).await }).await {
            Ok(done) => done,
            Err(error) => Err(ConnectError::NotStarted(error.to_string())),
        }
    }

    async fn connect(&self, pending: Pending, callback: Callback) -> Result<Done, ConnectError> {
        // It may have been replaced meanwhile, and a code that is not exchanged ends by itself.
        let org = self.org_of(&pending.link).await?;
        let problems = self.file.problems_of(&self.service, &org).await?;
        if !problems.is_empty() {
            return Err(ConnectError::Settings(problems.join(" ")));
        }
        let code = callback.outcome?;
        let call = pending.consent.exchange(&pending.login, &pending.redirect_uri, &code);
        let reply = self.service.post_form(pending.login.host(), call).await?;
        let token = match web_server::connected(&pending.login, &reply) {
            Ok(token) => token,
            Err(error) => {
                // Too small a consent counts among the user's approvals all the same.
                if let Some(refresh_token) = answer::refresh_token(&reply) {
                    self.give_back(&pending.login, refresh_token).await;
                }
                return Err(error.into());
            }
        };
        let kept = self.keep(&pending, &token).await;
        let refused = |error: &ConnectError| {
            matches!(
                error,
                ConnectError::Link(_) | ConnectError::OtherOrg { .. } | ConnectError::Taken { .. }
            )
        };
        // After a failure of the disk nobody can say whether it is kept.
        if let (Err(error), Some(refresh_token)) = (&kept, token.refresh_token)
            && refused(error)
        {
            tracing::info!(org = pending.org, "what a customer granted is given back: {error}");
            self.give_back(&pending.login, refresh_token).await;
        }
        kept?;
        let found = token.org_id;
        tracing::info!(org = pending.org, org_id = found, "a customer has connected the org");
        let put = self.file.put_to_work(&self.service).await;
        put.map_err(|error| ConnectError::NotStarted(error.to_string()))?;
        if let Some(problems) = self.file.left_out().get(&pending.org) {
            return Err(ConnectError::NotStarted(problems.join(" ")));
        }
        let report = self.examine(&pending.org).await;
        Ok(Done { org_id: found, report, again_secs: None })
    }

    /// Stores what was granted, and that the org is connected.
    async fn keep(&self, pending: &Pending, token: &Token) -> Result<(), ConnectError> {
        // One at a time, so that no two answers make one Salesforce org of two of ours, and none undoes a removal.
        let _change = self.file.change().await;
        let mut org = self.org_of(&pending.link).await?;
        let found = &token.org_id;
        let before = match &org.connected {
            Some(connected) => Some(connected.org_id.clone()),
            None => self.service.org_id(&org.id).await?,
        };
        if let Some(expected) = before.filter(|expected| expected != found) {
            return Err(ConnectError::OtherOrg { found: found.clone(), expected });
        }
        let all = StoredOrg::all(&self.service).await?;
        let others = all.iter().flatten().filter(|other| other.id != org.id);
        let same = others.filter_map(|other| other.connected.as_ref()).any(|other| other.org_id == *found);
        if same || self.service.org_of(found).await?.is_some_and(|other| other != org.id) {
            return Err(ConnectError::Taken { found: found.clone() });
        }
        if let Some(refresh_token) = &token.refresh_token {
            self.service.grant(&org.id, pending.login.client_id(), refresh_token).await?;
        }
        let now_ms = self.clock.now_ms();
        org.set_login_url(&pending.login.login_url);
        let (org_id, user_id) = (found.clone(), token.user_id.clone());
        org.connected = Some(Connected { org_id, user_id, at_ms: now_ms });
        if let Some(invitation) = &mut org.invitation {
            invitation.until_ms = invitation.until_ms.min(now_ms.saturating_add(SERVED));
        }
        org.put(&self.service).await?;
        Ok(())
    }

    /// What is not kept is ended: a user has five approvals of an app at a time, and one more ends the oldest.
    async fn give_back(&self, login: &Login, refresh_token: SecretString) {
        let given = self.service.post_form(login.host(), revocation::revoke(login, refresh_token)).await;
        if let Err(error) = given.and_then(|reply| revocation::revoked(login, &reply)) {
            tracing::warn!("a refresh token that is not used could not be given back: {error}");
        }
    }

    /// What the org of a link lacks.
    pub(super) async fn look_again(&self, link: &str) -> Result<Done, ConnectError> {
        let org = self.org_of(link).await?;
        let Some(connected) = &org.connected else { return Err(ConnectError::NotAsked) };
        let number = org.invitation.as_ref().map(|invitation| invitation.number.clone()).unwrap_or_default();
        let org_id = connected.org_id.clone();
        // Whoever mends one thing after another looks often.
        if let Some(wait) = self.count_look(number)? {
            return Ok(Done { org_id, report: None, again_secs: Some(wait.as_secs() + 1) });
        }
        match self.service.doctor(&org.id).await {
            Ok(report) => Ok(Done { org_id, report: Some(report), again_secs: None }),
            Err(OrgError::TooSoon { wait_secs, .. }) => {
                Ok(Done { org_id, report: None, again_secs: Some(wait_secs) })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Counts a look at what the org of a link lacks, or says how long the next one has to wait.
    fn count_look(&self, number: String) -> Result<Option<Duration>, ConnectError> {
        let (now, (looks_max, pause)) = (self.clock.monotonic(), LOOKS);
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        if looks.len() >= LOOKED_MAX {
            looks.retain(|_, (_, last)| now < *last + SERVED);
        }
        let (count, last) = looks.entry(number).or_default();
        if *count >= looks_max {
            return Err(ConnectError::TooOften);
        }
        let wait = (*last + pause).saturating_sub(now);
        if *count > 0 && !wait.is_zero() {
            return Ok(Some(wait));
        }
        (*count, *last) = (*count + 1, now);
        Ok(None)
    }

    /// Examines an org that comes up just now; none if it does not in time.
    async fn examine(&self, id: &str) -> Option<Report> {
        let (pause, times) = COMING_UP;
        for _ in 0..times {
            match self.service.doctor(id).await {
                Ok(report) => return Some(report),
                Err(error) => tracing::debug!(org = id, "it cannot be examined yet: {error}"),
            }
            actix_rt::time::sleep(pause).await;
        }
        None
    }

    /// The org that a link is for, if it is that org's link and good.
    async fn org_of(&self, link: &str) -> Result<StoredOrg, ConnectError> {
        let now_ms = self.clock.now_ms();
        let (id, number) = self.links.read(link, now_ms)?;
        let org = StoredOrg::find(&self.service, &id).await?.ok_or(NoLink::Replaced)?;
        match &org.invitation {
            Some(invitation) if invitation.number != number => Err(NoLink::Replaced.into()),
            Some(invitation) if now_ms >= invitation.until_ms => Err(NoLink::Expired.into()),
            Some(_) => Ok(org),
            None => Err(NoLink::Replaced.into()),
        }
    }
}

/// The host that is meant. This machine is meant only where all of it is a rehearsal: a customer must not be able to send us to
/// a port of our own.
fn login_url(settings: &ConnectSettings, host: &str) -> Result<Url, ConnectError> {
    let url = login_host::correct(host)?;
    if is_loopback(&url) && !is_loopback(&settings.base_url) {
        return Err(NoLoginHost::Elsewhere { host: url.host_str().unwrap_or_default().to_owned() }.into());
    }
    Ok(url)
}

fn login(settings: &ConnectSettings, login_url: Url) -> Login {
    let ConnectApp { client_id, client_secret } = settings.app.clone();
    let flow = Flow::RefreshToken { client_id, client_secret, refresh_token: None };
    Login { login_url, flow, instance_hosts: Vec::new() }
}

fn address(settings: &ConnectSettings, path: &str) -> Url {
    let mut url = settings.base_url.clone();
    url.set_path(path);
    url
}

impl ConnectError {
    /// What the customer's admin can do.
    pub(super) fn hint(&self) -> String {
        match self {
            Self::Link(_) | Self::TooOften => "Ask whoever sent it to you for a new one.".to_owned(),
            Self::Host(error) => error.hint(),
            Self::NotAsked | Self::NoCallback(_) | Self::Form => {
                "Open the link that you were sent once more, in this browser.".to_owned()
            }
            Self::Login(error) => error.hint().unwrap_or_default(),
            Self::OtherOrg { .. } => {
                "Log out of Salesforce, open the link once more, and log in to the org that it is for. If the org has \
                 really changed, ask whoever sent you the link."
                    .to_owned()
            }
            Self::Taken { .. } => {
                "Ask whoever sent you the link: two names for one org would write the same records.".to_owned()
            }
            Self::Settings(_) | Self::NotStarted(_) | Self::Store(_) | Self::Record(_) | Self::Org(_) => {
                "You need do nothing: tell whoever sent you the link.".to_owned()
            }
        }
    }
}

/// Whether an address is this machine's.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}
