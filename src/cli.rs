//! The commands and their help, as clap types.
//!
//! Here: names, ranges and defaults of what may be typed. Not here: what a command does (`commands`).

use std::{convert::Infallible, net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};
use orgpipe_actors::{ReplayFrom, SAMPLE, SAMPLE_MAX};
use tracing_subscriber::EnvFilter;
use url::Url;

use crate::admin::{DRAIN_SECS, Role};

/// Keeps a vendor's data up to date in every customer's Salesforce org.
#[derive(Debug, Parser)]
#[command(name = "orgpipe", version, propagate_version = true, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 settings or arguments are wrong, 70 a bug: start it again, nothing is lost."
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// How the log is written.
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// How the log is written; it goes to standard error.
#[derive(Args, Debug)]
pub(crate) struct LogArgs {
    /// What is logged: a level, or levels by module such as `info,orgpipe_actors=debug` [default: info for `run` and `simulate`, else off]
    #[arg(long, global = true, env = "ORGPIPE_LOG", value_name = "FILTER", value_parser = filter)]
    pub(crate) log: Option<String>,
    /// How a line of the log looks
    #[arg(long, global = true, env = "ORGPIPE_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
    /// Lines of one kind about one org within a minute; further ones are counted instead, and 0 has all written
    #[arg(long, global = true, env = "ORGPIPE_LOG_REPEATS", default_value_t = 20, value_name = "LINES")]
    pub(crate) log_repeats: u64,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for log collectors.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the service until it is asked to stop
    Run(RunArgs),
    /// Check the settings, report every problem at once, write nothing
    Check(CheckArgs),
    /// Ask an org for everything its syncs need; name each missing permission or setting, and where to click
    ///
    /// Asks the running service, which logs in afresh as the integration user, reads, subscribes and takes leave; writes
    /// nothing. Exit codes: 0 all is there, 1 something does not work, 3 warnings only.
    Doctor(DoctorArgs),
    /// Show what a sync would do with some records of an org, and what it would take for all; write nothing
    ///
    /// Asks the running service, which reads the records, looks them up in your API, matches and compares as a refresh does.
    /// Says first what that takes. Shows values of records: before → after.
    Preview(PreviewArgs),
    /// Ask the running service to refresh an org now
    Refresh(RefreshArgs),
    /// Tell the running service what has changed in your data: the orgs' records are found, looked up and written at once
    ///
    /// Without `--sync` and `--show`, the latest pushes are listed.
    Push(PushArgs),
    /// Show what a sync comes to in one org, with what that org has otherwise (asks the running service)
    Sync(SyncArgs),
    /// Show an org's API calls, what waits for them, and what a refresh would take (asks the running service)
    ///
    /// Counts the records of each sync with a refresh, which takes one API call a sync.
    Limits(OrgTarget),
    /// Tell the whole story of one record: who asked, what was answered, what differed, what was written or why nothing
    ///
    /// Asks the running service, which keeps it for `ledger_days`. Values are never shown: `#…` stands for one, and
    /// equal marks for equal values of a field.
    Explain(ExplainArgs),
    /// Give the running service a command about one org: pause, resume, restart, drain, replay
    Org(OrgArgs),
    /// List, add, invite or remove orgs; those that are added here are kept in the store (asks the running service)
    Orgs(OrgsArgs),
    /// Have the running service read its settings again; only orgs that differ are touched (as SIGHUP does)
    ///
    /// With any problem in the file nothing changes. Keys of `[service]` other than `refreshes_max` are left as they
    /// were until the next start, and so are the variables of the running service's environment; files are read again.
    Reload(ReloadArgs),
    /// List, show, retry or discard what could not be written (asks the running service)
    DeadLetters(DeadLettersArgs),
    /// Show who gave which command, about one org or all, newest first (asks the running service)
    ///
    /// Each that was carried out, for as long as the ledger is kept, at most the last 10,000.
    Audit(AuditArgs),
    /// Show what runs in the running service: threads, orgs and their parts, since when, restarts and reasons
    Tree(TreeArgs),
    /// Show what is wrong now, worst first, each with the next step (asks the running service)
    Alerts(AlertsArgs),
    /// List those who are told about alerts, or send them a test (asks the running service)
    Notify(NotifyArgs),
    /// Give out, list and revoke the tokens that the running service is asked with; make a new one if all are lost
    Tokens(TokensArgs),
    /// Check, measure, compact, export or import the data directory while no service runs
    Store(StoreArgs),
    /// Change the key that seals what customers have granted, while no service runs
    Vault(VaultArgs),
    /// Print the document of the admin API (OpenAPI 3.1), as the running service has it at /api/v1/openapi.json
    Openapi,
    /// Show orgpipe at work on simulated orgs; needs no Salesforce and no settings
    Demo(DemoArgs),
    /// Run simulated Salesforce orgs and a look-up API on loopback, to rehearse your own settings
    Simulate(SimulateArgs),
}

