{{- define "kbs.name" -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "kbs.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "kbs.labels" -}}
{{ include "kbs.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "kbs.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}
{{- end }}
{{- end }}

{{/* kbs.yaml: what the chart knows, and above it what the values say. */}}
{{- define "kbs.config" -}}
{{- $listen := dict "host" "0.0.0.0" "port" 8443 "drain-seconds" .Values.drainSeconds "finish-seconds" .Values.finishSeconds }}
{{- if not .Values.tls.behindProxy }}
{{- $_ := set $listen "tls" (dict "certificate" "/etc/kbs/tls/tls.crt" "key" "/etc/kbs/tls/tls.key") }}
{{- end }}
{{- $database := dict "url" .Values.database.url "password-file" "/var/lib/kbs/database-password" "connections" .Values.database.connections }}
{{- if .Values.database.caConfigMap.name }}
{{- $_ := set $database "tls" (dict "ca" (printf "/etc/kbs/database-ca/%s" .Values.database.caConfigMap.key)) }}
{{- end }}
{{- $config := dict "state" "/var/lib/kbs" "listen" $listen "database" $database }}
{{- if .Values.metrics.enabled }}
{{- $_ := set $config "metrics" (dict "host" "0.0.0.0" "port" 9464) }}
{{- end }}
{{- if .Values.endorsementsClaim }}
{{- $_ := set $config "endorsements" "/etc/kbs/endorsements" }}
{{- end }}
{{- toYaml (mustMergeOverwrite $config (deepCopy .Values.config)) }}
{{- end }}

{{- define "kbs.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}
