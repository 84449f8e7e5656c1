#!/usr/bin/env bash
# A scratch org to work in: scratch-create.sh ALIAS [DAYS]. It stays, unless something fails on the way.
source "$(dirname "$0")/lib.sh"
alias="${1:?usage: scratch-create.sh ALIAS [DAYS]}"

SCRATCH_ORG="$alias"
trap delete_scratch_org EXIT
say "creating scratch org $alias"
sf org create scratch --alias "$alias" --definition-file config/project-scratch-def.json --target-dev-hub "$DEV_HUB" --duration-days "${2:-7}" --wait 20
scripts/deploy.sh "$alias"
trap - EXIT
say "ready: sf org open --target-org $alias"