/// The service.
#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// The settings file; config/example.toml explains every key
    #[arg(long, env = "ORGPIPE_CONFIG", default_value = "orgpipe.toml", value_name = "FILE")]
    pub(crate) config: PathBuf,
}

/// A check of the settings.
#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// Check the file only: do not ask your API and do not log in to the orgs
    #[arg(long)]
    pub(crate) offline: bool,
    /// Show each sync as this org would have it, with what it has otherwise
    #[arg(long, value_name = "ORG")]
    pub(crate) mapping: Option<String>,
    /// The settings file; config/example.toml explains every key
    #[arg(long, env = "ORGPIPE_CONFIG", default_value = "orgpipe.toml", value_name = "FILE")]
    pub(crate) config: PathBuf,
}

/// The running service, and the token to ask it with: it needs no settings, and no secret of theirs.
#[derive(Args, Debug)]
#[command(next_help_heading = "Running service")]
pub(crate) struct ServiceArgs {
    /// Where the running service answers
    #[arg(long, env = "ORGPIPE_URL", default_value = "http://127.0.0.1:8787", value_name = "URL", value_parser = service_url)]
    pub(crate) url: Url,
    /// A file with a token, such as the one beside the data directory; the variable `ORGPIPE_TOKEN` may hold a token instead
    #[arg(long, env = "ORGPIPE_TOKEN_FILE", default_value = "data.token", value_name = "FILE")]
    pub(crate) token_file: PathBuf,
    /// A file with certificates, as PEM, that vouch for the service's own, beside those of this machine
    #[arg(long, env = "ORGPIPE_CA_FILE", value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Refused: it was read up to version 0.1.
    #[arg(long = "config", hide = true, value_name = "FILE", value_parser = no_settings)]
    _config: Option<Infallible>,
}

/// An examination of one org.
#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {
    /// The org's `id` in the settings
    #[arg(value_name = "ORG")]
    pub(crate) org: String,
    /// Print the report as JSON, as the admin API answers it
    #[arg(long)]
    pub(crate) json: bool,
    /// The running service
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

