# The cluster's own authority, and a certificate or kubeconfig for each of its members.

make_certificates() {
    local node folder=$state/certificates
    [[ -e $folder/complete ]] && return
    say "making certificates"
    mkdir -p "$folder"
    chmod 700 "$folder"
    (
        cd "$folder"
        new_key ca
        openssl req -x509 -new -key ca.key -subj "/CN=chainlink-operator-test" -days 3650 -out ca.crt \
            -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
        # Service account tokens are signed with an RSA key: every client library verifies those.
        openssl genrsa -out service-accounts.key 2048
        certificate kube-apiserver "/CN=kube-apiserver" \
            "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost,IP:$machine_address,IP:$api_service_address,IP:127.0.0.1"
        certificate kubelet-client "/O=system:masters/CN=kube-apiserver-kubelet-client"
        certificate admin "/O=system:masters/CN=admin"
        certificate kube-controller-manager "/CN=system:kube-controller-manager"
        certificate kube-scheduler "/CN=system:kube-scheduler"
        certificate kube-proxy "/CN=system:kube-proxy"
        for node in "${nodes[@]}"; do certificate "$node" "/O=system:nodes/CN=system:node:$node"; done
    ) >>"$state/logs/certificates.log" 2>&1 || refuse "openssl could not make the certificates; see $state/logs/certificates.log."
    for node in kube-controller-manager kube-scheduler kube-proxy "${nodes[@]}"; do
        write_kubeconfig "$node" "$folder/$node.kubeconfig"
    done
    write_kubeconfig admin "$kubeconfig"
    touch "$folder/complete"
}

new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }

# certificate NAME SUBJECT [ALTERNATIVE-NAMES]
certificate() {
    new_key "$1"
    openssl req -new -key "$1.key" -subj "$2" -out "$1.csr"
    openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -out "$1.crt" \
        -extfile <(
            echo "keyUsage=critical,digitalSignature"
            echo "extendedKeyUsage=clientAuth,serverAuth"
            if [[ -n ${3:-} ]]; then echo "subjectAltName=$3"; fi
        )
    rm "$1.csr"
}

write_kubeconfig() {
    local folder=$state/certificates
    (
        umask 077
        cat >"$2" <<END
apiVersion: v1
kind: Config
clusters:
- name: chainlink-operator-test
  cluster:
    server: $api_url
    certificate-authority-data: $(base64 -w0 "$folder/ca.crt")
users:
- name: $1
  user:
    client-certificate-data: $(base64 -w0 "$folder/$1.crt")
    client-key-data: $(base64 -w0 "$folder/$1.key")
contexts:
- name: chainlink-operator-test
  context: {cluster: chainlink-operator-test, user: $1}
current-context: chainlink-operator-test
END
    )
}
