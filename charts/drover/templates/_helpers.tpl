{{/* The labels of all objects. Takes (list . component). */}}
{{- define "drover.labels" -}}
{{- $root := index . 0 -}}
{{ include "drover.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The labels by which pods are selected. Takes (list . component). */}}
{{- define "drover.selector" -}}
app.kubernetes.io/name: drover
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* An image with its tag. Takes (list . image). */}}
{{- define "drover.image" -}}
{{- $image := index . 1 -}}
{{ $image.repository }}:{{ $image.tag | default (index . 0).Chart.AppVersion }}
{{- end -}}

{{/* What the pods of operator and gateway have in common. Takes (list . values), values being those of the one. */}}
{{- define "drover.pod" -}}
{{- $root := index . 0 -}}
{{- $values := index . 1 -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
terminationGracePeriodSeconds: 30
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What their containers have in common. Takes (list . values). */}}
{{- define "drover.container" -}}
imagePullPolicy: {{ (index . 0).Values.images.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
livenessProbe:
  httpGet: { path: /healthz, port: admin }
  periodSeconds: 10
  timeoutSeconds: 5
readinessProbe:
  httpGet: { path: /readyz, port: admin }
  periodSeconds: 2
  timeoutSeconds: 5
{{- with (index . 1).resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The names of the service accounts, as the API server knows them. */}}
{{- define "drover.operator.user" -}}
system:serviceaccount:{{ .Release.Namespace }}:drover-operator
{{- end -}}
{{- define "drover.gateway.user" -}}
system:serviceaccount:{{ .Release.Namespace }}:drover-gateway
{{- end -}}

{{/* The allocator hands memory back at once and takes it page by page: a third of the memory, at no measured cost. */}}
{{- define "drover.allocator" -}}
- name: MIMALLOC_ARENA_EAGER_COMMIT
  value: "0"
- name: MIMALLOC_PURGE_DELAY
  value: "0"
{{- end }}

{{/* A duration in seconds; the schema cannot add up. Takes the duration. */}}
{{- define "drover.seconds" -}}
{{- $text := . -}}
{{- $seconds := 0 -}}
{{- range $unit, $length := dict "h" 3600 "m" 60 "s" 1 -}}
{{- $seconds = add $seconds (mul $length (regexFind (printf "[0-9]+%s" $unit) $text | trimSuffix $unit | int64)) -}}
{{- end -}}
{{ $seconds }}
{{- end -}}

{{/* A duration that Drover takes, from 1s to 744h. Takes (list value name). */}}
{{- define "drover.duration" -}}
{{- if gt (include "drover.seconds" (index . 0) | int64) 2678400 -}}
{{- fail (printf "%s is %s, but a duration is from 1s to 744h" (index . 1) (index . 0)) -}}
{{- end -}}
{{ index . 0 | quote }}
{{- end -}}
