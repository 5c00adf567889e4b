#!/usr/bin/env bash
# A release with sluice, on a real control plane, in about a minute: a good version is
# held, tried and promoted, a bad one gives up by itself. What it shows it also checks:
# the first thing that is not as told ends it with exit code 1.
#
#   demo/demo.sh         show it, and leave nothing behind
#   KEEP=1 demo/demo.sh  show it, and leave everything up to go on by hand
#   demo/demo.sh down    end what KEEP=1 left
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly root=$PWD
readonly dir=$root/.cache/demo
readonly log=$dir/sluice.log
readonly namespace=shop replicas=5
readonly limit=60 # seconds that anything may take

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  readonly bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
  readonly bold='' dim='' green='' red='' plain=''
fi

# --- speaking ---------------------------------------------------------------------

chapter() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
say() { printf '\n%s\n' "$*"; }
holds() { printf '%sok: %s%s\n' "$green" "$*" "$plain"; }

fail() {
  printf '\n%sdemo: %s%s\n' "$red" "$*" "$plain" >&2
  if [[ -s $log ]]; then
    printf 'the end of %s:\n' "$log" >&2
    tail -n 25 "$log" >&2
  fi
  exit 1
}

# --- doing ------------------------------------------------------------------------

# quoted COMMAND...: the command as it can be pasted into a shell.
quoted() {
  local word line=''
  for word in "$@"; do
    [[ $word =~ ^[[:alnum:]@%+=:,./_-]+$ ]] || word=${word@Q}
    line+=" $word"
  done
  echo "${line# }"
}

# as USER COMMAND...: what a person would type, with what they would read. The output
# is left in $output, and the command's exit code is returned.
output=''
as() {
  local user=$1 code=0
  shift
  printf '%s%s$ %s%s\n' "$dim" "$user" "$(quoted "$@")" "$plain"
  KUBECONFIG=$dir/cluster/kubeconfig/$user "$@" >"$dir/output" 2>&1 || code=$?
  output=$(<"$dir/output")
  printf '%s\n' "$output"
  return "$code"
}

must() { as "$@" || fail "this was expected to work"; }
refused() { if as "$@"; then fail "this was expected to be refused"; fi; }

# ask COMMAND...: a look of the demo's own, not shown.
ask() { KUBECONFIG=$dir/cluster/kubeconfig/admin "$@"; }

# eventually WHAT COMMAND...: polls until the command succeeds.
eventually() {
  local what=$1 end=$((SECONDS + limit))
  shift
  until "$@" 2>"$dir/last-error"; do
    ((SECONDS < end)) || fail "$what: not within $limit s. $(<"$dir/last-error")"
    sleep 0.2
  done
}

expect() {
  grep -qF -- "$2" <<<"$1" || fail "expected to read \"$2\""
}

# --- looking ----------------------------------------------------------------------

release() { ask kubectl -n "$namespace" get deployment web -o 'jsonpath={.metadata.annotations.sluice\.dev/release}'; }
phase_is() { [[ $(release) == *"\"phase\":\"$1\""* ]]; }
no_release() { [[ -z $(release) ]]; }
ready_pods() {
  [[ $(ask kubectl -n "$namespace" get pods -o 'jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}' |
    grep -c True) == "$1" ]]
}
pods_total() { (($(ask kubectl -n "$namespace" get pods -o name | wc -l) == $1)); }

# pods_of IMAGE: the names and UIDs of its pods, sorted.
pods_of() {
  ask kubectl -n "$namespace" get pods -o 'jsonpath={range .items[*]}{.spec.containers[0].image} {.metadata.name} {.metadata.uid}{"\n"}{end}' |
    awk -v image="$1" '$1 == image { print $2, $3 }' | sort
}

show_state() {
  must alice kubectl -n "$namespace" get deploy,rs -L sluice.dev/phase,sluice.dev/step,sluice.dev/weight
  must alice kubectl -n "$namespace" get pods -o 'custom-columns=POD:.metadata.name,IMAGE:.spec.containers[0].image,READY:.status.conditions[?(@.type=="Ready")].status'
}

