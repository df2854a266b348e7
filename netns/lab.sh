# SPDX-License-Identifier: Apache-2.0
#
# Shared pieces of the lab: names, addresses, processes by pid file, waiting with a deadline. Source
# it; it does nothing by itself.
#
#   TANDEM_LAB      prefix of the namespaces (tandem-)
#   TANDEM_BINARY   the executable under test (.build/release/tandem)
#   TANDEM_RUNTIME  directory for pids, logs and keys (/run/tandem-lab)

LAB=${TANDEM_LAB:-tandem-}
RUNTIME=${TANDEM_RUNTIME:-/run/${LAB%-}-lab}
NETNS_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(dirname "$NETNS_DIR")
VIP=10.77.0.100
NODES=(lb1 lb2)
BACKENDS=(be1 be2 be3)
MEMBERS=(lb1 lb2 be1 be2 be3 client)
declare -A ADDRESS=([lb1]=10.77.0.11 [lb2]=10.77.0.12 [be1]=10.77.0.21 [be2]=10.77.0.22
    [be3]=10.77.0.23 [client]=10.77.0.200)

die() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

usage_error() {
    echo "$(basename "$0"): $*" >&2
    exit 2
}

require_root() {
    [ "$(id -u)" = 0 ] || die "network namespaces need root: run it with sudo"
    local tool
    for tool in ip unshare nsenter setsid curl; do
        command -v "$tool" >/dev/null || die "$tool is missing: see netns/packages"
    done
}

require_up() {
    [ -e "$RUNTIME/pair" ] || die "the lab is not up: run netns/up first"
}

is_member() {
    local member
    for member in "${MEMBERS[@]}" lan; do [ "$member" = "$1" ] && return 0; done
    return 1
}

is_node() { [ "$1" = lb1 ] || [ "$1" = lb2 ]; }

# The pair under test: tandem or keepalived.
pair_kind() { cat "$RUNTIME/pair"; }

# wait_until SECONDS WHAT COMMAND...: polls every 20 ms; dies with WHAT at the deadline.
wait_until() {
    local seconds=$1 what=$2
    shift 2
    local deadline=$((${EPOCHREALTIME/./} + seconds * 1000000))
    until "$@"; do
        if [ "${EPOCHREALTIME/./}" -gt "$deadline" ]; then
            echo "$(basename "$0"): after $seconds s still not: $what" >&2
            return 1
        fi
        sleep 0.02
    done
}

# in_namespace MEMBER COMMAND...: only the network of that member.
in_namespace() {
    local member=$1
    shift
    nsenter --net="/run/netns/$LAB$member" "$@"
}

