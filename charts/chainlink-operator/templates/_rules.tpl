{{- /*
All that the operator may do, wherever it watches. Nothing of it is about Secrets: nodes take theirs from the kubelet.
sessionSecrets, databaseVerification and updates add one right each, below.
*/}}
{{- define "chainlink-operator.rules" -}}
- apiGroups: [chainlink-operator.dev]
  resources: [chainlinknodes]
  verbs: [get, list, watch]
- apiGroups: [chainlink-operator.dev]
  resources: [chainlinknodes/status]
  verbs: [update]
# Owner references that block their owner's deletion need this where OwnerReferencesPermissionEnforcement is on.
- apiGroups: [chainlink-operator.dev]
  resources: [chainlinknodes/finalizers]
  verbs: [update]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, patch, delete]
# The readiness gate, and what is known of a pod: that it waits for the lock, that it took it.
- apiGroups: [""]
  resources: [pods/status]
  verbs: [patch]
# The waiting line.
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch, delete]
# The node's files, each revision's own; and those that the user refers to. Those that an earlier resource of the same
# name has left are taken over, which is a patch.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [get, list, watch, create, patch, delete]
# One that keeps the active from being evicted, and one for its standbys.
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch]
# Why the kubelet or the scheduler could not start a pod.
- apiGroups: [""]
  resources: [events]
  verbs: [list]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}
{{- /* The Secrets that ChainlinkNodes name, read one by one. */}}
{{- define "chainlink-operator.databaseRules" -}}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get]
  {{- with .Values.databaseVerification.secretNames }}
  resourceNames:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- /* The one Secret of the release's own. */}}
{{- define "chainlink-operator.digestKeyRules" -}}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, patch]
  resourceNames:
    {{- list (include "chainlink-operator.digestKey" .) | toYaml | nindent 4 }}
{{- end }}
{{- /* The Lease that decides which of the operators acts: made once, and only this one. */}}
{{- define "chainlink-operator.leaseRules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, update]
{{- end }}
{{- /* The annotation that names the release which was applied. RBAC knows no right to annotations alone. */}}
{{- define "chainlink-operator.updateRules" -}}
- apiGroups: [chainlink-operator.dev]
  resources: [chainlinknodes]
  verbs: [patch]
{{- end }}
{{- /* What signs a node's sessions, made once for a resource that asks for it, and never read. */}}
{{- define "chainlink-operator.sessionRules" -}}
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
{{- end }}
