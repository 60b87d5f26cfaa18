{{- /*
What Istio is told. Who may ask what comes from callers.yaml, like the NetworkPolicies (_network.tpl).

The RequestAuthentication is made by the Job `setup`, because only it knows the public keys. It is for the gateway and the
services (crowdcrunch.accessTokenLabels) and not for the provider: what payments sends there is an API key, which also is a
Bearer and no token of ours. It refuses tokens that are not good (401) and lets those pass that bring none; no policy asks
for one (requestPrincipals), because visitors look around and start their sessions without. What needs a token is known to
the services, field by field.
*/ -}}

{{- define "crowdcrunch.istioMetadata" -}}
{{- $root := index . 0 -}}
metadata:
  name: {{ index . 1 }}
  labels:
    {{- include "crowdcrunch.labels" (list $root "network") | nindent 4 }}
{{- end }}

{{- /* {namespace, labels, account}: the proxies through which shoppers come in. */ -}}
{{- define "crowdcrunch.wayIn" -}}
{{- $ingress := .Values.istio.ingress -}}
{{- if eq $ingress.api "gateway-api" }}
{{- /* Istio makes them beside the Gateway and calls them after it and its class. */}}
namespace: {{ .Release.Namespace }}
labels: { gateway.networking.k8s.io/gateway-name: {{ include "crowdcrunch.shop" . }} }
account: {{ include "crowdcrunch.shop" . }}-{{ $ingress.className }}
{{- else }}
namespace: {{ $ingress.namespace }}
labels: {{ toJson $ingress.selector }}
account: {{ $ingress.serviceAccount }}
{{- end }}
{{- end }}

{{- /* (list root party): the identity that a party's sidecar shows. Shoppers have that of the proxies that let them in. */ -}}
{{- define "crowdcrunch.principal" -}}
{{- $root := index . 0 -}}
{{- $namespace := $root.Release.Namespace }}{{ $account := include "crowdcrunch.serviceAccountName" . -}}
{{- if eq (index . 1) "shoppers" -}}
{{- $way := include "crowdcrunch.wayIn" $root | fromYaml -}}
{{- $namespace = $way.namespace }}{{ $account = $way.account -}}
{{- end -}}
{{- $root.Values.istio.trustDomain }}/ns/{{ $namespace }}/sa/{{ $account -}}
{{- end }}

{{- /* Nothing but mutual TLS, and nobody in who is not let in below. */ -}}
{{- define "crowdcrunch.meshRules" -}}
{{- $selector := include "crowdcrunch.shopLabels" . | fromYaml -}}
apiVersion: security.istio.io/v1
kind: PeerAuthentication
{{ include "crowdcrunch.istioMetadata" (list . (include "crowdcrunch.shop" .)) }}
spec:
  selector:
    matchLabels:
      {{- toYaml $selector | nindent 6 }}
  # Also for metrics; probes reach the sidecar's own port and are passed on by it.
  mtls: { mode: STRICT }
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
{{ include "crowdcrunch.istioMetadata" (list . (include "crowdcrunch.shop" .)) }}
spec:
  selector:
    matchLabels:
      {{- toYaml $selector | nindent 6 }}
  tracing:
    - randomSamplingPercentage: {{ .Values.istio.tracing.samplingPercent }}
      {{- with .Values.istio.tracing.provider }}
      providers: [{ name: {{ . }} }]
      {{- end }}
---
# Without a rule it allows nothing.
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
{{ include "crowdcrunch.istioMetadata" (list . (printf "%s-deny-all" (include "crowdcrunch.shop" .))) }}
spec:
  selector:
    matchLabels:
      {{- toYaml $selector | nindent 6 }}
{{- end }}

{{- /* (list root component edges), the component as crowdcrunch.components has it: one rule for each of its callers. */ -}}
{{- define "crowdcrunch.allowCallers" -}}
{{- $root := index . 0 }}{{ $own := index . 1 -}}
{{- $rules := list -}}
{{- range index . 2 -}}
{{- if and (eq .to $own.component) (or (ne .from "shoppers") $root.Values.istio.ingress.enabled) -}}
{{- $port := toString $own.port -}}
{{- $to := list -}}
{{- range .operations -}}
{{- $to = append $to (dict "operation" (dict "ports" (list $port) "methods" .methods "paths" .paths)) -}}
{{- else -}}
{{- $to = append $to (dict "operation" (dict "ports" (list $port))) -}}
{{- end -}}
{{- $source := dict "principals" (list (include "crowdcrunch.principal" (list $root .from))) -}}
{{- $rules = append $rules (dict "from" (list (dict "source" $source)) "to" $to) -}}
{{- end -}}
{{- end -}}
{{- with and $own.metricsPort $root.Values.networkPolicies.metricsFrom -}}
{{- $metrics := dict "ports" (list (toString $own.metricsPort)) "methods" (list "GET") "paths" (list "/metrics") -}}
{{- $rules = append $rules (dict "from" (list (dict "source" (dict "namespaces" .))) "to" (list (dict "operation" $metrics))) -}}
{{- end -}}
{{- with $rules -}}
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: {{ $own.name }}
  labels:
    {{- include "crowdcrunch.labels" (list $root $own.component) | nindent 4 }}
