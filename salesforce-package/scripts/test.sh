#!/usr/bin/env bash
# Apex and flow tests, with coverage: test.sh uses a scratch org of its own, test.sh ORG an org that is there.
source "$(dirname "$0")/lib.sh"

org="${1:-}"
if [ -z "$org" ]; then
  org="enrichment-test-$$"
  with_scratch_org "$org" config/project-scratch-def.json
  scripts/deploy.sh "$org"
fi
result="$(run_tests "$org" --test-level RunLocalTests --code-coverage)"
coverage="$(json result.summary.testRunCoverage <<<"$result")"
say "coverage $coverage"
[ "${coverage%\%}" -ge "$COVERAGE_MIN" ] || fail "coverage is $coverage, at least $COVERAGE_MIN% is expected"
