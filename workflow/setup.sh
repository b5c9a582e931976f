#!/usr/bin/env bash
# Everything that the checkout needs, on a bare Debian 12 with git and make.
#
#   workflow/setup.sh base     PostgreSQL with PostGIS and Q3C, Python, .venv from requirements.lock
#   workflow/setup.sh train    the same, and .venv-train from requirements-train.lock (torch)
#   workflow/setup.sh bench    the same, and .venv-bench from requirements-bench.lock (SAHI)
#   workflow/setup.sh workflow .venv-workflow from requirements-workflow.lock (Snakemake alone: it
#                              wants an older SQLAlchemy than the project has)
#
# What is there already is left alone; a changed lock file is installed again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly MINIMUM_POSTGRESQL=15
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
export DEBIAN_FRONTEND=noninteractive

say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'Error: %s\n  %s\n' "$1" "$2" >&2; exit 1; }

# --- Python ---------------------------------------------------------------------------------

# 3.11 or newer that can make a virtual environment with pip in it.
python_fits() {
  "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
  local name
  for name in python3 /usr/bin/python3 python3.13 python3.12 python3.11; do
    if python_fits "$name"; then command -v "$name"; return 0; fi
  done
  return 1
}

# --- PostgreSQL -----------------------------------------------------------------------------

# Prints the major versions installed, newest first.
postgresql_versions() {
  local place version
  for place in /usr/lib/postgresql/*/bin/postgres /usr/pgsql-*/bin/postgres; do
    [ -x "$place" ] || continue
    version=$("$place" --version | sed -E 's/[^0-9]*([0-9]+).*/\1/')
    [ "$version" -ge "$MINIMUM_POSTGRESQL" ] && echo "$version"
  done | sort -rnu
}

# A PostgreSQL whose PostGIS and Q3C are there.
postgresql_fits() {
  local version share
  for version in $(postgresql_versions); do
    for share in "/usr/share/postgresql/$version" "/usr/pgsql-$version/share"; do
      [ -f "$share/extension/postgis.control" ] && [ -f "$share/extension/q3c.control" ] && return 0
    done
  done
  return 1
}

# --- Packages -------------------------------------------------------------------------------

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo --preserve-env=DEBIAN_FRONTEND "$@"; fi
}

require_apt() {
  local wanted="python3 (3.11 or newer) with venv, PostgreSQL ($MINIMUM_POSTGRESQL or newer), PostGIS, Q3C"
  command -v apt-get >/dev/null ||
    die "There is no apt-get here, and something is missing." "Install $wanted."
  [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null ||
    die "Packages are missing, and there is no sudo." \
      "As root: apt-get install python3-venv postgresql postgresql-15-postgis-3 postgresql-15-q3c"
}

# apt WORDS...: quiet unless it fails; its words are in .cda/apt.log.
apt() {
  as_root apt-get -qq -o Dpkg::Use-Pty=0 "$@" >>.cda/apt.log 2>&1 && return 0
  tail -n 20 .cda/apt.log >&2
  die "apt-get $1 failed." "Its last words are above; all of them are in .cda/apt.log."
}

install_python() {
  say "Installing Python from Debian's packages"
  apt install -y --no-install-recommends python3 python3-venv ca-certificates
}

# Debian's package makes and starts a cluster of its own unless it is told not to.
install_postgresql() {
  local folder=/etc/postgresql-common/createcluster.d version
  version=$(postgresql_versions | head -n 1)
  [ -n "$version" ] || version=$(apt-cache depends postgresql |
    sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' | head -n 1)
  [ -n "$version" ] || die "apt offers no package 'postgresql'." "Check /etc/apt/sources.list."
  say "Installing PostgreSQL $version with PostGIS and Q3C from Debian's packages"
  as_root mkdir -p "$folder"
  echo 'create_main_cluster = false' | as_root tee "$folder/cda.conf" >/dev/null
  trap 'as_root rm -f /etc/postgresql-common/createcluster.d/cda.conf' EXIT
  apt install -y --no-install-recommends "postgresql-$version" \
    "postgresql-$version-postgis-3" "postgresql-$version-q3c"
}

system() {
  local python=yes postgresql=yes
  find_python >/dev/null || python=no
  postgresql_fits || postgresql=no
  [ "$python$postgresql" = yesyes ] && return 0
  require_apt
  say "Looking for Debian's packages"
  apt update
  [ "$python" = yes ] || install_python
  [ "$postgresql" = yes ] || install_postgresql
  find_python >/dev/null || die "Python 3.11 or newer with venv is still missing." "Install it by hand."
  postgresql_fits || die "PostgreSQL with PostGIS and Q3C is still missing." "Install it by hand."
}

# --- Virtual environments -------------------------------------------------------------------

# environment FOLDER LOCK [alone]: the folder holds what the lock file lists, and, unless alone,
# this checkout.
environment() {
  local folder=$1 lock=$2 alone=${3:-} wanted
  wanted=$(cat "$lock" pyproject.toml | sha256sum | cut -d' ' -f1)
  if [ "$(cat "$folder/.installed" 2>/dev/null)" = "$wanted" ] && "$folder/bin/python" -c ''; then
    return 0
  fi
  if ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
    say "Making $folder"
    "$(find_python)" -m venv --clear "$folder"
  fi
  say "Installing $lock into $folder"
  "$folder/bin/python" -m pip install -qq -r "$lock"
  [ -n "$alone" ] || "$folder/bin/python" -m pip install -qq --no-deps --no-build-isolation -e .
  echo "$wanted" >"$folder/.installed"
}

main() {
  mkdir -p .cda
  exec 9>.cda/setup.lock
  flock 9 # two at once would install over each other
  case "${1:-}" in
    base) system && environment .venv requirements.lock ;;
    train) system && environment .venv-train requirements-train.lock ;;
    bench) system && environment .venv-bench requirements-bench.lock ;;
    workflow) environment .venv-workflow requirements-workflow.lock alone ;;
    *) die "Unknown word '${1:-}'." "Use: workflow/setup.sh base|train|bench|workflow" ;;
  esac
}

main "$@"
