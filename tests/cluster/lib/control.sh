# etcd and the control plane. They run on the machine itself, at its address on the bridge.

start_control_plane() {
    local folder=$state/certificates
    say "starting etcd and the control plane"
    unless_running etcd control "$tools/etcd" --name test --data-dir "$state/etcd" --unsafe-no-fsync \
        --listen-client-urls "$etcd_url" --advertise-client-urls "$etcd_url" \
        --listen-peer-urls "http://$machine_address:2380" --initial-advertise-peer-urls "http://$machine_address:2380" \
        --initial-cluster "test=http://$machine_address:2380" \
        --auto-compaction-retention 30m --log-level warn
    settled "answering" 30 etcd answers "$machine_address" 2379

    write_audit_policy
    # The audit log is written before a request is answered, so that a test can count right away.
    unless_running kube-apiserver control "$tools/kube-apiserver" \
        --bind-address "$machine_address" --advertise-address "$machine_address" --secure-port 6443 \
        --etcd-servers "$etcd_url" \
        --service-cluster-ip-range "$service_network" \
        --tls-cert-file "$folder/kube-apiserver.crt" --tls-private-key-file "$folder/kube-apiserver.key" \
        --client-ca-file "$folder/ca.crt" \
        --kubelet-client-certificate "$folder/kubelet-client.crt" --kubelet-client-key "$folder/kubelet-client.key" \
        --kubelet-preferred-address-types InternalIP \
        --service-account-issuer https://kubernetes.default.svc \
        --service-account-key-file "$folder/service-accounts.key" \
        --service-account-signing-key-file "$folder/service-accounts.key" \
        --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --allow-privileged \
        --audit-policy-file "$state/audit-policy.yaml" --audit-log-path "$audit_log" --audit-log-mode blocking \
        --audit-log-maxsize 200 --audit-log-maxbackup 5
    settled "being ready" 60 kube-apiserver kubectl get --raw /readyz

    unless_running kube-controller-manager control "$tools/kube-controller-manager" \
        --kubeconfig "$folder/kube-controller-manager.kubeconfig" --bind-address "$machine_address" \
        --leader-elect=false --use-service-account-credentials \
        --service-account-private-key-file "$folder/service-accounts.key" --root-ca-file "$folder/ca.crt" \
        --cluster-signing-cert-file "$folder/ca.crt" --cluster-signing-key-file "$folder/ca.key"
    unless_running kube-scheduler control "$tools/kube-scheduler" \
        --kubeconfig "$folder/kube-scheduler.kubeconfig" --bind-address "$machine_address" --leader-elect=false
    settled "making the default ServiceAccount" 60 kube-controller-manager \
        kubectl get serviceaccount default --namespace default
    say "the control plane is ready"
}

# Every write is recorded, but for the nodes' and the control plane's own: those are many, and no
# test asks about them. Of who reads what, only what the operator reads in a namespace.
write_audit_policy() {
    cat >"$state/audit-policy.yaml" <<'END'
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  users: ["system:serviceaccount:chainlink-operator:chainlink-operator"]
  verbs: [get, list]
- level: None
  verbs: [get, list, watch]
- level: None
  userGroups: [system:nodes]
- level: None
  users: [system:apiserver, system:kube-controller-manager, system:kube-scheduler, system:kube-proxy]
- level: None
  resources: [{group: authentication.k8s.io}, {group: authorization.k8s.io}]
- level: Metadata
END
}

kubectl() { "$tools/kubectl" --kubeconfig "$kubeconfig" "$@"; }

# answers HOST PORT
answers() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }
