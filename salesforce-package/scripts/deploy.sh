#!/usr/bin/env bash
# Deploys the package's source and the companion permission set into an org: deploy.sh ORG
source "$(dirname "$0")/lib.sh"
org="${1:?usage: deploy.sh ORG}"

say "deploying to $org"
sf project deploy start --source-dir force-app --target-org "$org" --test-level NoTestRun --wait 30
sf project deploy start --source-dir unpackaged/config/integration --target-org "$org" --test-level NoTestRun --wait 30
sf org assign permset --name Sync_Integration --name Sync_Standard_Access --name Enrichment_Viewer --target-org "$org"
