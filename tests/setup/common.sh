# Sourced by the scripts beside it and by relay/build.sh: where things are, how a step talks, and that what a script
# started ends with it.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/towline
# Where the Debian step leaves the engines, keyed by what it would fetch.
debian=$cache/debian-$(cat "$root"/tests/setup/{apt.sh,debian} | sha256sum | cut -c1-12)
# And where the systemd step leaves its machine.
systemd=$cache/systemd-$(cat "$root"/tests/setup/{apt.sh,systemd} | sha256sum | cut -c1-12)

# say TEXT...: one line to the person who waits.
say() {
  printf 'setup: %s\n' "$*" >&2
}

# locked_version CRATE: the version that Cargo.lock holds for it.
locked_version() {
  awk -v name="\"$1\"" '
    $1 == "name" { hit = $3 == name }
    hit && $1 == "version" { gsub(/"/, "", $3); print $3; exit }
  ' "$root/Cargo.lock"
}

# digest_of FILE...: a short key of what these files say, for the name of a cache folder.
digest_of() {
  cat "$@" | sha256sum | cut -c1-12
}

# on_debian: whether apt can fetch Debian's packages here.
on_debian() {
  command -v apt-get >/dev/null && grep -q '^ID=debian' /etc/os-release
}

# may_unshare: whether this user may make the namespaces that a private engine lives in.
may_unshare() {
  ((EUID == 0)) && unshare --mount --net --pid --fork true 2>/dev/null
}

# engine_environment: the programs and libraries of the engine under test, out of the unpacked packages.
engine_environment() {
  local engine=$debian/engine-${TOWLINE_TEST_ENGINE:-26.1} library
  if [[ ! -d $engine ]]; then
    say "there is no engine ${TOWLINE_TEST_ENGINE:-} here; TOWLINE_TEST_ENGINE may be 26.1 or 20.10"
    return 1
  fi
  library=$(dirname "$debian"/shared/usr/lib/*/xtables)
  export PATH=${TOWLINE_SANDBOX:-/nonexistent}/bin:$engine/usr/sbin:$engine/usr/bin:$debian/shared/usr/sbin:$PATH
  export LD_LIBRARY_PATH=$library:${library/\/usr\/lib/\/lib} XTABLES_LIBDIR=$library/xtables
}

# compose_plugin: a DOCKER_CONFIG in which `docker compose` is the unpacked one.
compose_plugin() {
  mkdir -p "$DOCKER_CONFIG"
  printf '{"cliPluginsExtraDirs": ["%s"]}\n' "$debian/engine-26.1/usr/libexec/docker/cli-plugins" \
    >"$DOCKER_CONFIG/config.json"
}

# remove_cgroups NAME: the groups that a dead engine left, in every hierarchy.
remove_cgroups() {
  local tries group left
  for ((tries = 0; tries < 100; tries++)); do
    left=0
    for group in /sys/fs/cgroup/"$1" /sys/fs/cgroup/*/"$1"; do
      [[ -d $group ]] || continue
      # Processes that were just killed hold their group for a moment.
      find "$group" -depth -type d -delete 2>/dev/null || left=1
    done
    if ((!left)); then return; fi
    sleep 0.02
  done
}

# quietly NAME COMMAND...: runs it with its words in a log; shows the log's end when it fails. In the background, so that
# a signal ends it and a failing function stops where it fails.
quietly() {
  local log=$cache/log/$1.log status=0
  shift
  mkdir -p "$cache/log"
  "$@" >"$log" 2>&1 </dev/null &
  wait "$!" || status=$?
  if ((status)); then
    say "failed ($status): $*"
    tail -n 25 "$log" >&2
    say "the whole log: $log"
  fi
  return "$status"
}

# Background jobs ignore an interrupt: they end with the script that started them.
trap 'jobs -p | xargs -r kill 2>/dev/null || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
