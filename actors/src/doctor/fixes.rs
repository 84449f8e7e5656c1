//! What to do about a finding: the permission or setting by its name in Setup, and where to click.
//!
//! Here: the words. Not here: when they are said (`diagnosis`). Names of pages as in Setup of Spring '26.

use orgpipe_reconcile::name::namespaced;

use super::{needs::Needs, permission_set::NAME};

pub(super) const NETWORK: &str =
    "Check `login_url`, and that this machine reaches it over HTTPS, by a proxy if need be.";
pub(super) const CLOCK: &str =
    "Let this machine set its clock by the network (NTP): `timedatectl set-ntp true`.";
pub(super) const ALLOWANCE: &str = "Setup → Company Information → API Requests, Last 24 Hours, and Setup → System Overview: find \
                                    out who uses them, buy more, or wait; what is queued stays on disk.";
pub(super) const HELD: &str =
    "Examine it again once calls are free; `orgpipe limits` tells how many are used and what waits for them.";
pub(super) const DELIVERIES: &str = "Setup → Platform Events → Usage: find out who else subscribes; events wait for 72 hours, then a refresh heals.";
pub(super) const FLOWS: &str = "If that is not meant: Setup → Custom Settings → Sync Settings → Manage → Default Organization Level \
                                Value → Edit: Suppress All off.";
pub(super) const UPGRADE: &str = "Install the package's latest version over the old one, for Admins Only.";
pub(super) const VIEW_SETUP: &str = "Setup → Installed Packages shows it. To let orgpipe see it: System Permissions → View Setup and \
                                     Configuration, which nothing else needs.";

/// How the package's permission set is called in the org.
fn packaged_set(needs: &Needs) -> String {
    if needs.namespace.is_empty() {
        "Sync Integration (`Sync_Integration`)".to_owned()
    } else {
        format!("Sync Integration (`{}__Sync_Integration`)", needs.namespace)
    }
}

fn assign(needs: &Needs) -> String {
    format!(
        "Setup → Users → {} → Permission Set Assignments → Edit Assignments: add {}",
        needs.user,
        packaged_set(needs)
    )
}

/// The customer's own permission set, since a package's cannot be edited.
fn own_set(needs: &Needs) -> String {
    format!(
        "Setup → Permission Sets → a set of your own that {} has (`{NAME}`, or Sync Standard Access)",
        needs.user
    )
}

pub(super) fn app(needs: &Needs) -> String {
    let run_as = if needs.run_as { ", and under Client Credentials Flow name the Run As user" } else { "" };
    format!(
        "Setup → External Client App Manager → Sync Service → Policies → Edit: Permitted Users = Admin approved users are \
         pre-authorized, App Policies → Select Permission Sets: {}{run_as}. Then {}.",
        packaged_set(needs),
        assign(needs)
    )
}

pub(super) fn api_enabled(needs: &Needs) -> String {
    format!("{} → System Permissions → Edit: API Enabled.", own_set(needs))
}

pub(super) fn package(needs: &Needs) -> String {
    format!(
        "Setup → Installed Packages: is Enrichment Sync there? If not, install it for Admins Only. If so: {}.",
        assign(needs)
    )
}

pub(super) fn namespace(namespace: &str) -> String {
    format!("Set `namespace = \"{namespace}\"` for the org in the settings.")
}

/// Rights on an object or event; `rights` as the page calls them.
pub(super) fn object(needs: &Needs, object: &str, rights: &str) -> String {
    let page = format!("{} → Object Settings → {} → Edit: {rights}.", own_set(needs), label(needs, object));
    packaged_or(needs, object, page)
}

pub(super) fn field(needs: &Needs, object: &str, field: &str, right: &str) -> String {
    let page = format!(
        "{} → Object Settings → {} → Edit → Field Permissions → {}: {right}.",
        own_set(needs),
        label(needs, object),
        label(needs, field)
    );
    let page = packaged_or(needs, object, page);
    format!(
        "{page} If Setup does not show the field: install the package's latest version, or correct the sync."
    )
}

pub(super) fn external_id(object: &str, field: &str) -> String {
    format!(
        "Setup → Object Manager → {object} → Fields & Relationships → {field} → Edit: External ID and Unique; or name another \
         field in `external_id.field`."
    )
}

pub(super) fn setting(needs: &Needs) -> String {
    let page = format!("{} → Custom Setting Definitions → Edit: Sync Settings.", own_set(needs));
    format!("{}; or {page}", assign(needs))
}

pub(super) fn setting_row(needs: &Needs) -> String {
    format!(
        "Setup → Custom Settings → Sync Settings (`{}`) → Manage → New, below the list of profiles and users: Location = User, \
         {}, Suppress All on.",
        namespaced(&needs.namespace, "Sync_Settings__c"),
        needs.user
    )
}

/// The package's own set has all rights on the package's objects, so assigning it comes first.
fn packaged_or(needs: &Needs, object: &str, page: String) -> String {
    if needs.is_packaged(object) { format!("{}; or {page}", assign(needs)) } else { page }
}

/// A name as Setup shows it: without namespace and suffix, in words.
fn label(needs: &Needs, name: &str) -> String {
    let bare = needs.bare(name);
    let stem = ["__c", "__e"].iter().find_map(|ending| bare.strip_suffix(ending));
    stem.map_or_else(|| bare.to_owned(), |stem| stem.replace('_', " "))
}
