//! Schemas of what a pod takes as Kubernetes has it, shorter than Kubernetes' own texts: a whole pod template would make a
//! resource definition that `kubectl apply` can't hold. The API server checks the rest when a pod is made.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// A text of at most `length` characters.
fn text(length: u32, about: &str) -> Value {
    json!({"type": "string", "maxLength": length, "description": about})
}

fn texts(most: u32, length: u32, about: &str) -> Value {
    let one = json!({"type": "string", "maxLength": length});
    list(most, &one, about)
}

fn number(least: i64, most: i64, about: &str) -> Value {
    json!({
        "type": "integer", "format": "int64", "minimum": least, "maximum": most,
        "description": about,
    })
}

fn one_of(words: &[&str], about: &str) -> Value {
    json!({"type": "string", "enum": words, "description": about})
}

fn list(most: u32, items: &Value, about: &str) -> Value {
    json!({"type": "array", "maxItems": most, "items": items, "description": about})
}

fn object(required: &[&str], about: &str, properties: &Value) -> Value {
    let mut object = json!({"type": "object", "properties": properties, "description": about});
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

/// Of a field, whose text stands with it.
fn schema(of: Value) -> Schema {
    let Value::Object(mut of) = of else {
        return json_schema!({"type": "object"});
    };
    of.remove("description");
    of.into()
}

/// Of an `operator` with `values`.
fn requirement(operators: &[&str], about: &str) -> Value {
    let values = "What its value is compared with. Default: none, as for Exists and DoesNotExist.";
    object(
        &["key", "operator"],
        about,
        &json!({
            "key": text(317, "The label."),
            "operator": one_of(operators, &format!("How it is compared: {}.", operators.join(", "))),
            "values": texts(64, 253, values),
        }),
    )
}

fn label_selector(about: &str) -> Value {
    let one = requirement(
        &["In", "NotIn", "Exists", "DoesNotExist"],
        "What a label has to be.",
    );
    let labels = json!({
        "type": "object", "maxProperties": 32,
        "additionalProperties": {"type": "string", "maxLength": 63},
        "description": "Labels with their values. Default: none.",
    });
    object(
        &[],
        about,
        &json!({
            "matchLabels": labels,
            "matchExpressions": list(32, &one, "What labels have to be. Default: nothing."),
        }),
    )
}

fn machines(about: &str) -> Value {
    let of_labels = requirement(
        &["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"],
        "What a label of the machine has to be.",
    );
    let of_fields = requirement(
        &["In", "NotIn"],
        "What a field has to be; metadata.name is the only one.",
    );
    object(
        &[],
        about,
        &json!({
            "matchExpressions": list(32, &of_labels, "What its labels have to be. Default: nothing."),
            "matchFields": list(8, &of_fields, "What its fields have to be. Default: nothing."),
        }),
    )
}

fn weight() -> Value {
    number(1, 100, "How much it counts, from 1 to 100.")
}

fn pods(about: &str) -> Value {
    object(
        &["topologyKey"],
        about,
        &json!({
            "topologyKey": text(317, "The label of machines that says what is one place, such as kubernetes.io/hostname."),
            "labelSelector": label_selector("Which pods. Default: those of this resource."),
            "namespaces": texts(16, 63, "Where these pods are. Default: the namespace of the resource."),
            "namespaceSelector": label_selector("Where these pods are, by labels of namespaces. Default: the namespace of the resource."),
            "matchLabelKeys": texts(16, 317, "Labels in which these pods have to be like the pod itself. Default: none."),
            "mismatchLabelKeys": texts(16, 317, "Labels in which these pods have to differ from the pod itself. Default: none."),
        }),
    )
}

fn near_or_away(about: &str) -> Value {
    let soft = object(
        &["weight", "podAffinityTerm"],
        "One wish, and how much it counts.",
        &json!({"weight": weight(), "podAffinityTerm": pods("Which pods, and what is one place.")}),
    );
    object(
        &[],
        about,
        &json!({
            "requiredDuringSchedulingIgnoredDuringExecution":
                list(16, &pods("Which pods, and what is one place."), "What has to be. Default: nothing."),
            "preferredDuringSchedulingIgnoredDuringExecution": list(16, &soft, "What had better be. Default: nothing."),
        }),
    )
}

pub(super) fn affinity(_: &mut SchemaGenerator) -> Schema {
    let hard = object(
        &["nodeSelectorTerms"],
        "What has to be.",
        &json!({
            "nodeSelectorTerms": list(16, &machines("Which machines."), "Machines that fit one of these."),
        }),
    );
    let soft = object(
        &["weight", "preference"],
        "One wish, and how much it counts.",
        &json!({"weight": weight(), "preference": machines("Which machines.")}),
    );
    let of_machines = object(
        &[],
        "Which machines pods run on.",
        &json!({
            "requiredDuringSchedulingIgnoredDuringExecution": hard,
            "preferredDuringSchedulingIgnoredDuringExecution": list(16, &soft, "What had better be. Default: nothing."),
        }),
    );
    schema(object(
        &[],
        "",
        &json!({
            "nodeAffinity": of_machines,
            "podAffinity": near_or_away("Pods that they are near to."),
            "podAntiAffinity": near_or_away("Pods that they are away from."),
        }),
    ))
}

pub(super) fn topology_spread(_: &mut SchemaGenerator) -> Schema {
    let policy = |about: &str| one_of(&["Honor", "Ignore"], about);
    let one = object(
        &["maxSkew", "topologyKey", "whenUnsatisfiable"],
        "How evenly, and over which places.",
        &json!({
            "maxSkew": number(1, 100, "By how many pods places may differ."),
            "topologyKey": text(317, "The label of machines that says what is one place, such as topology.kubernetes.io/zone."),
            "whenUnsatisfiable": one_of(
                &["DoNotSchedule", "ScheduleAnyway"],
                "What to do with a pod that can't be placed so: DoNotSchedule, it waits; ScheduleAnyway, it is placed as well as can be.",
            ),
            "labelSelector": label_selector("Which pods are counted. Default: those of this resource."),
            "minDomains": number(1, 100, "The least number of places, with DoNotSchedule. Default: 1."),
            "matchLabelKeys": texts(16, 317, "Labels in which counted pods have to be like the pod itself. Default: none."),
            "nodeAffinityPolicy": policy("Whether machines count that affinity and nodeSelector leave out: Honor, no; Ignore, yes. Default: Honor."),
            "nodeTaintsPolicy": policy("Whether machines count whose taints are not tolerated: Honor, no; Ignore, yes. Default: Ignore."),
        }),
    );
    schema(list(16, &one, ""))
}

pub(super) fn dns(_: &mut SchemaGenerator) -> Schema {
    let option = object(
        &["name"],
        "One option of the resolver.",
        &json!({
            "name": text(63, "Its name, such as ndots."),
            "value": text(63, "Its value. Default: none."),
        }),
    );
    schema(object(
        &[],
        "",
        &json!({
            "nameservers": texts(3, 45, "Addresses of name servers. Default: those of the cluster."),
            "searches": texts(32, 253, "Search domains. Default: those of the cluster."),
            "options": list(16, &option, "Options of the resolver. Default: those of the cluster."),
        }),
    ))
}

pub(super) fn host_aliases(_: &mut SchemaGenerator) -> Schema {
    let one = object(
        &["ip"],
        "One line.",
        &json!({
            "ip": text(45, "The address."),
            "hostnames": texts(16, 253, "Its names. Default: none."),
        }),
    );
    let mut all = list(32, &one, "");
    all["x-kubernetes-list-type"] = json!("map");
    all["x-kubernetes-list-map-keys"] = json!(["ip"]);
    schema(all)
}

pub(super) fn csi(_: &mut SchemaGenerator) -> Schema {
    let attributes = json!({
        "type": "object", "maxProperties": 32,
        "additionalProperties": {"type": "string", "maxLength": 1024},
        "description": "What the driver is told, such as {secretProviderClass: mainnet}. Default: nothing.",
    });
    let secret = object(
        &["name"],
        "The Secret by which the driver opens the volume.",
        &json!({"name": text(253, "Its name, in the namespace of the resource.")}),
    );
    schema(object(
        &["driver"],
        "",
        &json!({
            "driver": text(63, "Name of the driver, such as secrets-store.csi.k8s.io."),
            "readOnly": {"type": "boolean", "description": "Nothing but true. Default: true."},
            "fsType": text(16, "File system. Default: the driver's own."),
            "volumeAttributes": attributes,
            "nodePublishSecretRef": secret,
        }),
    ))
}

pub(super) fn projected(_: &mut SchemaGenerator) -> Schema {
    let mode = || {
        number(
            0,
            511,
            "Rights of the file, as a decimal number. Default: 420, which is 0644.",
        )
    };
    let item = object(
        &["key", "path"],
        "One key, as one file.",
        &json!({
            "key": text(253, "The key."),
            "path": text(253, "The file, below the folder of the volume."),
            "mode": mode(),
        }),
    );
    let map = |what: &str| {
        object(
            &["name"],
            what,
            &json!({
                "name": text(253, "Its name, in the namespace of the resource."),
                "items": list(64, &item, "Which keys, as which files. Default: all, as files of their names."),
            }),
        )
    };
    let token = object(
        &["path"],
        "A token of the service account.",
        &json!({
            "path": text(253, "The file, below the folder of the volume."),
            "audience": text(253, "Whom it is for. Default: the API server."),
            "expirationSeconds": number(600, 4_294_967_296, "Seconds for which it is good; the kubelet renews it. Default: 3600."),
        }),
    );
    let field = object(
        &["fieldPath"],
        "Which field of the pod.",
        &json!({"fieldPath": text(400, "Its path, such as metadata.labels.")}),
    );
    let file = object(
        &["path"],
        "One field of the pod, as one file.",
        &json!({"path": text(253, "The file, below the folder of the volume."), "fieldRef": field, "mode": mode()}),
    );
    let downward = object(
        &[],
        "Fields of the pod.",
        &json!({"items": list(16, &file, "Which fields, as which files. Default: none.")}),
    );
    let source = object(
        &[],
        "One part. Exactly one of its kinds is given.",
        &json!({
            "secret": map("Keys of a Secret."),
            "configMap": map("Keys of a ConfigMap; pods mount a copy, and a change of it rolls like any other change."),
            "serviceAccountToken": token,
            "downwardAPI": downward,
        }),
    );
    schema(object(
        &["sources"],
        "",
        &json!({
            "sources": list(16, &source, "Its parts."),
            "defaultMode": mode(),
        }),
    ))
}

/// Of a container beside the node's.
pub(super) fn probe(_: &mut SchemaGenerator) -> Schema {
    let port = |about: &str| {
        json!({
            "x-kubernetes-int-or-string": true, "maxLength": 15, "minimum": 1, "maximum": 65535,
            "description": about,
        })
    };
    let header = object(
        &["name", "value"],
        "One header.",
        &json!({"name": text(253, "Its name."), "value": text(1024, "Its value.")}),
    );
    let http = object(
        &["port"],
        "A GET is answered with 200 to 399.",
        &json!({
            "path": text(1024, "The path. Default: /."),
            "port": port("Its number, or its name in ports."),
            "scheme": one_of(&["HTTP", "HTTPS"], "HTTP or HTTPS. Default: HTTP."),
            "httpHeaders": list(8, &header, "Headers of the request. Default: none."),
        }),
    );
    let exec = object(
        &["command"],
        "A command in the container ends with 0.",
        &json!({"command": texts(64, 16384, "The command, word by word.")}),
    );
    let tcp = object(
        &["port"],
        "A connection is taken.",
        &json!({"port": port("Its number, or its name in ports.")}),
    );
    let grpc = object(
        &["port"],
        "gRPC's health check says that it serves.",
        &json!({
            "port": number(1, 65535, "Its number."),
            "service": text(253, "Which service is asked for. Default: the server as a whole."),
        }),
    );
    let seconds = |least: i64, about: &str| {
        json!({
            "type": "integer", "format": "int32", "minimum": least, "maximum": 3600,
            "description": about,
        })
    };
    schema(object(
        &[],
        "",
        &json!({
            "exec": exec,
            "httpGet": http,
            "tcpSocket": tcp,
            "grpc": grpc,
            "initialDelaySeconds": seconds(0, "Seconds before the first try. Default: 0."),
            "periodSeconds": seconds(1, "Seconds from one try to the next. Default: 10."),
            "timeoutSeconds": seconds(1, "Seconds that a try may take. Default: 1."),
            "successThreshold": seconds(1, "So many tries in a row have to succeed. Default: 1."),
            "failureThreshold": seconds(1, "So many tries in a row have to fail. Default: 3."),
        }),
    ))
}
