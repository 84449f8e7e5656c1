#!/usr/bin/env bash
# Builds a beta version and prints its ID (04t…). INSTALLATION_KEY protects the install link; without it anybody who
# knows the link can install.
source "$(dirname "$0")/lib.sh"

npm run --silent check --prefix checks >&2
key=(--installation-key-bypass)
[ -z "${INSTALLATION_KEY:-}" ] || key=(--installation-key "$INSTALLATION_KEY")
say "building a package version; this takes some minutes"
if ! result="$(sf package version create --package "Enrichment Sync" --target-dev-hub "$DEV_HUB" --code-coverage --wait 90 --json "${key[@]}")"; then
  printf '%s\n' "$result" >&2
  fail "the version was not built"
fi
[ "$(json result.Status <<<"$result")" = Success ] || fail "the version is not finished: $(json result.Status <<<"$result")"
json result.SubscriberPackageVersionId <<<"$result"
echo
