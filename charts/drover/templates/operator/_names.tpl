{{/* The names that the gateway's certificate is for, separated by commas. */}}
{{- define "drover.gateway.dnsNames" -}}
{{- $names := list "localhost" -}}
{{- range $service := list "drover-gateway" "drover-gateway-runner" -}}
{{- $names = concat $names (list $service (printf "%s.%s" $service $.Release.Namespace) (printf "%s.%s.svc" $service $.Release.Namespace)) -}}
{{- end -}}
{{- join "," (concat $names .Values.gateway.dnsNames) -}}
{{- end -}}
