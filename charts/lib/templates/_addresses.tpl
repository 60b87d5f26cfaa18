{{- /* Where everything is: worked out once, so that whatever is renamed or replaced is found by all who speak to it. */ -}}

{{- define "crowdcrunch.url" -}}
{{- $root := index . 0 }}{{ $component := index . 1 -}}
http://{{ include "crowdcrunch.name" . }}:{{ int (index $root.Values $component).port }}
{{- end }}

{{- /* Where shoppers reach the shop. */ -}}
{{- define "crowdcrunch.publicUrl" -}}
{{- if .Values.publicUrl }}{{ .Values.publicUrl | trimSuffix "/" }}
{{- else if .Values.hostname }}{{ ternary "https" "http" (ne .Values.tls.secretName "") }}://{{ .Values.hostname }}
{{- else if and (eq .Values.gateway.service.type "NodePort") .Values.gateway.service.nodePort }}http://127.0.0.1:{{ int .Values.gateway.service.nodePort }}
{{- else }}http://127.0.0.1:{{ int .Values.gateway.port }}
{{- end }}
{{- end }}

{{- /* How many proxies before the gateway add to X-Forwarded-For: the Ingress, or the mesh's own gateway. */ -}}
{{- define "crowdcrunch.trustedProxies" -}}
{{- if or .Values.ingress.enabled (and .Values.istio.enabled .Values.istio.ingress.enabled) }}1{{ else }}0{{ end -}}
{{- end }}

{{- /* The simulated payment provider; empty where it is switched off. */ -}}
{{- define "crowdcrunch.providerUrl" -}}
{{- if .Values.provider.enabled }}{{ include "crowdcrunch.url" (list . "provider") }}{{ end -}}
{{- end }}

{{- /* Where shoppers reach the page of their bank: through the mesh at the shop's own address, else by a port-forward. */ -}}
{{- define "crowdcrunch.providerPublicUrl" -}}
{{- if and .Values.istio.enabled .Values.istio.ingress.enabled (or .Values.publicUrl .Values.hostname) -}}
{{- include "crowdcrunch.publicUrl" . -}}
{{- else -}}
http://127.0.0.1:{{ int .Values.provider.port }}
{{- end -}}
{{- end }}

{{- /* {host, port, database, parameters}: the Postgres of the shop, and the parameters of its URLs. */ -}}
{{- define "crowdcrunch.postgres" -}}
{{- $external := .Values.externalPostgres -}}
{{- if .Values.postgres.enabled }}
host: {{ include "crowdcrunch.name" (list . "postgres") }}
port: {{ int .Values.postgres.port }}
database: crowdcrunch
parameters: ""
{{- else }}
host: {{ $external.host | quote }}
port: {{ int $external.port }}
database: {{ $external.database | quote }}
{{- if eq $external.sslMode "disable" }}
parameters: ""
{{- else if $external.caSecret.name }}
parameters: sslmode=verify-full&sslrootcert={{ include "crowdcrunch.postgresCaFile" . }}
{{- else if eq $external.sslMode "require" }}
{{- /* As libpq has it: encrypted, and whoever answers is believed. */}}
parameters: uselibpqcompat=true&sslmode=require
{{- else }}
parameters: sslmode=verify-full
{{- end }}
{{- end }}
{{- end }}

{{- define "crowdcrunch.postgresCaFile" -}}
/etc/crowdcrunch/postgres-ca/ca.crt
{{- end }}

{{- /* The variables by which a process finds the event log: Kafka, or none of them where it is in Postgres. */ -}}
{{- define "crowdcrunch.eventLog" -}}
{{- $external := .Values.externalKafka -}}
{{- if .Values.kafka.enabled }}
KAFKA_BROKERS: {{ include "crowdcrunch.name" (list . "kafka") }}:{{ int .Values.kafka.port }}
{{- else if $external.brokers }}
KAFKA_BROKERS: {{ join "," $external.brokers | quote }}
KAFKA_PREFIX: {{ $external.prefix | quote }}
KAFKA_CREATE_TOPICS: {{ $external.createTopics | quote }}
KAFKA_TLS: {{ $external.tls.enabled | quote }}
{{- if and $external.tls.enabled $external.tls.caSecret.name }}
KAFKA_TLS_CA_FILE: /etc/crowdcrunch/kafka-ca/ca.crt
{{- end }}
{{- with $external.sasl.mechanism }}
KAFKA_SASL_MECHANISM: {{ . | quote }}
KAFKA_SASL_USERNAME: {{ $external.sasl.username | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Names of what the setup Job makes, or of what was given instead. */ -}}
{{- define "crowdcrunch.secretsName" -}}
{{- .Values.secrets.existingSecret | default (printf "%s-secrets" (include "crowdcrunch.shop" .)) -}}
{{- end }}
{{- define "crowdcrunch.signingKeyName" -}}
{{- .Values.secrets.existingSigningKey | default (printf "%s-signing-key" (include "crowdcrunch.shop" .)) -}}
{{- end }}
{{- define "crowdcrunch.jwksName" -}}
{{- printf "%s-jwks" (include "crowdcrunch.shop" .) -}}
{{- end }}
