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

{{- define "chainlink-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "chainlink-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "chainlink-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "chainlink-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "chainlink-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "chainlink-operator.fullname" .) }}
{{- else }}
{{- .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{- /* The default tag is left out beside a digest, for which it may be wrong. */}}
{{- define "chainlink-operator.image" -}}
{{- required "image.repository is not set, and no image of this operator is published yet: build one from the Dockerfile of its repository, push it where your cluster pulls from, and say --set image.repository=REGISTRY/chainlink-operator" .Values.image.repository }}
{{- if .Values.image.tag }}:{{ .Values.image.tag }}{{ else if not .Values.image.digest }}:{{ .Chart.AppVersion }}{{ end }}
{{- with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- /*
Whether the operator reads machines: "true" or "false".
*/}}
{{- define "chainlink-operator.watchMachines" -}}
{{- if eq .Values.machineMaintenance "auto" }}
{{- if .Values.watchNamespaces }}false{{ else }}true{{ end }}
{{- else }}
{{- if eq .Values.machineMaintenance "always" }}true{{ else }}false{{ end }}
{{- end }}
{{- end }}
