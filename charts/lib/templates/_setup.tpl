{{- /*
The program `setup`: makes the secrets and keys that are missing, waits for Postgres, and makes roles, schemas and event
log. What it makes outlives the release, like the volumes; so none of it is rendered here.
*/ -}}

{{- define "crowdcrunch.setupJob" -}}
{{- $pod := include "crowdcrunch.setupPod" (list . "setup/src/main.ts" "OnFailure") -}}
apiVersion: batch/v1
kind: Job
metadata:
  # A Job cannot be changed: with other inputs it is another one.
  name: {{ include "crowdcrunch.name" (list . "setup") }}-{{ sha256sum $pod | trunc 8 }}
  labels:
    {{- include "crowdcrunch.labels" (list . "setup") | nindent 4 }}
spec:
  # It waits for Postgres by itself; this is for what else may happen.
  backoffLimit: 20
  template:
    {{- $pod | nindent 4 }}
{{- end }}

{{- /* Suspended: a rotation is begun by whoever runs the shop, with kubectl create job --from=cronjob/rotate-keys. */ -}}
{{- define "crowdcrunch.rotateKeys" -}}
apiVersion: batch/v1
kind: CronJob
metadata:
  name: rotate-keys
  labels:
    {{- include "crowdcrunch.labels" (list . "setup") | nindent 4 }}
spec:
  suspend: true
  schedule: "0 3 1 * *"
  concurrencyPolicy: Forbid
  jobTemplate:
    metadata:
      labels:
        {{- include "crowdcrunch.labels" (list . "setup") | nindent 8 }}
    spec:
      backoffLimit: 5
      template:
        {{- include "crowdcrunch.setupPod" (list . "setup/src/rotate-keys.ts" "OnFailure") | nindent 8 }}
{{- end }}

{{- define "crowdcrunch.setupPod" -}}
{{- $root := index . 0 }}{{ $script := index . 1 }}{{ $restart := index . 2 -}}
{{- $of := list $root "setup" -}}
{{- $values := $root.Values.setup -}}
{{- $postgres := include "crowdcrunch.postgres" $root | fromYaml -}}
metadata:
  {{- include "crowdcrunch.podMetadata" (dict "root" $root "of" $of) | nindent 2 }}