# member_command MEMBER COMMAND...: puts into the array of the same name what runs a command on a
# host of its own: network, host name, /run/tandem and /etc/tandem.
member_command() {
    local member=$1
    shift
    # shellcheck disable=SC2016 # the inner shell expands
    member_command=(ip netns exec "$LAB$member" unshare --mount --uts --propagation private
        bash -c '
        member=$1 runtime=$2
        shift 2
        hostname "$member"
        mount --bind "$runtime/$member/run" /run/tandem
        mount --bind "$runtime/etc" /etc/tandem
        exec "$@"' host "$member" "$RUNTIME" "$@")
}

# on_member MEMBER COMMAND...: runs it there and waits.
on_member() {
    member_command "$@"
    "${member_command[@]}"
}

# start_process MEMBER NAME COMMAND...: detached, with a log and a pid file.
start_process() {
    local member=$1 name=$2
    shift 2
    local directory=$RUNTIME/$member
    is_running "$member" "$name" && return 0
    rm -f "$directory/$name.pid"
    # shellcheck disable=SC2016 # the inner shell expands
    member_command "$member" setsid bash -c '
        echo $$ >"$1.new" && mv "$1.new" "$1"
        shift
        exec "$@"' start "$directory/$name.pid" "$@"
    # One simple command: the shell forks and becomes it, nobody stays behind.
    "${member_command[@]}" </dev/null >>"$directory/$name.log" 2>&1 &
    disown
    wait_until 5 "$name on $member started" test -s "$directory/$name.pid"
}

# The pid of a process that start_process made, as long as it is still ours.
process_id() {
    local pid
    pid=$(cat "$RUNTIME/$1/$2.pid" 2>/dev/null) || return 1
    [ -n "$pid" ] && owns_pid "$1" "$pid" && echo "$pid"
}

# A pid is ours when it lives in the member's network and has a command line (zombies have none).
owns_pid() {
    local namespace
    namespace=$(stat -L -c 'net:[%i]' "/run/netns/$LAB$1" 2>/dev/null) || return 1
    [ "$(readlink "/proc/$2/ns/net" 2>/dev/null)" = "$namespace" ] &&
        grep -q . "/proc/$2/cmdline" 2>/dev/null
}

is_running() { process_id "$1" "$2" >/dev/null; }

# stop_process MEMBER NAME [SIGNAL]: asks, then kills.
stop_process() {
    local pid
    pid=$(process_id "$1" "$2") || return 0
    kill -CONT "$pid" 2>/dev/null || true
    kill "-${3:-TERM}" "$pid" 2>/dev/null || true
    wait_until 3 "$2 on $1 ended" is_gone "$1" "$pid" || kill -KILL "$pid" 2>/dev/null || true
}

is_gone() { ! owns_pid "$1" "$2"; }

holds_vip() {
    [ -n "$(ip -n "$LAB$1" -o address show to "$VIP/32" 2>/dev/null)" ]
}

# Every member whose namespace has the VIP.
vip_holders() {
    local member
    for member in "${MEMBERS[@]}"; do
        if holds_vip "$member"; then echo "$member"; fi
    done
}

# The main process of a node, which dies first in a crash.
main_process() {
    if [ "$(pair_kind)" = tandem ]; then echo tandem; else echo keepalived; fi
}

# The node that serves: it holds the VIP and its process lives.
active_node() {
    local node
    for node in "${NODES[@]}"; do
        if holds_vip "$node" && is_running "$node" "$(main_process)"; then
            echo "$node"
            return 0
        fi
    done
    return 1
}

binary() { cat "$RUNTIME/binary"; }

start_backend() {
    local backend=$1 ports=(8080) arguments=() port
    [ "$backend" = be1 ] && ports+=(8081)
    if [ "$(cat "$RUNTIME/backends")" = nginx ]; then
        write_nginx_configuration "$backend" "${ports[@]}"
        start_process "$backend" backend nginx -c "$RUNTIME/$backend/nginx.conf"
        return
    fi
    for port in "${ports[@]}"; do arguments+=(--listen "${ADDRESS[$backend]}:$port"); done
    if [ "$(cat "$RUNTIME/backends")" != tandem ]; then
        start_process "$backend" backend "$(cat "$RUNTIME/backends")" --name "$backend" \
            "${arguments[@]}" --ledger "$RUNTIME/$backend/ledger"
        return
    fi
    start_process "$backend" backend "$(binary)" backend --name "$backend" "${arguments[@]}"
}

write_nginx_configuration() {
    local backend=$1 port
    shift
    {
        echo "daemon off; worker_processes 1; error_log stderr; user root;"
        echo "pid $RUNTIME/$backend/nginx.pid;"
        echo "events { worker_connections 4096; }"
        echo "http { access_log off; keepalive_requests 1000000; default_type text/plain;"
        for kind in client_body proxy fastcgi uwsgi scgi; do
            echo "${kind}_temp_path $RUNTIME/$backend/$kind;"
        done
        for port in "$@"; do
            echo "server { listen ${ADDRESS[$backend]}:$port;"
            echo "location = /healthz { return 200 \"ok\\n\"; }"
            echo "location / { return 200 \"$backend\\n\"; } }"
        done
        echo "}"
    } >"$RUNTIME/$backend/nginx.conf"
}

# start_node NODE: whatever of the pair does not run on it.
start_node() {
    if [ "$(pair_kind)" = tandem ]; then
        start_process "$1" tandem "$(binary)" run --config /etc/tandem/tandem.yaml --node "$1"
    else
        # shellcheck source=netns/keepalived.sh
        . "$NETNS_DIR/keepalived.sh"
        start_keepalived_node "$1"
    fi
}

# One JSON document about a node; a node that does not answer is down.
node_status() {
    local node=$1 document
    if [ "$(pair_kind)" = tandem ]; then
        if is_running "$node" tandem &&
            document=$(on_member "$node" timeout 2 "$(binary)" status --json 2>/dev/null) &&
            [ -n "$document" ]; then
            echo "$document"
            return
        fi
    elif is_running "$node" keepalived && is_running "$node" haproxy; then
        local role=backup
        if holds_vip "$node"; then role=active; fi
        echo "{\"node\":\"$node\",\"role\":\"$role\",\"link\":{\"state\":\"up\"}}"
        return
    fi
    echo "{\"node\":\"$node\",\"role\":\"down\",\"link\":{\"state\":\"down\"}}"
}

# Two nodes that see each other, one of them holding the VIP.
is_paired() {
    local node holders=0
    for node in "${NODES[@]}"; do
        [[ $(node_status "$node") =~ \"link\":[[:space:]]*\{[^}]*\"state\":[[:space:]]*\"up\" ]] ||
            return 1
        if holds_vip "$node"; then holders=$((holders + 1)); fi
    done
    [ "$holders" = 1 ]
}

answers() {
    in_namespace client curl -s -o /dev/null --max-time 1 "http://$VIP/"
}

# duration_to_seconds 10ms: as a decimal number of seconds.
duration_to_seconds() {
    case $1 in
    *ms) awk -v n="${1%ms}" 'BEGIN { printf "%g", n / 1000 }' ;;
    *s) echo "${1%s}" ;;
    *) usage_error "'$1' is no duration such as 10ms or 1s" ;;
    esac
}

