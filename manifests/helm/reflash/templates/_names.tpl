{{/* What names begin with: the release, with the word reflash in it. */}}
{{- define "reflash.fullname" -}}
{{- if contains "reflash" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-reflash" (.Release.Name | trunc 32 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- define "reflash.selector" -}}
app.kubernetes.io/name: reflash
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "reflash.labels" -}}
{{ include "reflash.selector" . }}
app.kubernetes.io/part-of: reflash
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The subject of every binding of the controller. */}}
{{- define "reflash.controller" -}}
subjects:
  - kind: ServiceAccount
    name: {{ include "reflash.fullname" . }}-controller
    namespace: {{ .Release.Namespace }}
{{- end -}}