/// A reload of the settings.
#[derive(Args, Debug)]
pub(crate) struct ReloadArgs {
    /// The running service
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

/// What is wrong now.
#[derive(Args, Debug)]
pub(crate) struct AlertsArgs {
    /// The running service
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

/// Who is told about alerts.
#[derive(Args, Debug)]
pub(crate) struct NotifyArgs {
    /// What to do
    #[command(subcommand)]
    pub(crate) action: NotifyAction,
}

/// What to do about those who are told.
#[derive(Debug, Subcommand)]
pub(crate) enum NotifyAction {
    /// Show who is told, when they took something last, what waits, and the last error
    List(AlertsArgs),
    /// Send one of them, or each, a test, and say what it answered
    Test(NotifyTestArgs),
}

/// A test of those who are told.
#[derive(Args, Debug)]
pub(crate) struct NotifyTestArgs {
    /// Its name in the settings; left out: each of them
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The running service
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

/// Who gave which command.
#[derive(Args, Debug)]
pub(crate) struct AuditArgs {
    /// The org's `id` in the settings; left out: all commands, also those that are about no org
    #[arg(value_name = "ORG")]
    pub(crate) org: Option<String>,
    /// Only those with numbers below this one
    #[arg(long, value_name = "NUMBER")]
    pub(crate) before: Option<u64>,
    /// At most so many, 1 to 1000
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = value_parser!(u64).range(1..=1_000))]
    pub(crate) limit: u64,
    /// Print them as JSON, as the admin API answers them
    #[arg(long)]
    pub(crate) json: bool,
    /// The running service
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

/// The tree of what runs.
#[derive(Args, Debug)]
pub(crate) struct TreeArgs {
    /// The running service
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

/// A look at what a sync would do.
#[derive(Args, Debug)]
pub(crate) struct PreviewArgs {
    /// The org's `id` in the settings
    #[arg(value_name = "ORG")]
    pub(crate) org: String,
    /// Which sync
    #[arg(long, value_name = "NAME")]
    pub(crate) sync: String,
    /// How many records: the first ones that a refresh would read
    #[arg(long, default_value_t = SAMPLE as u16, value_name = "N", value_parser = value_parser!(u16).range(1..=SAMPLE_MAX as i64))]
    pub(crate) sample: u16,
    /// Only this record, by its ID of 15 or 18 characters
    #[arg(long, value_name = "ID", conflicts_with = "sample")]
    pub(crate) record: Option<String>,
    /// Other settings, to be compared with those that run; the token's role must be `admin`
    ///
    /// The file is sent to the service, which reads it as a reload would, with the files and variables of its own machine, and
    /// takes nothing of it but the sync.
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
    /// Say only what it takes
    #[arg(long)]
    pub(crate) cost_only: bool,
    /// Print it as JSON, as the admin API answers it
    #[arg(long)]
    pub(crate) json: bool,
    /// The running service
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

/// A refresh on demand.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct RefreshArgs {
    /// The org's `id` in the settings
    #[arg(value_name = "ORG")]
    pub(crate) org: String,
    /// Only this sync; without it, all that have `refresh`
    #[arg(long, value_name = "NAME")]
    pub(crate) sync: Option<String>,
    /// Only records changed since the last refresh; without it, all
    #[arg(long)]
    pub(crate) changed: bool,
    /// Stay until the refresh is through, and show how far it is
    #[arg(long)]
    pub(crate) wait: bool,
    /// Begin none: let it rest instead, also by schedule and after a restart, until it is resumed
    #[arg(long, group = "wish", conflicts_with_all = ["changed", "wait"])]
    pub(crate) pause: bool,
    /// Begin none: let one that is paused go on
    #[arg(long, group = "wish", conflicts_with_all = ["changed", "wait"])]
    pub(crate) resume: bool,
    /// Begin none: end the one under way where it is
    #[arg(long, group = "wish", conflicts_with_all = ["changed", "wait"])]
    pub(crate) cancel: bool,
    /// The running service
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

/// What has changed in the vendor's data.
#[derive(Args, Debug)]
pub(crate) struct PushArgs {
    /// Name of the sync whose data has changed
    #[arg(long, value_name = "NAME", conflicts_with = "show")]
    pub(crate) sync: Option<String>,
    /// Only in this org; without it, in all that have the sync. Can be given several times
    #[arg(long, value_name = "ORG", requires = "sync")]
    pub(crate) org: Vec<String>,
    /// External ID of a record of the sync's target. Can be given several times
    #[arg(long, value_name = "ID", requires = "sync", group = "items")]
    pub(crate) external_id: Vec<String>,
    /// A key of the sync with its value, such as `domain=acme.com`. Can be given several times
    #[arg(long, value_name = "NAME=VALUE", requires = "sync", group = "items")]
    pub(crate) key: Vec<String>,
    /// ID of a customer's record, of one org. Can be given several times
    #[arg(long, value_name = "ID", requires = "sync", group = "items")]
    pub(crate) record: Vec<String>,
    /// A file with the items: a line for each external ID, CSV with a column `external_id`, `record_id` or one for each key, or JSON; `-` for standard input
    #[arg(long, value_name = "FILE", requires = "sync", group = "items")]
    pub(crate) file: Option<PathBuf>,
    /// A JSON file with what your API would answer about each item, in order, or null; saves the look-ups
    #[arg(long, value_name = "FILE", requires = "items")]
    pub(crate) data: Option<PathBuf>,
    /// The same key with the same push again is the same push
    #[arg(long, value_name = "KEY", requires = "items")]
    pub(crate) idempotency_key: Option<String>,
    /// Stay until every org has looked and all that was found is through
    #[arg(long)]
    pub(crate) wait: bool,
    /// Show what became of the push of this number
    #[arg(long, value_name = "NUMBER")]
    pub(crate) show: Option<u64>,
    /// The running service
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

/// Syncs.
#[derive(Args, Debug)]
pub(crate) struct SyncArgs {
    /// What to do with them
    #[command(subcommand)]
    pub(crate) action: SyncAction,
}

/// What to do with syncs.
#[derive(Debug, Subcommand)]
pub(crate) enum SyncAction {
    /// Show the keys of a sync as this org has them: from the sync, from `[org.sync.NAME]` or by default
    Show(SyncShowArgs),
}

/// A sync as one org has it.
#[derive(Args, Debug)]
pub(crate) struct SyncShowArgs {
    /// The org's `id` in the settings
    #[arg(value_name = "ORG")]
    pub(crate) org: String,
    /// Only this sync; without it, all of the org
    #[arg(value_name = "SYNC")]
    pub(crate) sync: Option<String>,
    /// Print it as JSON, as the admin API answers it
    #[arg(long)]
    pub(crate) json: bool,
    /// The running service
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

/// A record and its story.
#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    /// Which org
    #[command(flatten)]
    pub(crate) target: OrgTarget,
    /// The ID of the customer's record or of the record written for it, 15 or 18 characters, or its external ID
    ///
    /// If it may mean several records, they are listed: name one of them by its ID.
    #[arg(value_name = "RECORD")]
    pub(crate) record: String,
    /// How many of its ends are told, newest first
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = value_parser!(u16).range(1..=1_000))]
    pub(crate) limit: u16,
}

/// A command to one org.
#[derive(Args, Debug)]
pub(crate) struct OrgArgs {
    /// What to do with it
    #[command(subcommand)]
    pub(crate) action: OrgAction,
}

/// What to do with an org.
#[derive(Debug, Subcommand)]
pub(crate) enum OrgAction {
    /// Stop its parts after the steps under way, until it is resumed; also over a restart of orgpipe
    ///
    /// Events wait at Salesforce, which keeps them for 72 hours; what is queued stays on disk.
    Pause(OrgTarget),
    /// End a pause or a drain, and start what is parked
    Resume(OrgTarget),
    /// Stop its parts after the steps under way, and start them afresh from disk
    Restart(OrgTarget),
    /// Take nothing new in, finish what is open, then pause
    Drain(DrainArgs),
    /// Set where its events go on
    ///
    /// `earliest`: all events that Salesforce still has (72 hours) come again; records are written only where they
    /// differ. `latest`: events between the last position and now are passed over; refresh the org to make up for them.
    /// A replay ID: the events behind it come, again if they have come before.
    Replay(ReplayArgs),
    /// Remove for good all that is stored of an org that is not in the settings any more
    ///
    /// Open records, dead letters, positions and the ledger. If the org comes back, it begins anew.
    Purge(OrgTarget),
}

/// Which org.
#[derive(Args, Debug)]
pub(crate) struct OrgTarget {
    /// The org's `id` in the settings
    #[arg(value_name = "ORG")]
    pub(crate) org: String,
    /// The running service
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

/// The orgs there are.
#[derive(Args, Debug)]
pub(crate) struct OrgsArgs {
    /// What to do with them
    #[command(subcommand)]
    pub(crate) action: OrgsAction,
}

/// What to do with the orgs there are.
#[derive(Debug, Subcommand)]
pub(crate) enum OrgsAction {
    /// List all: those of the settings and those of the store, running, invited or left out
    List(OrgsListArgs),
    /// Show all that is known of one, as JSON
    Show(OrgTarget),
    /// Add the orgs of a file with `[[org]]` tables to the store; without `auth` a customer connects them by a link
    Add(OrgsAddArgs),
    /// Make a link by which a customer connects an org, which is added if it is not there; it ends an older link
    ///
    /// The customer's admin opens it, logs in at Salesforce's own page and allows it; the org is live at once.
    Invite(OrgsInviteArgs),
    /// Remove an org from the store; it stops, and what is stored of its records stays until it is purged
    Remove(OrgTarget),
    /// Stop an org's parts until it is resumed (as `orgpipe org pause`)
    Pause(OrgTarget),
    /// End a pause, and try again what an org is parked for (as `orgpipe org resume`)
    Resume(OrgTarget),
}

/// A list of orgs.
#[derive(Args, Debug)]
pub(crate) struct OrgsListArgs {
    /// The running service
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

/// More orgs.
#[derive(Args, Debug)]
pub(crate) struct OrgsAddArgs {
    /// A file with `[[org]]` tables
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The running service
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

/// An invitation.
#[derive(Args, Debug)]
pub(crate) struct OrgsInviteArgs {
    /// Which org
    #[command(flatten)]
    pub(crate) target: OrgTarget,
    /// Where the customer logs in: its My Domain, or the address of any page of the org; without it the customer chooses
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) login_url: Option<String>,
    /// For how many days the link is good, 1 to 90; without it, `connect.link_days` of the settings
    #[arg(long, value_name = "DAYS", value_parser = value_parser!(u32).range(1..=90))]
    pub(crate) days: Option<u32>,
}

/// A drain of one org.
#[derive(Args, Debug)]
pub(crate) struct DrainArgs {
    /// Which org
    #[command(flatten)]
    pub(crate) target: OrgTarget,
    /// Pause after this long even if something is still open; it is then finished after `resume`
    #[arg(long, default_value_t = DRAIN_SECS.0, value_name = "SECS", value_parser = value_parser!(u64).range(1..=DRAIN_SECS.1))]
    pub(crate) deadline_secs: u64,
}

/// A new position of one channel.
#[derive(Args, Debug)]
pub(crate) struct ReplayArgs {
    /// Which org
    #[command(flatten)]
    pub(crate) target: OrgTarget,
    /// `earliest`, `latest` or a replay ID
    #[arg(long, value_name = "PLACE")]
    pub(crate) from: ReplayFrom,
    /// The channel, such as /event/Sync_Request__e; need not be given where the org listens to only one
    #[arg(long, value_name = "CHANNEL")]
    pub(crate) channel: Option<String>,
}

/// Dead letters of one org.
#[derive(Args, Debug)]
pub(crate) struct DeadLettersArgs {
    /// What to do with them
    #[command(subcommand)]
    pub(crate) action: DeadLettersAction,
}

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersAction {
    /// List them, newest first, or by reason
    List(DeadLettersListArgs),
    /// Show one
    Show(DeadLettersShowArgs),
    /// Ask for their records anew: read, look up, compare, write
    ///
    /// The records stay counted as dead letters and come in once more, so that the ledger adds up.
    Retry(DeadLettersRetryArgs),
    /// Throw them away; their records stay counted as dead letters
    Discard(DeadLettersDiscardArgs),
    /// Show who retried or discarded what, newest first
    Audit(DeadLettersAuditArgs),
}

/// Which dead letters are listed.
#[derive(Args, Debug)]
pub(crate) struct DeadLettersListArgs {
    /// Which org
    #[command(flatten)]
    pub(crate) target: OrgTarget,
    /// Only those whose reason contains this text, whatever its case
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// By reason, the largest group first, each with its key; with a key, the letters of that group
    #[arg(long, value_name = "KEY", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "the option may be left out, and so may its value")]
    pub(crate) group: Option<Option<String>>,
    /// Only those with numbers below this one
    #[arg(long, value_name = "NUMBER")]
    pub(crate) before: Option<u64>,
    /// At most so many, 1 to 1000
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = value_parser!(u64).range(1..=1_000))]
    pub(crate) limit: u64,
}

/// Commands about dead letters.
#[derive(Args, Debug)]
pub(crate) struct DeadLettersAuditArgs {
    /// Which org
    #[command(flatten)]
    pub(crate) target: OrgTarget,
    /// At most so many, 1 to 1000
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = value_parser!(u64).range(1..=1_000))]
    pub(crate) limit: u64,
}

/// One dead letter.
#[derive(Args, Debug)]
pub(crate) struct DeadLettersShowArgs {
    /// Which org
    #[command(flatten)]
    pub(crate) target: OrgTarget,
    /// Its number, as `list` shows it
    #[arg(value_name = "NUMBER")]
    pub(crate) number: u64,
    /// Also what is kept of the record: values of the customer's data
    #[arg(long)]
    pub(crate) values: bool,
}

/// Which dead letters a command is about.
#[derive(Args, Debug)]
pub(crate) struct DeadLettersWhichArgs {
    /// Which org
    #[command(flatten)]
    pub(crate) target: OrgTarget,
    /// Their numbers, as `list` shows them
    #[arg(value_name = "NUMBER", required_unless_present_any = ["reason", "group", "all"])]
    pub(crate) numbers: Vec<u64>,
    /// All whose reason contains this text, whatever its case; at most 1000 at a time
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["numbers", "group", "all"])]
    pub(crate) reason: Option<String>,
    /// All of the group with this key, as `list --group` shows it; at most 1000 at a time
    #[arg(long, value_name = "KEY", conflicts_with_all = ["numbers", "all"])]
    pub(crate) group: Option<String>,
    /// All there are; at most 1000 at a time
    #[arg(long, conflicts_with = "numbers")]
    pub(crate) all: bool,
    /// Of those, only the ones with numbers below this one
    #[arg(long, value_name = "NUMBER", conflicts_with = "numbers")]
    pub(crate) before: Option<u64>,
}

