{{- define "postern.name" -}}
{{- if contains "postern" .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-postern" (.Release.Name | trunc 42 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- define "postern.injector" -}}
{{ include "postern.name" . }}-injector
{{- end -}}

{{- define "postern.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "postern.account" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "postern.name" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end -}}

{{/* What selects pods: never changed, or upgrades fail. Takes (dict "root" $ "part" "gateway"). */}}
{{- define "postern.selector" -}}
app.kubernetes.io/name: postern
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end -}}

{{- define "postern.labels" -}}
{{ include "postern.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end -}}

{{- define "postern.confined" -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "postern.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 1
  failureThreshold: 60
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 5
livenessProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 10
{{- end -}}

{{/* Where pods go. Takes (dict "root" $ "part" "gateway" "values" .Values.gateway). */}}
{{- define "postern.placement" -}}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "postern.selector" . | nindent 8 }}
{{- end -}}

{{/* The whole configuration: the chart's part, and the operator's. */}}
{{- define "postern.settings" -}}
{{- $settings := deepCopy .Values.gateway.settings -}}
{{- range $key := list "listen" "tls" "admin" -}}
{{- if hasKey $settings $key -}}
{{- fail (printf "gateway.settings.%s is the chart's: see gateway.tls and gateway.service" $key) -}}
{{- end -}}
{{- end -}}
{{- $_ := set $settings "listen" "[::]:8443" -}}
{{- $_ := set $settings "admin" (dict "listen" "[::]:9464") -}}
{{- if .Values.gateway.tls.secretName -}}
{{- $_ := set $settings "tls" (dict "certificate" "/etc/postern/tls/tls.crt" "key" "/etc/postern/tls/tls.key") -}}
{{- else -}}
{{- $_ := set $settings "tls" "terminated-in-front" -}}
{{- end -}}
{{- /* Load balancers go on sending for a moment after the pod is told to end. */ -}}
{{- $settings = merge $settings (dict "shutdown_delay" "5s") -}}
{{- toYaml $settings -}}
{{- end -}}
