{{- /*
What the shop's objects are called. A component is a subchart with a `kind`: service, gateway, provider, auditor, postgres
or kafka; beside them stand the two programs `setup` (a Job) and `purchase` (what helm test runs), which have no subchart.

A template about one component takes the list of the root scope and the component's own name, the one of its subchart:
  include "crowdcrunch.name" (list $ "orders")
A template about all takes the root scope.

  crowdcrunch.name                what objects of a component are called; a Service, Deployment (or StatefulSet) and
                                  ServiceAccount of this name. Its nameOverride renames them
  crowdcrunch.serviceAccountName  the account that a component runs as
  crowdcrunch.shop                what the shop's own objects begin with (Secret <shop>-secrets, ConfigMap <shop>-jwks)
  crowdcrunch.labels              labels of an object of a component
  crowdcrunch.selectorLabels      the labels by which its pods are found, all of them: also those of a canary
  crowdcrunch.podLabels           labels of its pods: the selector's, app, version and the rest
  crowdcrunch.accessTokenLabels   by these a mesh finds the pods that take access tokens: the services and the gateway
  crowdcrunch.components          a YAML list (fromYamlArray) of the components that are switched on, by name:
                                  {component: orders, kind: service, name: orders, account: orders, port: 4004,
                                  portName: http, metricsPort: 4104}; Postgres and Kafka have no metricsPort
  crowdcrunch.values              the values of a component (fromYaml): its own over `defaults`
  crowdcrunch.url                 where a component serves, e.g. http://orders:4004; see _addresses.tpl

Values of a component as users wrote them: index $.Values "orders".
A canary's pods have the label crowdcrunch/track: canary, all others crowdcrunch/track: stable.
*/ -}}

{{- define "crowdcrunch.name" -}}
{{- $root := index . 0 }}{{ $component := index . 1 -}}
{{- (index $root.Values $component | default dict).nameOverride | default $component -}}
{{- end }}

{{- define "crowdcrunch.serviceAccountName" -}}
{{- include "crowdcrunch.name" . -}}
{{- end }}

{{- define "crowdcrunch.shop" -}}
{{- .Values.nameOverride | default .Chart.Name -}}
{{- end }}

{{- define "crowdcrunch.components" -}}
{{- $root := . }}
{{- range $component, $scope := .Subcharts }}
{{- with $scope.Values.kind }}
{{- $port := int $scope.Values.port }}
- component: {{ $component }}
  kind: {{ . }}
  name: {{ include "crowdcrunch.name" (list $root $component) }}
  account: {{ include "crowdcrunch.serviceAccountName" (list $root $component) }}
  port: {{ $port }}
  {{- if has . (list "postgres" "kafka") }}
  portName: tcp-{{ . }}
  {{- else }}
  portName: http
  # Health and metrics, at the same distance in every process.
  metricsPort: {{ add $port 100 }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "crowdcrunch.values" -}}
{{- $root := index . 0 }}{{ $component := index . 1 -}}
{{- $own := index $root.Values $component | default dict | deepCopy -}}
{{- $defaults := deepCopy $root.Values.defaults -}}
{{- mergeOverwrite $defaults $own | toYaml -}}
{{- end }}

{{- define "crowdcrunch.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "crowdcrunch.name" . }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- end }}

{{- /* What a component runs, as a label: the tag of its image. */ -}}
{{- define "crowdcrunch.versionLabel" -}}
{{- include "crowdcrunch.imageTag" . | replace "+" "_" | trunc 63 | trimSuffix "-" | trimSuffix "." | quote -}}
{{- end }}

{{- define "crowdcrunch.labels" -}}
{{- $root := index . 0 }}{{ $component := index . 1 -}}
{{ include "crowdcrunch.selectorLabels" . }}
app.kubernetes.io/version: {{ include "crowdcrunch.versionLabel" . }}
{{ include "crowdcrunch.commonLabels" . }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "crowdcrunch.commonLabels" -}}
{{- $root := index . 0 }}{{ $component := index . 1 -}}
app.kubernetes.io/component: {{ (index $root.Values $component | default dict).kind | default $component }}
app.kubernetes.io/part-of: {{ include "crowdcrunch.shop" $root }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- end }}

{{- /*
Labels of pods. Without the chart's version: another one alone would restart Postgres and Kafka. The list may have a
third element, the tag of a canary.
*/ -}}
{{- define "crowdcrunch.podLabels" -}}
{{- $root := index . 0 }}{{ $component := index . 1 -}}
{{ include "crowdcrunch.selectorLabels" . }}
app.kubernetes.io/version: {{ include "crowdcrunch.versionLabel" . }}
{{ include "crowdcrunch.commonLabels" . }}
app: {{ include "crowdcrunch.name" . }}
version: {{ include "crowdcrunch.versionLabel" . }}
crowdcrunch/track: {{ include "crowdcrunch.track" . }}
{{- if has (index $root.Values $component | default dict).kind (list "service" "gateway") }}
{{ include "crowdcrunch.accessTokenLabels" . }}
{{- end }}
{{- end }}

{{- /* Of the pods that take the shop's access tokens. Others have an Authorization header of another kind. */ -}}
{{- define "crowdcrunch.accessTokenLabels" -}}
crowdcrunch/access-tokens: "true"
{{- end }}

{{- define "crowdcrunch.track" -}}
{{- if gt (len .) 2 }}canary{{ else }}stable{{ end -}}
{{- end }}

{{- /* The third element, a canary's tag, goes before all others. */ -}}
{{- define "crowdcrunch.imageTag" -}}
{{- $root := index . 0 }}{{ $component := index . 1 -}}
{{- $own := (index $root.Values $component | default dict).image | default dict -}}
{{- if gt (len .) 2 }}{{ index . 2 }}
{{- else }}{{ $own.tag | default $root.Values.image.tag | default $root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- /*
A component's image. Those of others (Postgres, Kafka) say their whole repository; the shop's own ones are called after
their component, whatever its objects are called.
*/ -}}
{{- define "crowdcrunch.image" -}}
{{- $root := index . 0 }}{{ $component := index . 1 -}}
{{- $own := (index $root.Values $component | default dict).image | default dict -}}
{{- $ours := printf "%s/%s" $root.Values.image.repository (ternary "setup" $component (eq $component "purchase")) -}}
{{- with $root.Values.image.registry }}{{ $ours = printf "%s/%s" . $ours }}{{ end -}}
{{- printf "%s:%s" ($own.repository | default $ours) (include "crowdcrunch.imageTag" .) -}}
{{- end }}