/// A retry of dead letters.
#[derive(Args, Debug)]
pub(crate) struct DeadLettersRetryArgs {
    /// Which ones
    #[command(flatten)]
    pub(crate) which: DeadLettersWhichArgs,
    /// Stay until their records have ended, and say what came of each; exit code 1 if one is a dead letter again
    #[arg(long)]
    pub(crate) wait: bool,
    /// With `--wait`, give up after so many seconds, with exit code 1; the records go on
    #[arg(long, default_value_t = 600, value_name = "N", requires = "wait", value_parser = value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout_secs: u64,
}

/// Dead letters that are thrown away.
#[derive(Args, Debug)]
pub(crate) struct DeadLettersDiscardArgs {
    /// Which ones
    #[command(flatten)]
    pub(crate) which: DeadLettersWhichArgs,
    /// Do not ask first where several would go; needed where nobody can be asked
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Tokens.
#[derive(Args, Debug)]
pub(crate) struct TokensArgs {
    /// What to do with them
    #[command(subcommand)]
    pub(crate) action: TokensAction,
}

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokensAction {
    /// Make one more, and print it: it is told this once
    Add(TokensAddArgs),
    /// Show their names and roles
    List(TokensListArgs),
    /// Let one be of no more use, and end the sessions of browsers that were begun with it
    Revoke(TokensRevokeArgs),
    /// Revoke all while the service does not run, and make a new first one, for whoever has lost them
    Reset(TokensResetArgs),
}

/// A new token.
#[derive(Args, Debug)]
pub(crate) struct TokensAddArgs {
    /// Under which name it is remembered what is done with it
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// What it lets its owner do
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: Role,
    /// The running service
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

/// A list of tokens.
#[derive(Args, Debug)]
pub(crate) struct TokensListArgs {
    /// The running service
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

/// A token that is to be of no more use.
#[derive(Args, Debug)]
pub(crate) struct TokensRevokeArgs {
    /// Its name, as `list` shows it
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The running service
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

/// A new first token.
#[derive(Args, Debug)]
pub(crate) struct TokensResetArgs {
    /// The data directory of the service that does not run, as in `service.data_dir`
    #[arg(long, default_value = "data", value_name = "FOLDER")]
    pub(crate) data_dir: PathBuf,
}

/// The data directory of a service that does not run.
#[derive(Args, Debug)]
pub(crate) struct StoreArgs {
    /// What to do with it
    #[command(subcommand)]
    pub(crate) action: StoreAction,
}

/// What to do with a data directory.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreAction {
    /// Read every entry, check it, and hold the ledgers against what is there; changes nothing
    Verify(DataDirArgs),
    /// Show what is in it by org, and how much of the disk it takes
    Stats(DataDirArgs),
    /// Write the database anew to give back space; needs room for both meanwhile
    Compact(DataDirArgs),
    /// Write everything that can be read to a new file, one JSON object a line
    ///
    /// The file holds values of records: keep it as you keep the data directory. Refresh tokens that customers have granted
    /// (sealed), the keys of hashes and the tokens of the admin API are left out: after an import each customer who connected
    /// has to connect again.
    Export(ExportArgs),
    /// Fill a directory that has no database yet from an exported file
    Import(ImportArgs),
}

/// Which data directory.
#[derive(Args, Debug)]
pub(crate) struct DataDirArgs {
    /// The directory; without it, `service.data_dir` of the settings
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The settings file; config/example.toml explains every key
    #[arg(long, env = "ORGPIPE_CONFIG", default_value = "orgpipe.toml", value_name = "FILE")]
    pub(crate) config: PathBuf,
}

/// An export.
#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    /// The file to write; must not exist yet
    #[arg(value_name = "EXPORT")]
    pub(crate) file: PathBuf,
    /// Leave nothing out, to move to another machine: refresh tokens (of use with the vault key only), keys of hashes, and
    /// the hashes of admin tokens are in the file, too
    #[arg(long)]
    pub(crate) with_secrets: bool,
    /// Which directory
    #[command(flatten)]
    pub(crate) from: DataDirArgs,
}

/// An import.
#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// The exported file
    #[arg(value_name = "EXPORT")]
    pub(crate) file: PathBuf,
    /// Import that of a damaged database, too: what is missing is counted out of the ledgers
    #[arg(long)]
    pub(crate) incomplete: bool,
    /// Which directory
    #[command(flatten)]
    pub(crate) into: DataDirArgs,
}

/// The key that seals secrets at rest.
#[derive(Args, Debug)]
pub(crate) struct VaultArgs {
    /// What to do with it
    #[command(subcommand)]
    pub(crate) action: VaultAction,
}

/// What to do with the vault key.
#[derive(Debug, Subcommand)]
pub(crate) enum VaultAction {
    /// Seal all refresh tokens by a new key, which takes the place of the present one
    ///
    /// A key file (`service.vault_key_file`) is made anew. If it is cut off no service starts until it is run once more,
    /// which goes on where it stopped. Exit code 1 also if neither key opens the token of some org, which is named.
    RotateKey(RotateKeyArgs),
}

/// Another vault key.
#[derive(Args, Debug)]
pub(crate) struct RotateKeyArgs {
    /// The environment variable with the next key; needed where the present one comes from one (`service.vault_key_env`)
    #[arg(long, value_name = "NAME")]
    pub(crate) next_key_env: Option<String>,
    /// The settings file; config/example.toml explains every key
    #[arg(long, env = "ORGPIPE_CONFIG", default_value = "orgpipe.toml", value_name = "FILE")]
    pub(crate) config: PathBuf,
}

/// The demonstration.
#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Changes per second over all simulated orgs, 0.1 to 10000
    #[arg(long, default_value_t = 10.0, value_name = "N", value_parser = events_per_second)]
    pub(crate) events_per_second: f64,
    /// Simulated orgs, 1 to 200
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = value_parser!(u16).range(1..=200))]
    pub(crate) orgs: u16,
    /// End after this many seconds, 1 to 86400; without it, on Ctrl-C
    #[arg(long, value_name = "SECS", value_parser = value_parser!(u64).range(1..=86_400))]
    pub(crate) for_secs: Option<u64>,
    /// Address of the admin API and dashboard; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8787", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
}

