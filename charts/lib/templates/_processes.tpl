{{- /* A part of the shop that runs on Node: (list root component). */ -}}

{{- define "crowdcrunch.process" -}}
{{- $values := include "crowdcrunch.values" . | fromYaml -}}
{{ include "crowdcrunch.serviceAccount" . }}
---
{{ include "crowdcrunch.configMap" . }}
---
{{ include "crowdcrunch.service" . }}
---
{{ include "crowdcrunch.deployment" . }}
{{- with $values.canary.tag }}
---
{{ include "crowdcrunch.deployment" (append $ .) }}
{{- end }}
{{- if $values.autoscaling.enabled }}
---
{{ include "crowdcrunch.autoscaler" . }}
{{- end }}
{{- if gt (ternary $values.autoscaling.minReplicas $values.replicas $values.autoscaling.enabled | int) 1 }}
---
{{ include "crowdcrunch.disruptionBudget" . }}
{{- end }}
{{- end }}

{{- define "crowdcrunch.configMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "crowdcrunch.name" . }}
  labels:
    {{- include "crowdcrunch.labels" . | nindent 4 }}
data:
  {{- include "crowdcrunch.config" . | trim | nindent 2 }}
{{- end }}

{{- define "crowdcrunch.service" -}}
{{- $values := include "crowdcrunch.values" . | fromYaml -}}
{{- $service := $values.service | default (dict "type" "ClusterIP") -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "crowdcrunch.name" . }}
  labels:
    {{- include "crowdcrunch.labels" . | nindent 4 }}
  {{- with $service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ $service.type }}
  {{- if ne $service.type "ClusterIP" }}
  externalTrafficPolicy: {{ $service.externalTrafficPolicy }}
  {{- end }}
  selector:
    {{- include "crowdcrunch.selectorLabels" . | nindent 4 }}
  ports:
    - name: http
      port: {{ int $values.port }}
      targetPort: http
      {{- if and (eq $service.type "NodePort") $service.nodePort }}
      nodePort: {{ int $service.nodePort }}
      {{- end }}
    {{- /* Metrics are not for those outside. */}}
    {{- if eq $service.type "ClusterIP" }}
    - name: http-metrics
      port: {{ add (int $values.port) 100 }}
      targetPort: http-metrics
    {{- end }}
{{- end }}

{{- /* A third element of the list is the tag of a canary: the same component from another image. */ -}}
{{- define "crowdcrunch.deployment" -}}
{{- $root := index . 0 }}{{ $component := index . 1 -}}
{{- $of := list $root $component -}}
{{- $values := include "crowdcrunch.values" $of | fromYaml -}}
{{- $track := include "crowdcrunch.track" . -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "crowdcrunch.name" $of }}{{ if eq $track "canary" }}-canary{{ end }}
  labels:
    {{- include "crowdcrunch.labels" . | nindent 4 }}
spec:
  {{- if eq $track "canary" }}
  replicas: {{ int $values.canary.replicas }}
  {{- else if not $values.autoscaling.enabled }}
  replicas: {{ int $values.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  strategy:
    type: RollingUpdate
    # The new one takes requests before the old one leaves.
    rollingUpdate: { maxUnavailable: 0, maxSurge: 1 }
  selector:
    matchLabels:
      {{- include "crowdcrunch.selectorLabels" . | nindent 6 }}
      crowdcrunch/track: {{ $track }}
  template:
    metadata:
      {{- include "crowdcrunch.podMetadata" (dict "root" $root "of" . "config" (include "crowdcrunch.config" $of)) | nindent 6 }}
    spec:
      {{- include "crowdcrunch.podSettings" (list $root $component 1000) | nindent 6 }}
      {{- with $root.Values.topologySpread }}
      topologySpreadConstraints:
        {{- range . }}
        - maxSkew: 1
          topologyKey: {{ .topologyKey }}
          whenUnsatisfiable: {{ .whenUnsatisfiable }}
          labelSelector:
            matchLabels:
              {{- include "crowdcrunch.selectorLabels" $of | nindent 14 }}
          # Of each revision, or the pods that leave would count against those that come.
          matchLabelKeys: [pod-template-hash]
        {{- end }}
      {{- end }}
      # More than the sleep, SHUTDOWN_WAIT_MS and SHUTDOWN_GRACE_MS together.
      terminationGracePeriodSeconds: 30
      containers:
        - name: {{ $component }}
          image: {{ include "crowdcrunch.image" . }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          envFrom:
            - configMapRef: { name: {{ include "crowdcrunch.name" $of }} }
          env:
            {{- include "crowdcrunch.secretVariables" $of | nindent 12 }}
          ports:
            - { name: http, containerPort: {{ int $values.port }} }
            - { name: http-metrics, containerPort: {{ add (int $values.port) 100 }} }
          # It lives as soon as it runs, and is ready once it has found what it waits for: nothing is started in order,
          # and waiting for a database is no reason to be killed.
          startupProbe:
            httpGet: { path: /livez, port: http-metrics }
            periodSeconds: 1
            timeoutSeconds: 5
            failureThreshold: 120
          readinessProbe:
            httpGet: { path: /readyz, port: http-metrics }
            periodSeconds: 2
            timeoutSeconds: 5
            failureThreshold: 3
          livenessProbe:
            httpGet: { path: /livez, port: http-metrics }
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          lifecycle:
            preStop:
              # Until every node and proxy has heard that it leaves.
              sleep: { seconds: 5 }
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          {{- include "crowdcrunch.containerSecurity" . | nindent 10 }}
          {{- with include "crowdcrunch.volumeMounts" $of | trim }}
          volumeMounts:
            {{- nindent 12 . }}
          {{- end }}
      {{- with include "crowdcrunch.volumes" $of | trim }}
      volumes:
        {{- nindent 8 . }}
      {{- end }}
{{- end }}

{{- define "crowdcrunch.autoscaler" -}}
{{- $values := include "crowdcrunch.values" . | fromYaml -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "crowdcrunch.name" . }}
  labels:
    {{- include "crowdcrunch.labels" . | nindent 4 }}
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: {{ include "crowdcrunch.name" . }} }
  minReplicas: {{ int $values.autoscaling.minReplicas }}
  maxReplicas: {{ int $values.autoscaling.maxReplicas }}
  metrics:
    # Of the process alone: a sidecar beside it says little about its load.
    - type: ContainerResource
      containerResource:
        name: cpu
        container: {{ index . 1 }}
        target: { type: Utilization, averageUtilization: {{ int $values.autoscaling.cpuPercent }} }
{{- end }}

{{- define "crowdcrunch.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "crowdcrunch.name" . }}
  labels:
    {{- include "crowdcrunch.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  # A pod that is not ready anyway does not keep a node from being drained.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "crowdcrunch.selectorLabels" . | nindent 6 }}
{{- end }}
