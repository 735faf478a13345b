# What a person is told: progress with the elapsed time, and refusals in one sentence.

began=$SECONDS

say() { printf '%4ds  %s\n' "$((SECONDS - began))" "$*" >&2; }

refuse() {
    echo "cluster: $*" >&2
    exit 1
}

# await SECONDS WHAT COMMAND...: returns when COMMAND succeeds, refuses when it has not in time.
await() {
    local limit=$1 what=$2 deadline=$((SECONDS + $1))
    shift 2
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || refuse "$what did not happen within $limit s; logs are in $state/logs."
        sleep 0.2
    done
}

is_node() {
    local node
    for node in "${nodes[@]}"; do [[ $node == "$1" ]] && return; done
    return 1
}
