{{- /*
The program `setup`: makes the secrets and keys that are missing, waits for Postgres, and makes roles, schemas and event
log. What it makes outlives the release, like the volumes; so none of it is rendered here.
*/ -}}

{{- define "crowdcrunch.setupJob" -}}
{{- $pod := include "crowdcrunch.setupPod" (list . "setup" "setup/src/main.ts" (include "crowdcrunch.setupVariables" .)) -}}
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
        {{- include "crowdcrunch.setupPod" (list . "rotate-keys" "setup/src/rotate-keys.ts" (include "crowdcrunch.keyVariables" .)) | nindent 8 }}
{{- end }}

{{- /* What both the Job and the rotation of keys are told. */ -}}
{{- define "crowdcrunch.keyVariables" -}}
{{- $of := list . "setup" -}}
{{- $labels := merge (include "crowdcrunch.selectorLabels" $of | fromYaml) (include "crowdcrunch.commonLabels" $of | fromYaml) -}}
- { name: SIGNING_KEY_NAME, value: {{ include "crowdcrunch.signingKeyName" . | quote }} }
- { name: MAKE_SIGNING_KEY, value: {{ not .Values.secrets.existingSigningKey | quote }} }
- { name: JWKS_NAME, value: {{ include "crowdcrunch.jwksName" . | quote }} }
- { name: OWNER_NAME, value: {{ include "crowdcrunch.serviceAccountName" $of | quote }} }
- { name: LABELS, value: {{ toJson $labels | quote }} }
{{- if .Values.istio.enabled }}
- { name: ISTIO_REQUEST_AUTHENTICATION, value: {{ include "crowdcrunch.shop" . | quote }} }
- { name: ISTIO_SELECTOR_LABELS, value: {{ include "crowdcrunch.accessTokenLabels" . | fromYaml | toJson | quote }} }
{{- end }}
{{- end }}

{{- define "crowdcrunch.setupVariables" -}}
{{- $postgres := include "crowdcrunch.postgres" . | fromYaml -}}
{{- $services := list -}}
{{- range include "crowdcrunch.components" . | fromYamlArray }}
{{- if eq .kind "service" }}{{ $services = append $services .component }}{{ end }}
{{- end -}}
{{ include "crowdcrunch.keyVariables" . }}
- { name: SECRETS_NAME, value: {{ include "crowdcrunch.secretsName" . | quote }} }
- { name: MAKE_SECRETS, value: {{ not .Values.secrets.existingSecret | quote }} }
- { name: SERVICES, value: {{ join "," $services | quote }} }
- { name: POSTGRES_HOST, value: {{ $postgres.host | quote }} }
- { name: POSTGRES_PORT, value: {{ $postgres.port | quote }} }
- { name: POSTGRES_DATABASE, value: {{ $postgres.database | quote }} }
{{- if not .Values.postgres.enabled }}
{{- with .Values.externalPostgres }}
- { name: POSTGRES_PARAMETERS, value: {{ $postgres.parameters | quote }} }
- { name: POSTGRES_ADMIN_USER, value: {{ .adminUser | quote }} }
- { name: POSTGRES_ADMIN_DATABASE, value: {{ .adminDatabase | quote }} }
{{ include "crowdcrunch.secretVariable" (list "POSTGRES_ADMIN_PASSWORD" .adminPasswordSecret.name .adminPasswordSecret.key) }}
{{- end }}
{{- end }}
{{- /* With events on Kafka it closes the log in Postgres, so that nobody writes to the wrong one. */}}
{{- with (include "crowdcrunch.eventLog" . | fromYaml).KAFKA_BROKERS }}
- { name: KAFKA_BROKERS, value: {{ . | quote }} }
{{- end }}
{{- end }}

{{- /* (list root container script variables) */ -}}
{{- define "crowdcrunch.setupPod" -}}
{{- $root := index . 0 }}{{ $of := list $root "setup" }}{{ $values := $root.Values.setup -}}
metadata:
  {{- include "crowdcrunch.podMetadata" (dict "root" $root "of" $of "container" (index . 1)) | nindent 2 }}
spec:
  {{- include "crowdcrunch.podSettings" (list $root "setup" 1000) | nindent 2 }}
  restartPolicy: OnFailure
  containers:
    - name: {{ index . 1 }}
      image: {{ include "crowdcrunch.image" $of }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      command: [node, {{ index . 2 }}]
      env:
        - { name: NODE_OPTIONS, value: {{ include "crowdcrunch.nodeOptions" $values.resources.limits.memory | quote }} }
        {{- index . 3 | nindent 8 }}
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
  - { apiGroups: [""], resources: [secrets], resourceNames: {{ toJson . }}, verbs: [get, patch] }
  - { apiGroups: [""], resources: [secrets], verbs: [create] }
  {{- end }}
  {{- with $given }}
  - { apiGroups: [""], resources: [secrets], resourceNames: {{ toJson . }}, verbs: [get] }
  {{- end }}
  - { apiGroups: [""], resources: [configmaps], resourceNames: [{{ include "crowdcrunch.jwksName" . }}], verbs: [get, patch, delete] }
  - { apiGroups: [""], resources: [configmaps], verbs: [create] }
  # Itself, as the owner of what is to go with the release.
  - { apiGroups: [""], resources: [serviceaccounts], resourceNames: [{{ include "crowdcrunch.serviceAccountName" $of }}], verbs: [get] }
  {{- if .Values.istio.enabled }}
  - { apiGroups: [security.istio.io], resources: [requestauthentications], resourceNames: [{{ include "crowdcrunch.shop" . }}], verbs: [get, patch, delete] }
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
pods alone; beside a native sidecar it ends as well. Helm uninstall leaves a test's pod, so it goes once it has bought;
helm 3 would remove it before it shows its log, and keeps it.
*/ -}}
{{- define "crowdcrunch.purchase" -}}
{{- $of := list . "purchase" -}}
apiVersion: v1
kind: Pod
metadata:
  name: {{ include "crowdcrunch.name" $of }}
  {{- $metadata := include "crowdcrunch.podMetadata" (dict "root" . "of" $of) | fromYaml }}
  labels:
    {{- toYaml $metadata.labels | nindent 4 }}
  annotations:
    helm.sh/hook: test
    helm.sh/hook-delete-policy: before-hook-creation{{ if semverCompare ">=4.0.0-0" .Capabilities.HelmVersion.Version }},hook-succeeded{{ end }}
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
