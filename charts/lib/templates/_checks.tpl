{{- /*
What no schema can say: which values exclude or need each other. Each sentence names the keys and the way out. All of them
are told at once. Types, names of keys and limits of single values are in values.schema.json.
*/ -}}
{{- define "crowdcrunch.checks" -}}
{{- $problems := list -}}
{{- $postgres := .Values.externalPostgres }}{{ $kafka := .Values.externalKafka -}}
{{- if and .Values.postgres.enabled $postgres.host -}}
{{- $problems = append $problems "externalPostgres.host names a Postgres, and postgres.enabled is true, which brings one along: set postgres.enabled to false, or remove externalPostgres.host." -}}
{{- else if and (not .Values.postgres.enabled) (not $postgres.host) -}}
{{- $problems = append $problems "postgres.enabled is false and externalPostgres.host is empty: name a Postgres, or set postgres.enabled to true." -}}
{{- end -}}
{{- if and (not .Values.postgres.enabled) (not $postgres.adminPasswordSecret.name) -}}
{{- $problems = append $problems "externalPostgres.adminPasswordSecret.name is empty: name the Secret with the password of externalPostgres.adminUser, who makes the shop's roles and schemas." -}}
{{- end -}}
{{- if and .Values.kafka.enabled $kafka.brokers -}}
{{- $problems = append $problems "externalKafka.brokers names a Kafka, and kafka.enabled is true, which brings one along: set kafka.enabled to false, or remove externalKafka.brokers." -}}
{{- end -}}
{{- if and (not .Values.kafka.enabled) (not $kafka.brokers) (or $kafka.tls.enabled $kafka.sasl.mechanism) -}}
{{- $problems = append $problems "externalKafka.brokers is empty, and externalKafka.tls or .sasl says how to speak to a Kafka outside: name its brokers, or switch tls and sasl off for events in Postgres." -}}
{{- end -}}
{{- if and $kafka.sasl.mechanism (not $kafka.sasl.passwordSecret.name) -}}
{{- $problems = append $problems "externalKafka.sasl.passwordSecret.name is empty: name the Secret with the password of externalKafka.sasl.username, or remove externalKafka.sasl.mechanism." -}}
{{- end -}}
{{- if and $kafka.sasl.mechanism (not $kafka.sasl.username) -}}
{{- $problems = append $problems "externalKafka.sasl.username is empty, and externalKafka.sasl.mechanism needs it." -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.hostname) -}}
{{- $problems = append $problems "hostname is empty, and ingress.enabled needs it: name the host that the Ingress serves." -}}
{{- end -}}
{{- if and .Values.ingress.enabled .Values.istio.enabled -}}
{{- $problems = append $problems "ingress.enabled and istio.enabled are both true: with Istio the mesh's own gateway serves the shop; set ingress.enabled to false." -}}
{{- end -}}
{{- if and .Values.tls.secretName (not .Values.hostname) -}}
{{- $problems = append $problems "tls.secretName has a certificate, and hostname, the name that it is for, is empty." -}}
{{- end -}}
{{- if and (eq (.Values.defaults.config.NODE_ENV | default "") "production") (not .Values.hostname) (not .Values.publicUrl) -}}
{{- $problems = append $problems "hostname is empty, and so is publicUrl: with NODE_ENV production, links in mails need an address that shoppers can reach." -}}
{{- end -}}
{{- /* The schema takes any key for a service's, so that a new one has nothing to add there. What no service is called: */ -}}
{{- $keys := splitList " " "global lib nameOverride image imagePullSecrets defaults hostname tls publicUrl ingress secrets mail externalPostgres externalKafka setup purchase networkPolicies istio podAnnotations priorityClassName nodeSelector tolerations affinity antiAffinity topologySpread gateway provider auditor postgres kafka" -}}
{{- range keys .Values | sortAlpha -}}
{{- if not (or (has . $keys) (hasKey $.Subcharts .)) -}}
{{- $problems = append $problems (printf "%s is a key that the chart does not know: values.yaml has all of them, and each service has one of its name." .) -}}
{{- end -}}
{{- end -}}
{{- $names := dict -}}
{{- range concat (list (dict "component" "setup" "name" (include "crowdcrunch.name" (list . "setup")) "kind" "setup")) (include "crowdcrunch.components" . | fromYamlArray) -}}
{{- $component := .component -}}
{{- with get $names .name -}}
{{- $problems = append $problems (printf "%s.nameOverride and %s.nameOverride give the same name to two components: each needs one of its own." . $component) -}}
{{- end -}}
{{- $_ := set $names .name .component -}}
{{- $values := include "crowdcrunch.values" (list $ .component) | fromYaml -}}
{{- if and (ne .kind "postgres") (ne .kind "kafka") (ne .kind "setup") -}}
{{- $config := include "crowdcrunch.config" (list $ .component) | fromYaml -}}
{{- if and (eq .component "payments") (not $config.PROVIDER_URL) -}}
{{- $problems = append $problems "payments.config.PROVIDER_URL is not set, and provider.enabled is false: name the payment provider's API, or set provider.enabled to true for the simulated one." -}}
{{- end -}}
{{- if and (eq ($config.FAULT_INJECTION | default "false") "true") (eq ($config.NODE_ENV | default "") "production") -}}
{{- $problems = append $problems (printf "%s.config (or defaults.config) has FAULT_INJECTION true with NODE_ENV production: faults on purpose are not for production; remove one of them." .component) -}}
{{- end -}}
{{- range $variable := list "PORT" "METRICS_PORT" -}}
{{- if hasKey ($values.config | default dict) $variable -}}
{{- $problems = append $problems (printf "%s.config.%s cannot be set: %s.port settles it." $component $variable $component) -}}
{{- end -}}
{{- end -}}
{{- if and $values.autoscaling.enabled (gt (int $values.autoscaling.minReplicas) (int $values.autoscaling.maxReplicas)) -}}
{{- $problems = append $problems (printf "%s.autoscaling.minReplicas is above %s.autoscaling.maxReplicas." .component .component) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $problems -}}
{{- fail (printf "\n\n  %s\n" (join "\n  " $problems)) -}}
{{- end -}}
{{- end }}
