{{- define "envoxyd.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "envoxyd.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- /* These never change: a Deployment's selector cannot. */ -}}
{{- define "envoxyd.selector" -}}
app.kubernetes.io/name: {{ include "envoxyd.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "envoxyd.labels" -}}
{{ include "envoxyd.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "envoxyd.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "envoxyd.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "envoxyd.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{- define "envoxyd.mercy" -}}
{{- if kindIs "invalid" .Values.drain.mercySeconds -}}{{ .Values.server.harakiri }}{{- else -}}{{ .Values.drain.mercySeconds }}{{- end -}}
{{- end -}}

{{- /* All that a stop may take: the pod is killed after that. */ -}}
{{- define "envoxyd.grace" -}}
{{ add .Values.drain.preStopSeconds (include "envoxyd.mercy" .) .Values.drain.marginSeconds }}
{{- end -}}

{{- define "envoxyd.livePath" -}}
{{ .Values.probes.livePath | default (ternary "/health/live" "/ping" (eq .Values.application.kind "envoxy")) }}
{{- end -}}

{{- define "envoxyd.readyPath" -}}
{{ .Values.probes.readyPath | default (ternary "/health/ready" "/ping" (eq .Values.application.kind "envoxy")) }}
{{- end -}}

{{- /* envoxyd answers /ping itself where a probe asks for it and the application has no path of its own. */ -}}
{{- define "envoxyd.ping" -}}
{{- if and (eq .Values.application.kind "wsgi") (eq .Values.probes.type "http") (or (not .Values.probes.livePath) (not .Values.probes.readyPath)) -}}
yes
{{- end -}}
{{- end -}}

{{- /* One line after another takes longer than harakiri to fail; the last one may wait for its whole timeout. */ -}}
{{- define "envoxyd.liveFailures" -}}
{{- if kindIs "invalid" .Values.probes.live.failureThreshold -}}
{{ add 2 (div (int .Values.server.harakiri) (int .Values.probes.live.periodSeconds)) }}
{{- else -}}
{{ .Values.probes.live.failureThreshold }}
{{- end -}}
{{- end -}}

{{- define "envoxyd.probe" -}}
{{- if eq .values.probes.type "tcp" -}}
tcpSocket:
  port: http
{{- else -}}
httpGet:
  path: {{ .path }}
  port: http
  {{- with .values.probes.host }}
  httpHeaders:
    - name: Host
      value: {{ . | quote }}
  {{- end }}
{{- end -}}
{{- end -}}

{{- define "envoxyd.ini" -}}
[uwsgi]
; a misspelt option ends the start
strict = true
master = true
http-socket = {{ .Values.server.host }}:{{ .Values.server.port }}
chdir = {{ .Values.application.directory }}
{{- with .Values.application.virtualenv }}
virtualenv = {{ . }}
{{- end }}
{{- if eq .Values.application.kind "wsgi" }}
module = {{ .Values.application.wsgi.module }}
{{- else if .Values.application.envoxy.config }}
set = conf=/etc/envoxyd/envoxy.json
{{- else }}
set = conf={{ .Values.application.envoxy.path }}
{{- end }}
processes = {{ .Values.server.processes }}
threads = {{ .Values.server.threads }}
listen = {{ .Values.server.listen }}
harakiri = {{ .Values.server.harakiri }}
; terminationGracePeriodSeconds is made of this and preStop
worker-reload-mercy = {{ include "envoxyd.mercy" . }}
{{- if .Values.metrics.enabled }}
prometheus = {{ .Values.server.host }}:{{ .Values.metrics.port }}
{{- end }}
{{- if include "envoxyd.ping" . }}
; the probes: a worker is free, whatever the application does
route = ^/ping$ donotlog:
route = ^/ping$ return:200
{{- end }}
{{- with .Values.extraIni }}
{{ . | trim }}
{{- end }}
{{- end -}}