spec:
  {{- include "crowdcrunch.podSettings" (list $root "setup" 1000) | nindent 2 }}
  restartPolicy: {{ $restart }}
  containers:
    - name: setup
      image: {{ include "crowdcrunch.image" $of }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      command: [node, {{ $script }}]
      env:
        {{- $labels := include "crowdcrunch.selectorLabels" $of | fromYaml | merge (include "crowdcrunch.commonLabels" $of | fromYaml) }}
        {{- $services := list }}
        {{- range include "crowdcrunch.components" $root | fromYamlArray }}
        {{- if eq .kind "service" }}{{ $services = append $services .component }}{{ end }}
        {{- end }}
        {{- $config := dict
          "SECRETS_NAME" (include "crowdcrunch.secretsName" $root)
          "SIGNING_KEY_NAME" (include "crowdcrunch.signingKeyName" $root)
          "JWKS_NAME" (include "crowdcrunch.jwksName" $root)
          "MAKE_SECRETS" (not $root.Values.secrets.existingSecret)
          "MAKE_SIGNING_KEY" (not $root.Values.secrets.existingSigningKey)
          "OWNER_NAME" (include "crowdcrunch.serviceAccountName" $of)
          "LABELS" (toJson $labels)
          "SERVICES" (join "," $services)
          "POSTGRES_HOST" $postgres.host
          "POSTGRES_PORT" $postgres.port
          "POSTGRES_DATABASE" $postgres.database
          "NODE_OPTIONS" (include "crowdcrunch.nodeOptions" $values.resources.limits.memory)
        }}
        {{- if $root.Values.istio.enabled }}
        {{- $_ := set $config "ISTIO_REQUEST_AUTHENTICATION" (include "crowdcrunch.shop" $root) }}
        {{- end }}
        {{- if not $root.Values.postgres.enabled }}
        {{- $_ := set $config "POSTGRES_ADMIN_USER" $root.Values.externalPostgres.adminUser }}
        {{- $_ := set $config "POSTGRES_ADMIN_DATABASE" $root.Values.externalPostgres.adminDatabase }}
        {{- $_ := set $config "POSTGRES_PARAMETERS" $postgres.parameters }}
        {{- end }}
        {{- range $name, $value := $config }}
        - { name: {{ $name }}, value: {{ toString $value | quote }} }
        {{- end }}
        {{- if not $root.Values.postgres.enabled }}
        {{- with $root.Values.externalPostgres.adminPasswordSecret }}
        {{- include "crowdcrunch.secretVariable" (list "POSTGRES_ADMIN_PASSWORD" .name .key) | nindent 8 }}
        {{- end }}
        {{- end }}
      resources:
        {{- toYaml $values.resources | nindent 8 }}
      {{- include "crowdcrunch.containerSecurity" . | nindent 6 }}
      {{- with include "crowdcrunch.volumeMounts" $of | trim }}
      volumeMounts:
        {{- nindent 8 . }}
      {{- end }}
  {{- with include "crowdcrunch.volumes" $of | trim }}
  volumes:
    {{- nindent 4 . }}
  {{- end }}
{{- end }}

{{- /* What it may do: by name wherever there is a name to be given. What is to be created has none yet. */ -}}
{{- define "crowdcrunch.setupRole" -}}
{{- $of := list . "setup" -}}
{{- $secrets := list }}{{ $given := list -}}
{{- if .Values.secrets.existingSecret }}{{ $given = append $given (include "crowdcrunch.secretsName" .) }}{{ else }}{{ $secrets = append $secrets (include "crowdcrunch.secretsName" .) }}{{ end -}}
{{- if .Values.secrets.existingSigningKey }}{{ $given = append $given (include "crowdcrunch.signingKeyName" .) }}{{ else }}{{ $secrets = append $secrets (include "crowdcrunch.signingKeyName" .) }}{{ end -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ include "crowdcrunch.name" $of }}
  labels:
    {{- include "crowdcrunch.labels" $of | nindent 4 }}
rules:
  {{- with $secrets }}
  - { apiGroups: [""], resources: [secrets], resourceNames: {{ toJson . }}, verbs: [get, update, patch] }
  - { apiGroups: [""], resources: [secrets], verbs: [create] }
  {{- end }}
  {{- with $given }}
  - { apiGroups: [""], resources: [secrets], resourceNames: {{ toJson . }}, verbs: [get] }
  {{- end }}
  - { apiGroups: [""], resources: [configmaps], resourceNames: [{{ include "crowdcrunch.jwksName" . }}], verbs: [get, update, patch] }
  - { apiGroups: [""], resources: [configmaps], verbs: [create] }
  # Itself, as the owner of what is to go with the release.
  - { apiGroups: [""], resources: [serviceaccounts], resourceNames: [{{ include "crowdcrunch.serviceAccountName" $of }}], verbs: [get] }
  {{- if .Values.istio.enabled }}
  - { apiGroups: [security.istio.io], resources: [requestauthentications], resourceNames: [{{ include "crowdcrunch.shop" . }}], verbs: [get, update, patch] }
  - { apiGroups: [security.istio.io], resources: [requestauthentications], verbs: [create] }
  {{- end }}
{{- end }}

{{- define "crowdcrunch.setupRoleBinding" -}}
{{- $of := list . "setup" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ include "crowdcrunch.name" $of }}
  labels:
    {{- include "crowdcrunch.labels" $of | nindent 4 }}
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ include "crowdcrunch.name" $of }} }
subjects:
  - { kind: ServiceAccount, name: {{ include "crowdcrunch.serviceAccountName" $of }}, namespace: {{ .Release.Namespace }} }
{{- end }}

{{- /*
What helm test runs: somebody who buys through the gateway. A Pod and no Job, because helm test --logs shows the log of
pods alone; beside a native sidecar it ends as well. Its account comes and goes with it.
*/ -}}
{{- define "crowdcrunch.purchase" -}}
{{- $of := list . "purchase" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "crowdcrunch.serviceAccountName" $of }}
  labels:
    {{- include "crowdcrunch.labels" $of | nindent 4 }}
  annotations:
    helm.sh/hook: test
    helm.sh/hook-weight: "-1"
    helm.sh/hook-delete-policy: before-hook-creation
automountServiceAccountToken: false
---
apiVersion: v1
kind: Pod
metadata:
  name: {{ include "crowdcrunch.name" $of }}
  {{- $metadata := include "crowdcrunch.podMetadata" (dict "root" . "of" $of) | fromYaml }}
  labels:
    {{- toYaml $metadata.labels | nindent 4 }}
  annotations:
    helm.sh/hook: test
    helm.sh/hook-delete-policy: before-hook-creation
    {{- toYaml $metadata.annotations | nindent 4 }}
spec:
  {{- include "crowdcrunch.podSettings" (list . "purchase" 1000) | nindent 2 }}
  restartPolicy: Never
  activeDeadlineSeconds: 120
  containers:
    - name: purchase
      image: {{ include "crowdcrunch.image" $of }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      command: [node, setup/src/purchase.ts]
      env:
        - { name: SHOP_URL, value: {{ include "crowdcrunch.url" (list . "gateway") | quote }} }
        - { name: NODE_OPTIONS, value: {{ include "crowdcrunch.nodeOptions" .Values.setup.resources.limits.memory | quote }} }
      resources:
        {{- toYaml .Values.setup.resources | nindent 8 }}
      {{- include "crowdcrunch.containerSecurity" . | nindent 6 }}
{{- end }}
