# Names, addresses and folders of the test cluster. Nothing here acts.

kubernetes_version=v1.37.2
nodes=(node-1 node-2 node-3)

# Folders. Both lie outside the repository.
cache=${CHAINLINK_OPERATOR_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/chainlink-operator}
state=${CHAINLINK_OPERATOR_STATE:-/var/lib/chainlink-operator-test}
kubeconfig=$state/admin.kubeconfig
audit_log=$state/logs/audit.log

# The network. The machine itself is a member of the nodes' network, as its first address.
bridge=chainlink0
machine_address=10.213.0.1
node_network=10.213.0.0/24
pod_network=10.214.0.0/16
service_network=10.215.0.0/16
api_service_address=10.215.0.1
api_url=https://$machine_address:6443
etcd_url=http://$machine_address:2379

node_number()    { echo "${1##*-}"; }
node_address()   { echo "10.213.0.1$(node_number "$1")"; }
node_pods()      { echo "10.214.$(node_number "$1").0/24"; }
node_zone()      { echo "zone-$(node_number "$1")"; }
node_namespace() { echo "chainlink-$1"; }
node_link()      { echo "chainlink-n$(node_number "$1")"; }   # at most 15 characters
node_folder()    { echo "$state/nodes/$1"; }

# PostgreSQL. The password is no secret: the database holds nothing and is seen by this machine only.
postgres_port=15432
postgres_password=chainlink-test-only-password

pause_image=docker.io/chainlink-operator/pause:1
