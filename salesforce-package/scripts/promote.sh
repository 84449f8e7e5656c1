#!/usr/bin/env bash
# Makes a version final: promote.sh 04t… From then on nothing in it can be taken back.
source "$(dirname "$0")/lib.sh"
version="${1:?usage: promote.sh 04t…}"

npm run --silent check --prefix checks >&2
if ! report="$(sf package version report --package "$version" --target-dev-hub "$DEV_HUB" --verbose --json)"; then
  printf '%s\n' "$report" >&2
  fail "$version could not be looked up"
fi
[ "$(json result.ValidationSkipped <<<"$report")" = false ] || fail "$version was built without validation"
[ "$(json result.HasPassedCodeCoverageCheck <<<"$report")" = true ] || fail "$version did not pass the check of its coverage"
number="$(json result.Version <<<"$report")"

say "promoting $version ($number)"
sf package version promote --package "$version" --target-dev-hub "$DEV_HUB" --no-prompt
SURFACE_VERSION="$number" npm run --silent surface --prefix checks >&2
say "$number is released. Now set ancestorVersion to HIGHEST and raise versionNumber in sfdx-project.json,"
say "and commit both with released-surface.json."
