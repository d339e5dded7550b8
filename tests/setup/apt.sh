# Sourced by the steps that unpack Debian's packages: a private apt beside the system's, with lists of its own. Before it,
# `work` is set to a folder for it.
# shellcheck shell=bash

# The mirror of the system's own Debian release.
mirror() {
  # shellcheck disable=SC2016 # apt's own placeholders
  apt-get indextargets --format '$(CREATED_BY) $(COMPONENT) $(RELEASE) $(REPO_URI)' |
    awk '$1 == "Packages" && $2 == "main" && $3 !~ /[-\/]/ && $4 !~ /security/ { print $4; exit }'
}

# source_of SUITE [KEYRING]: apt reads it in the deb822 form.
source_of() {
  printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nTargets: Packages\n' "$mirror" "$1"
  if [[ -n ${2:-} ]]; then printf 'Signed-By: %s\n' "$2"; fi
}

private_apt() {
  mkdir -p "$work"/{sources,state,lists/partial,archives/partial}
  : >"$work/status"
  cat >"$work/apt.conf" <<END
Dir::State "$work/state";
Dir::State::Lists "$work/lists";
Dir::State::Status "$work/status";
Dir::Cache "$work";
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "$work/sources";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Acquire::Languages "none";
Acquire::Retries "3";
APT::Sandbox::User "$(id -un)";
END
  export APT_CONFIG=$work/apt.conf
}

# unpack SUITE FOLDER PACKAGE...
unpack() {
  local suite=$1 folder=$2 debs
  shift 2
  debs=$(mktemp -d -p "$work")
  (cd "$debs" && apt-get -qq download "${@/%//$suite}")
  mkdir -p "$folder"
  for deb in "$debs"/*.deb; do dpkg-deb -x "$deb" "$folder"; done
  rm -rf "$debs"
}
