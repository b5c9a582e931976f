#!/usr/bin/env bash
# Resolve pyproject.toml anew into requirements.lock, requirements-train.lock,
# requirements-bench.lock and requirements-workflow.lock.
#
# The files hold names and versions only: no local versions (torch's CPU build is one), no hashes
# of this machine's wheels, no index.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# requirements EXTRA...: what pyproject.toml asks for, a line each.
requirements() {
  python3 - "$@" <<'PYTHON'
import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text())
lines = []
if sys.argv[1:] != ["workflow"]:  # Snakemake lives alone
    lines = project["build-system"]["requires"] + project["project"]["dependencies"]
for extra in sys.argv[1:]:
    lines += project["project"]["optional-dependencies"][extra]
print("\n".join(lines))
PYTHON
}

# resolve FILE EXTRA...: what they need, installed into a scratch environment and listed.
resolve() {
  local file=$1 scratch
  shift
  scratch=$(mktemp -d)
  python3 -m venv "$scratch"
  requirements "$@" >"$scratch/requirements.txt"
  "$scratch/bin/pip" install -q -r "$scratch/requirements.txt"
  {
    echo "# Made by 'make lock' from pyproject.toml and its extras: $*."
    "$scratch/bin/pip" freeze --all --exclude pip |
      sed -E 's/^([A-Za-z0-9._-]+==[^+ ]+)\+.*/\1/'
  } >"$file"
  rm -r "$scratch"
}

resolve requirements.lock dev
resolve requirements-train.lock dev train
resolve requirements-bench.lock dev bench
resolve requirements-workflow.lock workflow