# --- up and down ------------------------------------------------------------------

cluster() { go run -C "$root/test/cluster" ./cmd/cluster "$@"; }

# sluice_pid prints the process id of the demo's own sluice, if it lives: a number may
# have been given to another process meanwhile.
sluice_pid() {
  local pid
  [[ -f $dir/sluice.pid ]] && pid=$(<"$dir/sluice.pid") &&
    [[ $(readlink "/proc/$pid/exe" 2>/dev/null) == "$dir/bin/sluice"* ]] && echo "$pid"
}

gone() { ! sluice_pid >/dev/null; }

down() {
  local pid
  if pid=$(sluice_pid); then
    kill -INT "$pid" # it takes out what it installed
    for _ in {1..100}; do
      gone && break
      sleep 0.2
    done
    gone || kill -KILL "$pid"
  fi
  [[ ! -d $dir/cluster ]] || cluster down --dir "$dir/cluster"
  rm -rf "$dir"
}

finish() {
  local code=$?
  trap - EXIT
  trap '' INT TERM # taking down is not given up half way
  if [[ $code == 0 && -n ${KEEP:-} ]]; then
    exit 0
  fi
  chapter "Taking everything down"
  down
  exit "$code"
}

start_sluice() {
  KUBECONFIG=$dir/cluster/kubeconfig/admin setsid "$dir/bin/sluice" dev >"$dir/serves" 2>"$log" </dev/null &
  local pid=$!
  echo "$pid" >"$dir/sluice.pid"
  eventually "sluice dev serves" serves_or_ended "$pid"
  [[ -s $dir/serves ]] || fail "sluice dev ended"
  cat "$dir/serves"
}

serves_or_ended() { [[ -s $dir/serves ]] || ! kill -0 "$1"; }

prepare() {
  if [[ -e $dir ]]; then
    if sluice_pid >/dev/null; then
      echo "demo: an earlier demo is still up; end it with: demo/demo.sh down" >&2
      exit 1
    fi
    down # what a killed demo left
  fi
  mkdir -p "$dir/bin"
  trap finish EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM

  chapter "A control plane and sluice"
  say "Starting a real Kubernetes control plane on this machine; pods are played, everything else is real."
  cluster up --dir "$dir/cluster" | sed '/^use it:/d; /^end it:/d'
  say "Building sluice (minutes the first time, then seconds) and starting it against that cluster, with the permissions that an installed one has."
  go build -o "$dir/bin/sluice" ./cmd/sluice
  # As people call it; the programs are the ones that the cluster was built with.
  PATH=$(eval "$(cluster env --dir "$dir/cluster")" && echo "$PATH")
  ln -s "$(command -v helm4)" "$dir/bin/helm"
  export PATH=$dir/bin:$PATH
  start_sluice
}

# --- the story --------------------------------------------------------------------

story_install() {
  chapter "Opting in"
  say "The admin makes a namespace, opts it in with one label, and gives its releases ten seconds per step."
  must admin kubectl create namespace "$namespace"
  must admin kubectl label namespace "$namespace" sluice.dev/enabled=true
  must admin kubectl annotate namespace "$namespace" sluice.dev/progress-deadline=10s

  chapter "Version 1"
  say "alice, a developer with the built-in role edit, installs an ordinary chart. There is nothing to compare a first version with, so it just starts."
  must alice helm install web test/charts/web -n "$namespace" --set replicas=$replicas
  must alice kubectl -n "$namespace" rollout status deployment/web --timeout="${limit}s"
  eventually "$replicas pods of version 1" ready_pods $replicas
}