# run_drill NAME ARGUMENTS...: tandem drill from the client, reports in results/NAME.{json,html}.
run_drill() {
    local name=$1 status=0
    shift
    mkdir -p "$ROOT/results"
    # In the background, because a shell that waits hears signals and one that runs does not.
    in_namespace client "$(binary)" drill --vip "http://$VIP/" \
        --restore "$NETNS_DIR/heal" --status "$NETNS_DIR/status --json" \
        --json "$ROOT/results/$name.json" --html "$ROOT/results/$name.html" "$@" &
    drill_pid=$!
    wait "$drill_pid" || status=$?
    drill_pid=
    return "$status"
}

# fresh_lab UP_ARGUMENTS...: a lab that goes when the script ends, however it ends.
fresh_lab() {
    "$NETNS_DIR/down"
    trap end_lab EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    "$NETNS_DIR/up" "$@"
}

drill_pid=
end_lab() {
    if [ -n "$drill_pid" ]; then
        # It repairs the pair and prints what it has; the wait ends with it.
        kill -TERM "$drill_pid" 2>/dev/null || true
        wait "$drill_pid" 2>/dev/null || true
    fi
    "$NETNS_DIR/down"
}

# Installs what netns/packages lists and the host lacks; `all` adds what is compared with.
install_packages() {
    local package missing=() wanted=${1:-needed}
    while read -r package; do
        [[ $wanted = all && $package =~ ^#[a-z] ]] && package=${package#\#}
        [[ -z $package || $package = \#* ]] && continue
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
            missing+=("$package")
    done <"$NETNS_DIR/packages"
    if [ ${#missing[@]} -eq 0 ]; then
        echo "all there"
        return
    fi
    echo "installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null
}
