# shellcheck shell=bash
# Shared by the scripts of this folder; sourced, never run. They stop at the first failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Alias of the Dev Hub in the Salesforce CLI.
DEV_HUB="${DEV_HUB:-devhub}"
# Coverage below which tests count as failed; Salesforce itself asks for 75.
COVERAGE_MIN="${COVERAGE_MIN:-90}"

say() { printf '── %s\n' "$*" >&2; }

fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

# Prints a value of the JSON on standard input: `json result.orgId`. Fails if there is none.
json() {
  # shellcheck disable=SC2016  # JavaScript, not shell
  node -e '
    const text = require("fs").readFileSync(0, "utf8");
    const value = process.argv[1].split(".").reduce((object, key) => object?.[key], JSON.parse(text));
    if (value === undefined || value === null) process.exit(1);
    process.stdout.write(String(value));
  ' "$1"
}

# The namespace in sfdx-project.json, with the underscores that stand behind it; empty without one.
prefix() {
  # shellcheck disable=SC2016  # JavaScript, not shell
  node -p '(({ namespace }) => (namespace ? `${namespace}__` : ""))(JSON.parse(require("fs").readFileSync("sfdx-project.json")))'
}

# with_scratch_org ALIAS DEFINITION [FLAG…]: an org for one day that is deleted when the script ends, however it ends.
with_scratch_org() {
  SCRATCH_ORG="$1"
  trap delete_scratch_org EXIT
  say "creating scratch org $1"
  sf org create scratch --alias "$1" --definition-file "$2" --target-dev-hub "$DEV_HUB" --duration-days 1 --wait 20 "${@:3}"
}

delete_scratch_org() {
  local code=$?
  trap - EXIT
  say "deleting scratch org $SCRATCH_ORG"
  if ! sf org delete scratch --target-org "$SCRATCH_ORG" --no-prompt; then
    say "it could not be deleted; it ends by itself after a day"
    [ "$code" -ne 0 ] || code=1
  fi
  exit "$code"
}

# run_tests ORG FLAG…: Apex tests, which must all pass.
run_tests() {
  local result
  say "running Apex tests in $1"
  if ! result="$(sf apex run test --target-org "$1" --result-format json --wait 30 --json "${@:2}")"; then
    printf '%s\n' "$result" >&2
    fail "tests failed in $1"
  fi
  [ "$(json result.summary.outcome <<<"$result")" = Passed ] || fail "tests did not pass in $1"
  printf '%s' "$result"
}