spec:
  selector:
    matchLabels:
      {{- include "crowdcrunch.selectorLabels" (list $root $own.component) | nindent 6 }}
  rules:
    {{- toYaml . | nindent 4 }}
{{- end -}}
{{- end }}

{{- /*
(list root component), as above: how many connections there may be, and which pods are left out for a while. Where Istio
would repeat a request by itself (connect-failure, refused-stream), nothing has been sent; so there is no route but for a
canary, and the faults in istio/faults can be.
*/ -}}
{{- define "crowdcrunch.destinationRule" -}}
{{- $root := index . 0 }}{{ $own := index . 1 -}}
{{- $of := list $root $own.component -}}
{{- $values := include "crowdcrunch.values" $of | fromYaml -}}
{{- $most := index $root.Values.istio.maxConnections $own.kind | int -}}
{{- $canary := ternary $values.canary.tag "" (hasKey $own "metricsPort") -}}
{{- $replicas := ternary $values.autoscaling.minReplicas $values.replicas $values.autoscaling.enabled | int -}}
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: {{ $own.name }}
  labels:
    {{- include "crowdcrunch.labels" $of | nindent 4 }}
spec:
  host: {{ $own.name }}
  trafficPolicy:
    connectionPool:
      {{- if $own.metricsPort }}
      tcp: { maxConnections: {{ $most }}, connectTimeout: 5s }
      # Shorter than the 75 s after which the process closes an idle connection: it might do so as a request comes.
      http: { http1MaxPendingRequests: {{ $most }}, idleTimeout: 60s }
      {{- else }}
      # Who listens for news is silent for hours; Envoy would end that after one.
      tcp: { maxConnections: {{ $most }}, connectTimeout: 5s, idleTimeout: 0s, tcpKeepalive: { time: 300s, interval: 60s } }
      {{- end }}
    {{- if and $own.metricsPort (not $canary) }}
    {{- with include "crowdcrunch.outlierDetection" $replicas | trim }}
    {{- nindent 4 . }}
    {{- end }}
    {{- end }}
  {{- if $canary }}
  subsets:
    {{- range $track, $pods := dict "stable" $replicas "canary" (int $values.canary.replicas) }}
    - name: {{ $track }}
      labels: { crowdcrunch/track: {{ $track }} }
      {{- with include "crowdcrunch.outlierDetection" $pods | trim }}
      trafficPolicy:
        {{- nindent 8 . }}
      {{- end }}
    {{- end }}
  {{- end }}
{{- end }}

{{- /*
For so many pods. A pod that cannot be reached is left out; one alone never is, and of several half stay. Answers do not
count: 503 is how a part that has too much to do refuses, and without it the others would have more.
*/ -}}
{{- define "crowdcrunch.outlierDetection" -}}
{{- if gt (int .) 1 }}
outlierDetection:
  splitExternalLocalOriginErrors: true
  consecutiveLocalOriginFailures: 5
  consecutive5xxErrors: 0
  interval: 5s
  baseEjectionTime: 15s
  maxEjectionPercent: 50
  # Where fewer than these are left, all are asked again.
  minHealthPercent: 50
{{- end }}
{{- end }}

{{- define "crowdcrunch.canaryRoute" -}}
{{- $root := index . 0 }}{{ $own := index . 1 -}}
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: {{ $own.name }}
  labels:
    {{- include "crowdcrunch.labels" (list $root $own.component) | nindent 4 }}
spec:
  hosts: [{{ $own.name }}]
  http:
    - route:
        {{- include "crowdcrunch.destinations" . | nindent 8 }}
{{- end }}

{{- /* (list root component), as above: where its requests go, shared with its canary where it has one. */ -}}
{{- define "crowdcrunch.destinations" -}}
{{- $root := index . 0 }}{{ $own := index . 1 -}}
{{- $host := dict "host" $own.name "port" (dict "number" (int $own.port)) -}}
{{- $canary := (include "crowdcrunch.values" (list $root $own.component) | fromYaml).canary -}}
{{- if $canary.tag -}}
{{- $weight := int $canary.weight -}}
- { destination: {{ set (deepCopy $host) "subset" "stable" | toJson }}, weight: {{ sub 100 $weight }} }
- { destination: {{ set $host "subset" "canary" | toJson }}, weight: {{ $weight }} }
{{- else -}}
- { destination: {{ toJson $host }} }
{{- end -}}
{{- end }}

{{- /*
What comes in from outside, and nothing else: the paths that callers.yaml has for shoppers, in its order. Answers may be
streams that last for hours, so that only what may be repeated has a time-out; without one Istio waits for ever.
*/ -}}
{{- define "crowdcrunch.shopperRoutes" -}}
{{- $components := dict -}}
{{- range include "crowdcrunch.components" . | fromYamlArray }}{{ $_ := set $components .component . }}{{ end -}}
{{- $routes := list -}}
{{- range include "crowdcrunch.edges" . | fromYamlArray -}}
{{- if eq .from "shoppers" -}}
{{- $to := get $components .to -}}
{{- range .operations }}{{ $routes = append $routes (merge (dict "to" $to) .) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- toYaml $routes -}}
{{- end }}

