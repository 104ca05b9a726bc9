# shellcheck shell=bash
# Processes of the cluster: started inside the network namespace, known by pid and start time,
# ended by pid. Source it after lib.sh.

# inside CMD...: in the cluster's network, and else in this machine as it is. (`ip netns exec` would
# also mount a fresh /sys, and hide the cgroups from kubelet.)
inside() { nsenter --net="/run/netns/$netns" -- "$@"; }

# started PID: when it started, in ticks since boot; tells a process from a later one with its pid.
# Nothing for one that has ended and only waits for its parent to notice.
started() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return
  # The name in parentheses may hold anything; what follows the last one may not.
  awk '$1 != "Z" { print $20 }' <<<"${stat##*) }"
}

# pid_of NAME: its pid if it lives.
pid_of() {
  local pid start
  read -r pid start 2>/dev/null <"$run_dir/$1.pid" || return
  [[ -n $start && $(started "$pid") == "$start" ]] && echo "$pid"
}

# is_running: also false after a reboot, or after somebody ended its processes, when its folder is
# still there.
is_running() { [[ -e $run_dir/began && -n $(pid_of kube-apiserver) ]]; }

# run_daemon NAME CMD...: starts CMD unless NAME lives already. Its output goes to logs/NAME.log.
run_daemon() {
  local name=$1 pid
  shift
  [[ -z $(pid_of "$name") ]] || return 0
  setsid nsenter --net="/run/netns/$netns" -- "$@" </dev/null >>"$log_dir/$name.log" 2>&1 9>&- &
  pid=$!
  echo "$pid $(started "$pid")" >"$run_dir/$name.pid"
}

# end_daemon NAME: TERM, then KILL after 5 s.
end_daemon() {
  local pid
  pid=$(pid_of "$1") || return 0
  [[ -n $pid ]] || return 0
  kill "$pid" 2>/dev/null || return 0
  wait_until 5 gone "$1" || kill -KILL "$pid" 2>/dev/null || true
  rm -f "$run_dir/$1.pid"
}

kill_daemon() {
  local pid
  pid=$(pid_of "$1") || return 0
  kill -KILL "$pid" 2>/dev/null || true
  wait_until 5 gone "$1" || true
}

gone() { [[ -z $(pid_of "$1") ]]; }

# wait_until SECONDS CMD...: whether CMD succeeds within that time.
wait_until() {
  local end=$(($(date +%s%N) + $1 * 1000000000))
  shift
  until "$@" >/dev/null 2>&1; do
    (($(date +%s%N) < end)) || return 1
    sleep 0.1
  done
}

# processes_in_networks FILE...: pids of all processes in one of these network namespaces.
processes_in_networks() {
  local file tests=(-false)
  for file in "$@"; do
    [[ ! -e $file ]] || tests+=(-o -lname "net:\\[$(stat -Lc %i "$file")\\]")
  done
  find /proc -mindepth 3 -maxdepth 3 -path '/proc/[0-9]*/ns/net' \( "${tests[@]}" \) 2>/dev/null |
    cut -d/ -f3
}

# shims: pids of containerd's shims of this cluster; they outlive containerd by design.
shims() { pgrep -f -- "containerd-shim.* -address $containerd_socket( |\$)" || true; }
