{{- /* What all pods have in common. Each passes the restricted Pod Security Standard. */ -}}

{{- /*
A pod's metadata: a dict of `root`, `of` (the list that crowdcrunch.podLabels takes), `config` (a text whose change makes
other pods), and `container`, where it is not called after the component.
*/ -}}
{{- define "crowdcrunch.podMetadata" -}}
{{- $root := .root -}}
labels:
  {{- include "crowdcrunch.podLabels" .of | nindent 2 }}
  {{- if $root.Values.istio.enabled }}
  sidecar.istio.io/inject: "true"
  {{- end }}
annotations:
  # Whom kubectl logs and exec mean where a sidecar stands beside it.
  kubectl.kubernetes.io/default-container: {{ .container | default (index .of 1) }}
  {{- with .config }}
  # Another configuration makes other pods.
  checksum/config: {{ sha256sum . }}
  {{- end }}
  {{- if $root.Values.istio.enabled }}
  {{- with $root.Values.istio.sidecar.resources }}
  sidecar.istio.io/proxyCPU: {{ .requests.cpu | quote }}
  sidecar.istio.io/proxyMemory: {{ .requests.memory | quote }}
  sidecar.istio.io/proxyCPULimit: {{ .limits.cpu | quote }}
  sidecar.istio.io/proxyMemoryLimit: {{ .limits.memory | quote }}
  {{- end }}
  {{- end }}
  {{- with $root.Values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- /* (list root component user): who the pod runs as and where it may run. */ -}}
{{- define "crowdcrunch.podSettings" -}}
{{- $root := index . 0 }}{{ $component := index . 1 }}{{ $user := index . 2 -}}
serviceAccountName: {{ include "crowdcrunch.serviceAccountName" (list $root $component) }}
automountServiceAccountToken: {{ eq $component "setup" }}
# The addresses of all Services of the namespace are not for the environment: KAFKA_PORT would be one of them.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ $user }}
  runAsGroup: {{ $user }}
  fsGroup: {{ $user }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- with $root.Values }}
{{- with .imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with include "crowdcrunch.affinity" (list $root $component) | fromYaml }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Away from the component's other pods, as antiAffinity says; `affinity` goes before it. */ -}}
{{- define "crowdcrunch.affinity" -}}
{{- $root := index . 0 -}}
{{- $apart := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" (include "crowdcrunch.selectorLabels" . | fromYaml)) -}}
{{- $derived := dict -}}
{{- if eq $root.Values.antiAffinity "required" -}}
{{- $derived = dict "podAntiAffinity" (dict "requiredDuringSchedulingIgnoredDuringExecution" (list $apart)) -}}
{{- else if eq $root.Values.antiAffinity "preferred" -}}
{{- $derived = dict "podAntiAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" (list (dict "weight" 100 "podAffinityTerm" $apart))) -}}
{{- end -}}
{{- mergeOverwrite $derived (deepCopy $root.Values.affinity) | toYaml -}}
{{- end }}

{{- define "crowdcrunch.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end }}

{{- define "crowdcrunch.serviceAccount" -}}
{{- $root := index . 0 }}{{ $component := index . 1 -}}
{{- $values := include "crowdcrunch.values" . | fromYaml -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "crowdcrunch.serviceAccountName" . }}
  labels:
    {{- include "crowdcrunch.labels" . | nindent 4 }}
  {{- with (merge dict ($values.serviceAccount.annotations | default dict)) }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}

{{- /* The Secrets with the certificates of authorities outside, for whoever speaks to their servers. */ -}}
{{- define "crowdcrunch.authorities" -}}
{{- $postgres := .Values.externalPostgres.caSecret }}{{ $kafka := .Values.externalKafka.tls.caSecret -}}
{{- if and (not .Values.postgres.enabled) $postgres.name }}
postgres-ca: { name: {{ $postgres.name | quote }}, key: {{ $postgres.key | quote }} }
{{- end }}
{{- if and (not .Values.kafka.enabled) .Values.externalKafka.tls.enabled $kafka.name }}
kafka-ca: { name: {{ $kafka.name | quote }}, key: {{ $kafka.key | quote }} }
{{- end }}
{{- end }}

{{- define "crowdcrunch.volumes" -}}
{{- $root := index . 0 }}{{ $values := index $root.Values (index . 1) -}}
{{- if $values.mail }}
- name: mail
  emptyDir: { sizeLimit: 256Mi }
{{- end }}
{{- if has $values.kind (list "service" "gateway") }}
- name: jwks
  configMap: { name: {{ include "crowdcrunch.jwksName" $root }} }
{{- end }}
{{- if $values.signingKey }}
- name: signing-key
  secret:
    secretName: {{ include "crowdcrunch.signingKeyName" $root }}
    items: [{ key: signing-key.json, path: signing-key.json }]
{{- end }}
{{- range $volume, $secret := include "crowdcrunch.authorities" $root | fromYaml }}
- name: {{ $volume }}
  secret: { secretName: {{ $secret.name | quote }}, items: [{ key: {{ $secret.key | quote }}, path: ca.crt }] }
{{- end }}
{{- end }}

{{- define "crowdcrunch.volumeMounts" -}}
{{- $root := index . 0 }}{{ $values := index $root.Values (index . 1) -}}
{{- if $values.mail }}
- { name: mail, mountPath: /mail }
{{- end }}
{{- if has $values.kind (list "service" "gateway") }}
- { name: jwks, mountPath: /etc/crowdcrunch/jwks, readOnly: true }
{{- end }}
{{- if $values.signingKey }}
- { name: signing-key, mountPath: /etc/crowdcrunch/signing-key, readOnly: true }
{{- end }}
{{- range $volume, $secret := include "crowdcrunch.authorities" $root | fromYaml }}
- { name: {{ $volume }}, mountPath: /etc/crowdcrunch/{{ $volume }}, readOnly: true }
{{- end }}
{{- end }}
