# Losing a node and getting it back.

# Its cable is pulled: its pods run on, and reach nothing.
cut_node() { ip link set "$(node_link "$1")" down; }

# Every process of it stands still, those of its pods too, and no connection is closed. Its kernel
# goes on answering: a connection to a frozen pod is accepted, and then nothing comes.
freeze_node() { freeze "$1"; }

recover_node() {
    thaw "$1"
    ip link set "$(node_link "$1")" up
}

is_cut() { ! ip link show "$(node_link "$1")" 2>/dev/null | grep -q '[<,]UP[,>]'; }

# present | cut | frozen | cut and frozen
node_presence() {
    if is_cut "$1" && is_frozen "$1"; then
        echo "cut and frozen"
    elif is_cut "$1"; then
        echo cut
    elif is_frozen "$1"; then
        echo frozen
    else
        echo present
    fi
}
