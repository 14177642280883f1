{{/* The names that the gateway's certificate is for, separated by commas. */}}
{{- define "drover.gateway.dnsNames" -}}
{{- $names := list "localhost" -}}
{{- range $service := list "drover-gateway" "drover-gateway-runner" -}}
{{- $names = concat $names (list $service (printf "%s.%s" $service $.Release.Namespace) (printf "%s.%s.svc" $service $.Release.Namespace)) -}}
{{- end -}}
{{- join "," (concat $names .Values.gateway.dnsNames) -}}
{{- end -}}

{{/*
How long a broker goes on unheard. A minute has two heartbeats in it; after two minutes, and ten seconds for the agent's
end, the operator takes the agent of a node that does not answer for dead and starts the next.
*/}}
{{- define "drover.operator.reportingPatience" -}}
{{- $text := .Values.sessions.reportingPatience -}}
{{- $seconds := include "drover.seconds" $text | int64 -}}
{{- if or (lt $seconds 60) (gt $seconds 120) -}}
{{- fail (printf "sessions.reportingPatience is %s, but it may be from 1m to 2m: with less, a short outage of the gateway ends agents; with more, two agents could be at the same work" $text) -}}
{{- end -}}
{{ $text | quote }}
{{- end -}}
