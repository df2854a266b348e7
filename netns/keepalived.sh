# SPDX-License-Identifier: Apache-2.0
#
# The pair to compare with: Debian's keepalived and HAProxy in the same lab. Source it after lab.sh.

# write_keepalived_pair SECONDS [PEERS]: configuration of both nodes; with PEERS the HAProxy nodes
# replicate what they count about each client.
write_keepalived_pair() {
    local node priority
    for node in "${NODES[@]}"; do
        priority=100
        [ "$node" = lb1 ] && priority=200
        cat >"$RUNTIME/$node/keepalived.conf" <<END
global_defs {
    router_id $node
    vrrp_version 3
    enable_script_security
}
vrrp_instance vip {
    interface eth0
    state BACKUP
    nopreempt
    virtual_router_id 51
    priority $priority
    advert_int $1
    virtual_ipaddress { $VIP/32 }
}
END
        cat >"$RUNTIME/$node/haproxy.cfg" <<END
global
    maxconn 8000
defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout server 60s
    timeout http-keep-alive 60s
frontend web
    bind 0.0.0.0:80
    use_backend api if { path_beg /api/ }
    default_backend web
backend web
    balance roundrobin
    option httpchk GET /healthz
    server be1 10.77.0.21:8080 check
    server be2 10.77.0.22:8080 check weight 2
    server be3 10.77.0.23:8080 check
backend api
    server be1 10.77.0.21:8081
END
        if [ -n "${2:-}" ]; then write_peers "$node"; fi
    done
}

write_peers() {
    sed -i -E 's|^(    bind 0.0.0.0:80)$|\1\n    http-request track-sc0 src table clients|' \
        "$RUNTIME/$1/haproxy.cfg"
    cat >>"$RUNTIME/$1/haproxy.cfg" <<END
peers pair
    peer lb1 10.77.0.11:1024
    peer lb2 10.77.0.12:1024
backend clients
    stick-table type ipv6 size 1m expire 30m store http_req_cnt,http_req_rate(10s) peers pair
END
}

start_keepalived_node() {
    local node=$1 pid
    # What a SIGKILL left behind: worker processes, pid files, and the address itself, for ever.
    if ! is_running "$node" haproxy || ! is_running "$node" keepalived; then
        stop_keepalived_node "$node"
        ip -n "$LAB$node" address del "$VIP/32" dev eth0 2>/dev/null || true
    fi
    start_process "$node" haproxy haproxy -W -db -f "$RUNTIME/$node/haproxy.cfg"
    start_process "$node" keepalived keepalived --dont-fork --log-console --vrrp \
        --use-file "$RUNTIME/$node/keepalived.conf" --pid "$RUNTIME/$node/keepalived.parent" \
        --vrrp_pid "$RUNTIME/$node/keepalived.vrrp"
}

stop_keepalived_node() {
    local pid
    for pid in $(keepalived_node_pids "$1"); do kill -KILL "$pid" 2>/dev/null || true; done
    wait_until 3 "the old processes of $1 ended" no_keepalived_node_pids "$1"
    rm -f "$RUNTIME/$1"/keepalived.{parent,vrrp,pid} "$RUNTIME/$1/haproxy.pid"
}

# Every process of the pair on a node. The VRRP child comes first: it asks for SIGTERM when its
# parent dies, and would then still say goodbye, which no crashing host does.
keepalived_node_pids() {
    local pid name parent
    parent=$(cat "$RUNTIME/$1/keepalived.pid" 2>/dev/null) || parent=
    for name in keepalived haproxy; do
        for pid in $(ip netns pids "$LAB$1" | sort -rn); do
            [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$name" ] || continue
            [ "$pid" = "$parent" ] || echo "$pid"
        done
        if [ $name = keepalived ] && [ -n "$parent" ] && owns_pid "$1" "$parent"; then
            echo "$parent"
        fi
    done
}

no_keepalived_node_pids() { [ -z "$(keepalived_node_pids "$1")" ]; }
