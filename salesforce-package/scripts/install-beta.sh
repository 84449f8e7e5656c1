#!/usr/bin/env bash
# Installs a version in a fresh org as a customer would, and runs its tests there: install-beta.sh 04t…
source "$(dirname "$0")/lib.sh"
version="${1:?usage: install-beta.sh 04t…}"

org="enrichment-install-$$"
ns="$(prefix)"
key=()
[ -z "${INSTALLATION_KEY:-}" ] || key=(--installation-key "$INSTALLATION_KEY")
# The package's own namespace must not be the org's.
with_scratch_org "$org" orgs/beta.json --no-namespace --no-ancestors
say "installing $version"
sf package install --package "$version" --target-org "$org" --security-type AdminsOnly --wait 30 --publish-wait 30 --no-prompt "${key[@]}"
sf project deploy start --source-dir unpackaged/config/integration --target-org "$org" --test-level NoTestRun --wait 30
sf org assign permset --name "${ns}Sync_Integration" --name Sync_Standard_Access --name "${ns}Enrichment_Viewer" --target-org "$org"
run_tests "$org" --test-level RunSpecifiedTests --class-names "${ns:+${ns%__}.}SyncRequestPublisherTest" >/dev/null
say "$version works in a fresh org"
