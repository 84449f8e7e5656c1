//! Records of a target that were made for a record which is gone: found at the end of a refresh of all records.
//!
//! Salesforce empties the lookups that point to a deleted record ("Lookup Relationship", delete behaviour). So a record of
//! the target that has our external ID and none of the links that our syncs write has lost its own record. A merged
//! record's links are moved by Salesforce to the record that stays, so it has not.
//!
//! Here: counting and reading them. Not here: what becomes of one (`decide::orphans`), which looks at it once more.

use orgpipe_reconcile::describe::Kind;
use orgpipe_salesforce::{rest::query, soql::Select};
use orgpipe_store::Lane;

use super::pages;
use crate::{
    org::{context::OrgContext, describe::describe_target, step_error::StepError},
    queue_entry::Row,
    settings::{OnDeleted, SyncSettings},
};

/// Records of one query.
const PAGE: usize = pages::PAGE;
/// Up to so many are taken without a further look.
const FEW: u64 = 100;
/// More than this part of all records of the target is taken for a mistake: one in ten.
const SHARE_MAX: u64 = 10;

/// Whether a sync asks for them at all.
pub(super) fn wanted(sync: &SyncSettings) -> bool {
    sync.refresh.as_ref().is_some_and(|refresh| refresh.on_deleted != OnDeleted::Keep)
}

fn select(org: &OrgContext, sync: &SyncSettings) -> Select {
    let target = sync.mapping.target();
    let select = Select::from(target).where_raw(&format!("{} != null", sync.mapping.key_field()));
    org.settings.links(target).iter().fold(select, |select, link| select.where_raw(&format!("{link} = null")))
}

/// Whether they can be told for sure: each link is a lookup that we may read, and they are not so many that a mistake is
/// the likelier reason.
pub(super) async fn told_for_sure(org: &OrgContext, sync: &SyncSettings) -> Result<bool, StepError> {
    let target = sync.mapping.target();
    let plan = org.api.reserve(Lane::Refresh, 3).await?;
    let described = match describe_target(org, &plan, target).await {
        Ok(described) => described,
        Err(error @ StepError::Unusable { .. }) => {
            tracing::error!(org = org.id(), sync = sync.name, "deleted records are not looked for: {error}");
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    let links = org.settings.links(target);
    let lookup = |link: &String| {
        let field = described.describe.field(link);
        described.writes(link) && field.is_some_and(|field| field.kind == Kind::Reference)
    };
    if links.is_empty() || !links.iter().all(lookup) {
        let message = "deleted records are not looked for: not every field that `$Id` is written to is a lookup we may write";
        tracing::error!(org = org.id(), sync = sync.name, ?links, "{message}");
        return Ok(false);
    }
    let count = async |select: Select| {
        let reply = org.api.call_reserved(&plan, &query::query(&select.to_count())).await?;
        Ok::<_, StepError>(query::page(&reply)?.total)
    };
    let orphans = count(select(org, sync)).await?;
    if orphans <= FEW {
        return Ok(orphans > 0);
    }
    let key = sync.mapping.key_field();
    let all = count(Select::from(target).where_raw(&format!("{key} != null"))).await?;
    if orphans * SHARE_MAX > all {
        tracing::error!(
            org = org.id(),
            sync = sync.name,
            orphans,
            all,
            "{orphans} of {all} records of {target} have lost the record they were made for, which is too many to be \
             true: none is touched. If it is true, delete them by hand"
        );
        return Ok(false);
    }
    Ok(true)
}

/// Those behind this ID, with their external IDs, and whether there may be more.
pub(super) async fn read(
    org: &OrgContext,
    sync: &SyncSettings,
    after: &str,
) -> Result<(Vec<Row>, bool), StepError> {
    let pages = org.vendor().pages;
    let _turn = pages.acquire().await;
    let select = select(org, sync).fields(["Id", sync.mapping.key_field()]).order_by("Id").limit(PAGE);
    let select = if after.is_empty() { select } else { select.and_gt("Id", after) };
    let page = query::page(&org.api.call(Lane::Refresh, &query::query(&select.to_soql())).await?)?;
    // A page that Salesforce cut is gone on with behind its last record.
    let more = page.next.is_some() || page.records.len() >= PAGE;
    Ok((page.records, more))
}