story_promote() {
  local before canary after
  before=$(pods_of example/web:v1)
  chapter "Version 2: held, tried, promoted"
  say "alice upgrades as always. Read the warning: the change is held."
  must alice helm upgrade web test/charts/web -n "$namespace" --reuse-values --set image=example/web:v2
  expect "$output" "deployment/web is held as release"
  expect "$output" "kubectl rollout resume deployment/web -n $namespace"

  eventually "the canary is available" phase_is Waiting
  say "The new version runs in one pod beside the $replicas old ones, and waits."
  show_state
  canary=$(pods_of example/web:v2)
  [[ $(wc -l <<<"$canary") == 1 && -n $canary ]] || fail "expected one pod of version 2"
  [[ $(pods_of example/web:v1) == "$before" ]] || fail "a pod of version 1 was touched"
  holds "1 pod of version 2, and the same $replicas pods of version 1 as before"

  say "It looks good, so alice lets it go on, with kubectl alone."
  must alice kubectl -n "$namespace" rollout resume deployment/web
  eventually "the promotion" no_release
  must alice kubectl -n "$namespace" rollout status deployment/web --timeout="${limit}s"
  eventually "only pods of version 2" pods_total $replicas
  show_state
  after=$(pods_of example/web:v2)
  [[ $(wc -l <<<"$after") == "$replicas" ]] || fail "expected $replicas pods of version 2"
  [[ $(comm -12 <(echo "$canary") <(echo "$after")) == "$canary" ]] || fail "the canary's pod did not stay"
  holds "${canary% *}, the pod that was tried, is one of the $replicas that stay: only $((replicas - 1)) were started"
}

story_abort() {
  local before
  before=$(pods_of example/web:v2)
  chapter "Version 3: bad"
  say "The next version never becomes ready. Without sluice, a rollout would already be replacing pods."
  must alice helm upgrade web test/charts/web -n "$namespace" --reuse-values --set image=example/web:v3-unready
  expect "$output" "deployment/web is held as release"
  eventually "the release gives up" phase_is Aborted
  eventually "the canary's pods go" pods_total $replicas
  say "Ten seconds later it has given up by itself and taken its pod away."
  show_state
  must alice kubectl -n "$namespace" get events --field-selector involvedObject.name=web,involvedObject.kind=Deployment -o 'custom-columns=TYPE:.type,REASON:.reason,MESSAGE:.message'
  [[ $(pods_of example/web:v2) == "$before" ]] || fail "a pod of version 2 was touched"
  holds "the $replicas pods of version 2 are the same as before"

  say "Letting it go on is refused, with the reason and the ways out."
  refused alice kubectl -n "$namespace" rollout resume deployment/web
  expect "$output" "is aborted"

  say "alice takes the version back. The pods of version 2 never stopped running it, so nothing has to start."
  must alice helm rollback web 2 -n "$namespace"
  eventually "the release ends" no_release
  show_state
  [[ $(pods_of example/web:v2) == "$before" ]] || fail "a pod of version 2 was touched by the rollback"
  holds "still the same $replicas pods of version 2"
}

go_on() {
  chapter "Going on by hand"
  if [[ -z ${KEEP:-} ]]; then
    say "KEEP=1 make demo leaves all of this up. Then try kubectl set image, kubectl edit, or a chart of your own."
    return
  fi
  cat <<EOF

Everything is up. sluice logs to $log

  export KUBECONFIG=$dir/cluster/kubeconfig/alice PATH=$dir/bin:$(dirname "$(command -v kubectl)"):\$PATH
  kubectl -n $namespace set image deployment/web web=example/web:v4
  kubectl -n $namespace get rs -w -L sluice.dev/phase,sluice.dev/step,sluice.dev/weight
  kubectl -n $namespace rollout resume deployment/web

The name of an image decides what becomes of its pods: one that contains unready, crash
or pull never becomes ready. Take everything down with

  demo/demo.sh down
EOF
}

case ${1:-} in
'') ;;
down)
  down
  exit 0
  ;;
*)
  echo "demo: unknown argument \"$1\"; want nothing, or down" >&2
  exit 1
  ;;
esac

prepare
story_install
story_promote
story_abort
go_on
