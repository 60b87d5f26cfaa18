{{- /*
What a process is told by its environment: `crowdcrunch.config` is its ConfigMap, `crowdcrunch.secretVariables` what comes
from Secrets. Only variables that its own schema of variables knows, beside what Node itself reads.
*/ -}}

{{- /* A map of strings: what is worked out, under `defaults.config`, under the component's own `config`. */ -}}
{{- define "crowdcrunch.config" -}}
{{- $root := index . 0 }}{{ $component := index . 1 -}}
{{- $values := include "crowdcrunch.values" . | fromYaml -}}
{{- $config := dict
    "HOST" "0.0.0.0"
    "PORT" (int $values.port)
    "METRICS_PORT" (add (int $values.port) 100)
    "SHUTDOWN_WAIT_MS" 2000
    "SHUTDOWN_GRACE_MS" 10000
    "NODE_OPTIONS" (include "crowdcrunch.nodeOptions" $values.resources.limits.memory) -}}
{{- if has $values.kind (list "service" "gateway") }}
{{- $_ := set $config "JWKS_FILE" "/etc/crowdcrunch/jwks/jwks.json" }}
{{- end }}
{{- if ne $values.kind "provider" }}
{{- $config = merge $config (include "crowdcrunch.eventLog" $root | fromYaml) }}
{{- end }}
{{- if $values.signingKey }}
{{- $_ := set $config "SIGNING_KEY_FILE" "/etc/crowdcrunch/signing-key/signing-key.json" }}
{{- end }}
{{- if $values.mail }}
{{- $_ := set $config "MAIL_SPOOL" "/mail" }}
{{- with $root.Values.mail.from }}{{ $_ := set $config "MAIL_FROM" . }}{{ end }}
{{- end }}
{{- if eq $values.kind "gateway" }}
{{- range include "crowdcrunch.components" $root | fromYamlArray }}
{{- if eq .kind "service" }}
{{- $_ := set $config (printf "%s_URL" (upper .component | replace "-" "_")) (include "crowdcrunch.url" (list $root .component)) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $name, $value := mergeOverwrite $config ($values.config | default dict) }}
{{- $text := toString $value }}
{{- /* Helm reads numbers as floating point, and would write a million as 1e+06. */}}
{{- if and (kindIs "float64" $value) (eq $value (floor $value)) }}{{ $text = int64 $value | toString }}{{ end }}
{{- if contains "{{" $text }}{{ $text = tpl $text $root }}{{ end }}
{{- if not (kindIs "invalid" $value) }}
{{ $name }}: {{ $text | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- /*
Half of the memory is for old objects: beside them stand young ones, code and buffers. Node would else take memory while
there is any. And kafkajs sets timers that are due already, about which Node would complain.
*/ -}}
{{- define "crowdcrunch.nodeOptions" -}}
--max-semi-space-size=8 --max-old-space-size={{ div (include "crowdcrunch.mebibytes" . | int) 2 }} --disable-warning=TimeoutNegativeWarning
{{- end }}

{{- /* An amount of memory in MiB. The schema of values lets only Mi and Gi through. */ -}}
{{- define "crowdcrunch.mebibytes" -}}
{{- if hasSuffix "Gi" . }}{{ mulf (trimSuffix "Gi" . | float64) 1024 | int }}{{ else }}{{ trimSuffix "Mi" . }}{{ end -}}
{{- end }}

{{- /* The entries of `env`. A password stands before the URL that it becomes a part of. */ -}}
{{- define "crowdcrunch.secretVariables" -}}
{{- $root := index . 0 }}{{ $component := index . 1 -}}
{{- $values := index $root.Values $component -}}
{{- $secrets := include "crowdcrunch.secretsName" $root -}}
{{ include "crowdcrunch.databaseUrl" (list $root "DATABASE" $component) }}
{{- if has $values.kind (list "service" "provider") }}
{{ include "crowdcrunch.databaseUrl" (list $root "OWNER_DATABASE" (printf "%s_owner" $component)) }}
{{- end }}
{{- range $variable, $key := $values.secrets }}
{{ include "crowdcrunch.secretVariable" (list $variable $secrets $key) }}
{{- end }}
{{- with $root.Values.externalKafka }}
{{- if and .sasl.mechanism (ne $values.kind "provider") (not $root.Values.kafka.enabled) }}
{{ include "crowdcrunch.secretVariable" (list "KAFKA_SASL_PASSWORD" .sasl.passwordSecret.name .sasl.passwordSecret.key) }}
{{- end }}
{{- end }}
{{- if and $values.mail $root.Values.mail.smtpUrlSecret.name }}
{{ include "crowdcrunch.secretVariable" (list "SMTP_URL" $root.Values.mail.smtpUrlSecret.name $root.Values.mail.smtpUrlSecret.key) }}
{{- end }}
{{- end }}

{{- define "crowdcrunch.databaseUrl" -}}
{{- $root := index . 0 }}{{ $variable := index . 1 }}{{ $role := index . 2 -}}
{{- $postgres := include "crowdcrunch.postgres" $root | fromYaml -}}
{{- $parameters := ternary "" (printf "?%s" $postgres.parameters) (empty $postgres.parameters) -}}
{{ include "crowdcrunch.secretVariable" (list (printf "%s_PASSWORD" $variable) (include "crowdcrunch.secretsName" $root) (printf "%s-password" ($role | replace "_" "-"))) }}
- name: {{ $variable }}_URL
  value: {{ printf "postgres://%s:$(%s_PASSWORD)@%s:%v/%s%s" $role $variable $postgres.host $postgres.port $postgres.database $parameters | quote }}
{{- end }}

{{- define "crowdcrunch.secretVariable" -}}
- name: {{ index . 0 }}
  valueFrom: { secretKeyRef: { name: {{ index . 1 | quote }}, key: {{ index . 2 | quote }} } }
{{- end }}
