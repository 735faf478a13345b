{{- define "chainlink-operator.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "chainlink-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- $name := include "chainlink-operator.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Cluster-scoped names carry the namespace: releases of one name may live in several. */}}
{{- define "chainlink-operator.clusterName" -}}
{{- if eq (include "chainlink-operator.fullname" .) .Release.Namespace }}
{{- .Release.Namespace }}
{{- else }}
{{- printf "%s-%s" .Release.Namespace (include "chainlink-operator.fullname" .) }}
{{- end }}
{{- end }}

{{- define "chainlink-operator.digestKey" -}}
{{- printf "%s-digest-key" (include "chainlink-operator.fullname" . | trunc 52 | trimSuffix "-") }}
{{- end }}

{{- define "chainlink-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "chainlink-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* Of the pod of helm test, which no Service of the operator's leads to. */}}
{{- define "chainlink-operator.testLabels" -}}
app.kubernetes.io/name: {{ printf "%s-test" (include "chainlink-operator.name" . | trunc 58 | trimSuffix "-") }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "chainlink-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "chainlink-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "chainlink-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "chainlink-operator.fullname" .) }}
{{- else }}
{{- .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{- /*
An image of .image, by .registry where it has none of its own, and with .tag where it has neither tag nor digest: a tag
beside a digest may be wrong.
*/}}
{{- define "chainlink-operator.imageName" -}}
{{- with .image.registry | default .registry }}{{ . | trimSuffix "/" }}/{{ end }}
{{- .image.repository }}
{{- if .image.tag }}:{{ .image.tag }}{{ else if not .image.digest }}:{{ .tag }}{{ end }}
{{- with .image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- define "chainlink-operator.image" -}}
{{- $_ := required "image.repository is not set, and no image of this operator is published yet: build one from the Dockerfile of its repository, push it where your cluster pulls from, and say --set image.repository=REGISTRY/chainlink-operator" .Values.image.repository }}
{{- include "chainlink-operator.imageName" (dict "image" .Values.image "registry" "" "tag" .Chart.AppVersion) }}
{{- end }}

{{- /*
"true" where the release may have objects of the whole cluster, else nothing; values of an earlier chart
(--reuse-values) do not say it. What only they can give, and is asked for
nevertheless, is refused: nobody is to believe that he has it.
*/}}
{{- define "chainlink-operator.clusterWide" -}}
{{- if ne (toString .Values.clusterWideRights) "false" }}true
{{- else if not .Values.watchNamespaces }}
{{- fail "clusterWideRights=false needs watchNamespaces: the namespaces whose ChainlinkNodes this release runs, such as --set 'watchNamespaces={oracles}'" }}
{{- else }}
{{- range $value, $asked := dict "machineMaintenance=always" (eq .Values.machineMaintenance "always") "rbac.onCallRole=true" .Values.rbac.onCallRole "nodeLimits.enabled=true" (.Values.nodeLimits | default dict).enabled }}
{{- if $asked }}
{{- fail (printf "%s needs objects of the whole cluster, and clusterWideRights is false: take one of the two out" $value) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /*
Whether the operator reads machines: "true" or "false".
*/}}
{{- define "chainlink-operator.watchMachines" -}}
{{- if not (include "chainlink-operator.clusterWide" .) }}false
{{- else if eq .Values.machineMaintenance "auto" }}
{{- if .Values.watchNamespaces }}false{{ else }}true{{ end }}
{{- else }}
{{- if eq .Values.machineMaintenance "always" }}true{{ else }}false{{ end }}
{{- end }}
{{- end }}