/// Simulated orgs for rehearsals.
#[derive(Args, Debug)]
pub(crate) struct SimulateArgs {
    /// First port on loopback: control API; then the look-up API, then one port per org. 0 takes free ones
    #[arg(long, default_value_t = 8800, value_name = "PORT")]
    pub(crate) port: u16,
    /// Simulated orgs, 1 to 200
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = value_parser!(u16).range(1..=200))]
    pub(crate) orgs: u16,
    /// How many of them are left out of the settings, to rehearse how customers connect
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = value_parser!(u16).range(0..=200))]
    pub(crate) unconnected: u16,
    /// How many times faster Salesforce's own timers run, 0.1 to 1000
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR", value_parser = time_scale)]
    pub(crate) time_scale: f64,
    /// Folder to write `orgpipe.toml` and `jwt.key` into: settings that fit the simulated orgs
    #[arg(long, default_value = "simulated", value_name = "FOLDER")]
    pub(crate) dir: PathBuf,
}

fn filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(problem) => {
            Err(format!("{problem}; write a level such as `info` or `info,orgpipe_actors=debug`"))
        }
    }
}

fn service_url(text: &str) -> Result<Url, String> {
    let example = "write it whole, such as `http://127.0.0.1:8787`";
    let url = Url::parse(text).map_err(|problem| format!("{problem}; {example}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(format!("it does not begin with http:// or https://; {example}"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(format!("it has more than a host and a path; {example}"));
    }
    Ok(url)
}

fn no_settings(_: &str) -> Result<Infallible, String> {
    Err("this command asks the running service and reads no settings any more: leave it out, and give `--url` and \
         `--token-file` where they are not the usual ones"
        .to_owned())
}

fn events_per_second(text: &str) -> Result<f64, String> {
    number_within(text, 0.1, 10_000.0)
}

fn time_scale(text: &str) -> Result<f64, String> {
    number_within(text, 0.1, 1_000.0)
}

fn number_within(text: &str, least: f64, most: f64) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("write a number from {least} to {most}")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_service_is_named_by_a_whole_url() {
        for (text, right) in [
            ("http://127.0.0.1:8787", true),
            ("https://orgpipe.internal/here/", true),
            ("127.0.0.1:8787", false),
            ("localhost:8787", false),
            ("ftp://localhost", false),
            ("https://op_secret@localhost", false),
            ("https://localhost/?token=x", false),
            ("", false),
        ] {
            assert_eq!(service_url(text).is_ok(), right, "{text}");
        }
    }

    #[test]
    fn numbers_outside_their_range_are_refused() {
        for (text, right) in
            [("0.1", true), ("1000", true), ("0", false), ("1000.1", false), ("NaN", false), ("x", false)]
        {
            assert_eq!(time_scale(text).is_ok(), right, "{text}");
        }
    }
}
