# shellcheck shell=bash
# What all scripts of the project share: how they speak, how they fail, and how they get what they
# need. Source it; it defines functions and a few paths and does nothing else.
#
#   say TEXT               a line with the time since the start of the command
#   step TITLE CMD...      runs CMD; shows title, time and result; its output only if it fails
#   die TEXT...            an error: what is wrong and how to mend it (one argument a line); exits 1
#   need_apt PACKAGE...    installs the packages that are missing, and says which
#   need_commands CMD=PACKAGE...   the same by command, for tools that people also get elsewhere
#   need_go                puts a Go that can build the test cluster on PATH
#   as_root CMD...         runs CMD as root: directly, or by sudo

root_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache_dir=${XDG_CACHE_HOME:-$HOME/.cache}/pooler-operator

# Set once by the outermost script, so that every script it calls counts from the same moment.
export POOLER_STARTED=${POOLER_STARTED:-$(date +%s)}

if [[ -t 2 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
  bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
  bold='' dim='' red='' green='' plain=''
fi

# elapsed [SINCE]: m:ss since SINCE (epoch seconds), by default since the start of the command.
elapsed() {
  local seconds=$(($(date +%s) - ${1:-$POOLER_STARTED}))
  printf '%d:%02d' $((seconds / 60)) $((seconds % 60))
}

say() { printf '%s[%5s]%s %s\n' "$dim" "$(elapsed)" "$plain" "$*" >&2; }

die() {
  printf '%serror:%s %s\n' "$red$bold" "$plain" "$1" >&2
  shift
  (($#)) && printf '       %s\n' "$@" >&2
  exit 1
}

# step TITLE CMD...: the output of CMD goes to a file, whose end is shown if CMD fails. A terminal
# sees the seconds run; a log gets a line after 2 s, then one each 30 s, and one at the end.
# CMD has a process group of its own, so that an interrupt ends all of it. If CMD is a function, do
# not write `step ... || ...`: bash would let all of its commands fail unnoticed.
step() {
  local title=$1 began log status=0 pid spent next_line=2
  shift
  began=$(date +%s)
  mkdir -p "$cache_dir/logs"
  log=$cache_dir/logs/$(tr -cs 'a-zA-Z0-9\n' '-' <<<"$title" | tr 'A-Z' 'a-z').log
  set -m
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  set +m
  trap 'kill -TERM -- "-$pid" 2>/dev/null; trap - INT TERM; kill -INT $$' INT TERM
  while kill -0 "$pid" 2>/dev/null; do
    spent=$(($(date +%s) - began))
    if [[ -t 2 ]]; then
      printf '\r%s[%5s]%s %s ... %s ' "$dim" "$(elapsed)" "$plain" "$title" "$(elapsed "$began")" >&2
    elif ((spent >= next_line)); then
      say "$title ..."
      next_line=$((spent / 30 * 30 + 30))
    fi
    sleep 0.2
  done
  wait "$pid" || status=$?
  trap - INT TERM
  [[ -t 2 ]] && printf '\r\e[K' >&2
  if ((status)); then
    say "$title: ${red}failed${plain} after $(elapsed "$began")"
    tail -n "${POOLER_LOG_LINES:-40}" "$log" | sed 's/^/    /' >&2
    printf '    %s(all of it: %s)%s\n' "$dim" "$log" "$plain" >&2
    return "$status"
  fi
  say "$title: ${green}done${plain} in $(elapsed "$began")"
}

as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "this needs root: $*" "Run it as root, or install sudo."
  fi
}

apt_install() {
  command -v apt-get >/dev/null ||
    die "missing: $*" "This machine has no apt-get; install the counterparts of these Debian packages."
  say "Installing with apt: $*"
  # Asked for here, since a step has no terminal to ask for a password.
  ((EUID == 0)) || ! command -v sudo >/dev/null || sudo -v
  # Lists are fetched only where one of the packages is not in those at hand.
  if ! apt-cache --no-all-versions show "$@" >/dev/null 2>&1; then
    step "Fetching apt's package lists" as_root apt-get -q update
  fi
  local install=(as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y
    --no-install-recommends -o DPkg::Lock::Timeout=600 install "$@")
  step "Installing packages" "${install[@]}" && return
  # Lists of an older day name versions that the mirror no longer holds.
  step "Fetching apt's package lists" as_root apt-get -q update
  step "Installing packages" "${install[@]}" ||
    die "apt could not install: $*" "Mend the machine's apt configuration, or install them by hand."
}

need_apt() {
  local package have missing=()
  have=$(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' "$@" 2>/dev/null | sed -n 's/^ii *//p' || true)
  for package in "$@"; do
    grep -qxF -- "$package" <<<"$have" || missing+=("$package")
  done
  ((${#missing[@]} == 0)) || apt_install "${missing[@]}"
}

need_commands() {
  local pair missing=()
  for pair in "$@"; do
    # /usr/sbin is not on everybody's PATH, yet half of what a cluster needs lives there.
    PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
  done
  ((${#missing[@]} == 0)) || apt_install "${missing[@]}"
}

# go_is_new_enough GO: whether it is 1.24 or newer. Such a Go fetches by itself, as a module, the
# newer toolchain that a go.mod asks for.
go_is_new_enough() {
  local version
  version=$("$1" env GOVERSION 2>/dev/null | sed -nE 's/^go1\.([0-9]+).*/\1/p')
  ((${version:-0} >= 24))
}

need_go() {
  local go package
  for go in "$(command -v go || true)" /usr/local/go/bin/go /usr/lib/go-1.*/bin/go; do
    if [[ -x $go ]] && go_is_new_enough "$go"; then
      PATH=$(dirname "$go"):$PATH
      # Debian's Go is told to be content with itself; where it is too old for a module, it may not.
      export PATH GOTOOLCHAIN=auto
      return
    fi
  done
  if [[ -z ${1:-} ]]; then
    for package in golang-1.26-go golang-1.25-go golang-1.24-go; do
      if apt-cache policy "$package" 2>/dev/null | grep -q 'Candidate: [0-9]'; then
        apt_install "$package"
        need_go installed
        return
      fi
    done
  fi
  die "Go 1.24 or newer is missing (the test cluster's programs are built from source)." \
    "Debian 13: apt-get install golang-go." \
    "Debian 12: enable bookworm-backports, then apt-get install golang-1.24-go;" \
    "           or unpack a Go release at /usr/local/go." \
    "With a cluster of your own you need no Go: --context NAME."
}
