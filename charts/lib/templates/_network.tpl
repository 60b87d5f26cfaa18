{{- /*
Who may call whom: callers.yaml, which `make callers` writes, is the one graph. NetworkPolicies (here) and what Istio is told
(_istio.tpl) are made of it. Parties are components, setup and purchase; `shoppers` are whoever comes from outside.
*/ -}}

{{- /* A YAML list of the edges whose two ends are in this release, or are outside and used by it. */ -}}
{{- define "crowdcrunch.edges" -}}
{{- $components := list -}}
{{- range include "crowdcrunch.components" . | fromYamlArray }}{{ $components = append $components .component }}{{ end -}}
{{- $callers := concat $components (list "shoppers" "purchase" "setup") -}}
{{- $callees := concat $components (list "kubernetes" "postgres" "provider") -}}
{{- if .Values.externalKafka.brokers }}{{ $callees = append $callees "kafka" }}{{ end -}}
{{- if .Values.mail.smtpUrlSecret.name }}{{ $callees = append $callees "mail" }}{{ end -}}
{{- $edges := list -}}
{{- range (.Files.Get "callers.yaml" | required "callers.yaml is not in the chart: run make callers." | fromYaml).edges -}}
{{- /* Shoppers go to a provider outside by themselves. */ -}}
{{- $called := ternary $components $callees (eq .from "shoppers") -}}
{{- if and (has .from $callers) (has .to $called) }}{{ $edges = append $edges . }}{{ end -}}
{{- end -}}
{{- toYaml $edges -}}
{{- end }}

{{- /*
What every pod of the shop has and nothing else in its namespace. Policies for all of them select by these labels rather
than the whole namespace: what else stands there (the proxies that Istio makes for a Gateway, the solver of a certificate,
somebody's debugging pod) keeps the rules of whoever put it there.
*/ -}}
{{- define "crowdcrunch.shopLabels" -}}
app.kubernetes.io/part-of: {{ include "crowdcrunch.shop" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "crowdcrunch.networkPolicies" -}}
{{- $root := . -}}
{{- $edges := include "crowdcrunch.edges" . | fromYamlArray -}}
{{- $components := dict -}}
{{- range include "crowdcrunch.components" . | fromYamlArray }}{{ $_ := set $components .component . }}{{ end -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "crowdcrunch.shop" . }}-deny-all
  labels:
    {{- include "crowdcrunch.labels" (list . "network") | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "crowdcrunch.shopLabels" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
{{- range $party := concat (keys $components | sortAlpha) (list "purchase" "setup") }}
{{- $ingress := list }}{{ $egress := list }}
{{- $own := get $components $party }}
{{- range $edges }}
{{- if eq .to $party }}
{{- $ingress = append $ingress (dict "from" (include "crowdcrunch.callingPods" (list $root .from) | fromYamlArray) "ports" (list $own.port)) }}
{{- end }}
{{- if eq .from $party }}
{{- with get $components .to }}
{{- $egress = append $egress (dict "to" (include "crowdcrunch.podsOf" (list $root .component) | fromYamlArray) "ports" (list .port)) }}
{{- else }}
{{- $egress = append $egress (include "crowdcrunch.outside" (list $root .to) | fromYaml) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and $own $own.metricsPort }}
{{- range $root.Values.networkPolicies.metricsFrom }}
{{- /* The last two are the sidecar's: its own metrics, alone and together with those of the process. */}}
{{- $ports := concat (list $own.metricsPort) (ternary (list 15020 15090) list $root.Values.istio.enabled) }}
{{- $ingress = append $ingress (dict "from" (include "crowdcrunch.namespacePods" (list . dict) | fromYamlArray) "ports" $ports) }}
{{- end }}
{{- end }}
{{- if $root.Values.istio.enabled }}
{{- /* Its sidecar is told by istiod what to do and who it is. */}}
{{- $istiod := include "crowdcrunch.namespacePods" (list $root.Values.istio.namespace (dict "app" "istiod")) | fromYamlArray }}
{{- $egress = append $egress (dict "to" $istiod "ports" (list 15012)) }}
{{- end }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "crowdcrunch.name" (list $root $party) }}
  labels:
    {{- include "crowdcrunch.labels" (list $root $party) | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "crowdcrunch.selectorLabels" (list $root $party) | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- with $ingress }}
  ingress:
    {{- range . }}
    {{- include "crowdcrunch.networkRule" (list "from" .from .ports) | nindent 4 }}
    {{- end }}
  {{- end }}
  egress:
    {{- with $root.Values.networkPolicies.outside.dns }}
    {{- include "crowdcrunch.networkRule" (list "to" .to .ports "UDP") | nindent 4 }}
    {{- end }}
    {{- range $egress }}
    {{- include "crowdcrunch.networkRule" (list "to" .to .ports) | nindent 4 }}
    {{- end }}
    {{- with $root.Values.networkPolicies.extraEgress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
{{- end }}

{{- /* (list direction peers ports): one rule over TCP, and over a fourth element besides. No peers are everybody. */ -}}
{{- define "crowdcrunch.networkRule" -}}
{{- $rule := . -}}
- ports:
    {{- range index . 2 }}
    - { port: {{ int . }} }
    {{- if gt (len $rule) 3 }}
    - { port: {{ int . }}, protocol: {{ index $rule 3 }} }
    {{- end }}
    {{- end }}
  {{- with index . 1 }}
  {{ index $rule 0 }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- /* Pods, as a list of peers: of one party, or of a namespace. */ -}}
{{- define "crowdcrunch.podsOf" -}}
- podSelector: { matchLabels: {{ include "crowdcrunch.selectorLabels" . | fromYaml | toJson }} }
{{- end }}
{{- define "crowdcrunch.namespacePods" -}}
- namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: {{ index . 0 }} } }
  podSelector: {{ if index . 1 }}{ matchLabels: {{ index . 1 | toJson }} }{{ else }}{}{{ end }}
{{- end }}

{{- /* (list root party): the peers from whom a party calls. Shoppers come from anywhere, or by the mesh's own way in. */ -}}
{{- define "crowdcrunch.callingPods" -}}
{{- $root := index . 0 }}{{ $party := index . 1 -}}
{{- $istio := $root.Values.istio -}}
{{- if ne $party "shoppers" -}}
{{- include "crowdcrunch.podsOf" . -}}
{{- else if $root.Values.networkPolicies.shoppersFrom -}}
{{- toYaml $root.Values.networkPolicies.shoppersFrom -}}
{{- else if and $istio.enabled $istio.ingress.enabled -}}
{{- $way := include "crowdcrunch.wayIn" $root | fromYaml -}}
{{- include "crowdcrunch.namespacePods" (list $way.namespace $way.labels) -}}
{{- end -}}
{{- end }}

{{- /* (list root callee): how something outside of the shop is reached, {to, ports}. */ -}}
{{- define "crowdcrunch.outside" -}}
{{- $root := index . 0 }}{{ $callee := index . 1 -}}
{{- $outside := index $root.Values.networkPolicies.outside $callee -}}
{{- $ports := $outside.ports -}}
{{- if eq $callee "postgres" -}}
{{- $ports = list $root.Values.externalPostgres.port -}}
{{- else if eq $callee "kafka" -}}
{{- $ports = list -}}
{{- range $root.Values.externalKafka.brokers }}{{ $ports = append $ports (splitList ":" . | last | int) }}{{ end -}}
{{- end -}}
{{- dict "to" $outside.to "ports" (uniq $ports) | toYaml -}}
{{- end }}