{{- define "crowdcrunch.istioIngress" -}}
{{- $root := . }}{{ $hosts := list (.Values.hostname | default "*") }}{{ $certificate := .Values.tls.secretName -}}
apiVersion: networking.istio.io/v1
kind: Gateway
{{ include "crowdcrunch.istioMetadata" (list . (include "crowdcrunch.shop" .)) }}
spec:
  selector:
    {{- toYaml .Values.istio.ingress.selector | nindent 4 }}
  servers:
    - port: { number: 80, name: http, protocol: HTTP }
      hosts: {{ toJson $hosts }}
      {{- if $certificate }}
      tls: { httpsRedirect: true }
    - port: { number: 443, name: https, protocol: HTTPS }
      hosts: {{ toJson $hosts }}
      tls: { mode: SIMPLE, credentialName: {{ $certificate }}, minProtocolVersion: TLSV1_2 }
      {{- end }}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
{{ include "crowdcrunch.istioMetadata" (list . (include "crowdcrunch.shop" .)) }}
spec:
  hosts: {{ toJson $hosts }}
  gateways: [{{ include "crowdcrunch.shop" . }}]
  http:
    {{- range include "crowdcrunch.shopperRoutes" . | fromYamlArray }}
    - match:
        {{- $method := dict "regex" (join "|" .methods) }}
        {{- range .paths }}
        - { method: {{ toJson $method }}, uri: {{ ternary (dict "prefix" (trimSuffix "*" .)) (dict "exact" .) (hasSuffix "*" .) | toJson }} }
        {{- end }}
      route:
        {{- include "crowdcrunch.destinations" (list $root .to) | nindent 8 }}
      {{- if .repeatable }}
      timeout: 30s
      # A try is longer than the gateway's own limit for a request, 10 s.
      retries: { attempts: 2, perTryTimeout: 12s, retryOn: "connect-failure,refused-stream,reset,gateway-error" }
      {{- else }}
      # Only where nothing has been sent: a mutation may have been done.
      retries: { attempts: 2, retryOn: "connect-failure,refused-stream" }
      {{- end }}
    {{- end }}
{{- end }}

{{- /*
The same in Kubernetes' own words, for which Istio makes proxies of the shop's own. Repeating has no stable words there:
Istio does so where nothing has been sent. A canary of the gateway itself gets its share of the pods.
*/ -}}
{{- define "crowdcrunch.gatewayApi" -}}
{{- $shop := include "crowdcrunch.shop" . }}{{ $certificate := .Values.tls.secretName -}}
{{- $hostname := .Values.hostname -}}
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: {{ $shop }}
  labels:
    {{- include "crowdcrunch.labels" (list . "network") | nindent 4 }}
  {{- with .Values.istio.ingress.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  gatewayClassName: {{ .Values.istio.ingress.className }}
  # Labels of the proxies. Istio would else give them those of the Gateway, by which the shop's own pods are denied all.
  infrastructure: { labels: { app: {{ $shop }}-{{ .Values.istio.ingress.className }} } }
  listeners:
    - name: http
      port: 80
      protocol: HTTP
      {{- with $hostname }}
      hostname: {{ . }}
      {{- end }}
    {{- if $certificate }}
    - name: https
      port: 443
      protocol: HTTPS
      hostname: {{ $hostname }}
      tls: { mode: Terminate, certificateRefs: [{ name: {{ $certificate }} }] }
    {{- end }}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
{{ include "crowdcrunch.istioMetadata" (list . $shop) }}
spec:
  parentRefs: [{ name: {{ $shop }}, sectionName: {{ ternary "https" "http" (ne $certificate "") }} }]
  {{- with $hostname }}
  hostnames: [{{ . }}]
  {{- end }}
  rules:
    {{- range include "crowdcrunch.shopperRoutes" . | fromYamlArray }}
    - matches:
        {{- $methods := .methods }}
        {{- range $path := .paths }}
        {{- $match := ternary (dict "type" "PathPrefix" "value" (trimSuffix "*" $path)) (dict "type" "Exact" "value" $path) (hasSuffix "*" $path) }}
        {{- range $methods }}
        - { method: {{ . }}, path: {{ toJson $match }} }
        {{- end }}
        {{- end }}
      backendRefs: [{ name: {{ .to.name }}, port: {{ int .to.port }} }]
      timeouts: { request: {{ ternary "30s" "0s" (.repeatable | default false) }} }
    {{- end }}
{{- if $certificate }}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
{{ include "crowdcrunch.istioMetadata" (list . (printf "%s-to-https" $shop)) }}
spec:
  parentRefs: [{ name: {{ $shop }}, sectionName: http }]
  hostnames: [{{ $hostname }}]
  rules:
    - filters: [{ type: RequestRedirect, requestRedirect: { scheme: https, statusCode: 301 } }]
{{- end }}
{{- end }}
