{{- /* Postgres and Kafka of the shop's own: one pod each, with a volume that outlives the release. */ -}}

{{- /* (list root component): everything but the container, which is a template of its own. */ -}}
{{- define "crowdcrunch.store" -}}
{{- $root := index . 0 }}{{ $component := index . 1 -}}
{{- $values := include "crowdcrunch.values" . | fromYaml -}}
{{ include "crowdcrunch.serviceAccount" . }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ include "crowdcrunch.name" . }}
  labels:
    {{- include "crowdcrunch.labels" . | nindent 4 }}
spec:
  selector:
    {{- include "crowdcrunch.selectorLabels" . | nindent 4 }}
  ports:
    - { name: tcp-{{ $component }}, port: {{ int $values.port }}, targetPort: tcp-{{ $component }} }
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ include "crowdcrunch.name" . }}
  labels:
    {{- include "crowdcrunch.labels" . | nindent 4 }}
spec:
  serviceName: {{ include "crowdcrunch.name" . }}
  replicas: 1
  revisionHistoryLimit: 5
  persistentVolumeClaimRetentionPolicy: { whenDeleted: Retain, whenScaled: Retain }
  selector:
    matchLabels:
      {{- include "crowdcrunch.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      {{- include "crowdcrunch.podMetadata" (dict "root" $root "of" .) | nindent 6 }}
    spec:
      {{- include "crowdcrunch.podSettings" (list $root $component (ternary 999 1000 (eq $component "postgres"))) | nindent 6 }}
      terminationGracePeriodSeconds: 60
      containers:
        - name: {{ $component }}
          image: {{ include "crowdcrunch.image" . }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          ports:
            - { name: tcp-{{ $component }}, containerPort: {{ int $values.port }} }
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          {{- include "crowdcrunch.containerSecurity" . | nindent 10 }}
          {{- include (printf "crowdcrunch.%sContainer" $component) (list $root $values) | nindent 10 }}
      volumes:
        {{- range ternary (list "run" "tmp") (list "config" "logs" "tmp") (eq $component "postgres") }}
        - { name: {{ . }}, emptyDir: { sizeLimit: 64Mi } }
        {{- end }}
  # Without the labels that change with each release: a claim's template cannot be changed.
  volumeClaimTemplates:
    - apiVersion: v1
      kind: PersistentVolumeClaim
      metadata:
        name: data
        labels:
          {{- include "crowdcrunch.selectorLabels" . | nindent 10 }}
      spec:
        accessModes: [ReadWriteOnce]
        {{- with $values.persistence.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources: { requests: { storage: {{ $values.persistence.size }} } }
{{- end }}

{{- /* The image ends it fast and cleanly by the signal that it asks for, SIGINT. */ -}}
{{- define "crowdcrunch.postgresContainer" -}}
{{- $root := index . 0 }}{{ $values := index . 1 -}}
args:
  {{- range $name, $value := $values.settings }}
  - -c
  - {{ printf "%s=%s" $name (toString $value) | quote }}
  {{- end }}
env:
  {{- include "crowdcrunch.secretVariable" (list "POSTGRES_PASSWORD" (include "crowdcrunch.secretsName" $root) "postgres-password") | nindent 2 }}
  # The same order of text everywhere, whatever the image's system thinks of it.
  - { name: POSTGRES_INITDB_ARGS, value: --encoding=UTF8 --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8 }
# Not at the socket: while the data folder is made, a server answers there that will not stay.
startupProbe:
  exec: { command: [pg_isready, --host=127.0.0.1, --username=postgres, --dbname=postgres] }
  periodSeconds: 1
  timeoutSeconds: 5
  # It may have to replay its log: half an hour.
  failureThreshold: 1800
readinessProbe:
  exec: { command: [pg_isready, --host=127.0.0.1, --username=postgres, --dbname=postgres] }
  periodSeconds: 5
  timeoutSeconds: 5
livenessProbe:
  tcpSocket: { port: tcp-postgres }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
volumeMounts:
  - { name: data, mountPath: /var/lib/postgresql }
  - { name: run, mountPath: /var/run/postgresql }
  - { name: tmp, mountPath: /tmp }
{{- end }}

{{- /*
Broker and controller in one. With any KAFKA_ variable the image takes none of its own settings, so all of them stand here.
They are those of the laptop's broker (tools/kafka/server.ts). LOCAL is for its tools inside the pod, which as callers of
the Service no policy lets in.
*/ -}}
{{- define "crowdcrunch.kafkaContainer" -}}
{{- $root := index . 0 }}{{ $values := index . 1 -}}
{{- $port := int $values.port -}}
env:
  {{- $settings := dict
    "NODE_ID" "1"
    "PROCESS_ROLES" "broker,controller"
    "CONTROLLER_QUORUM_VOTERS" "1@localhost:9093"
    "CONTROLLER_LISTENER_NAMES" "CONTROLLER"
    "INTER_BROKER_LISTENER_NAME" "PLAINTEXT"
    "LISTENERS" (printf "PLAINTEXT://:%d,LOCAL://localhost:9094,CONTROLLER://localhost:9093" $port)
    "ADVERTISED_LISTENERS" (printf "PLAINTEXT://%s:%d,LOCAL://localhost:9094" (include "crowdcrunch.name" (list $root "kafka")) $port)
    "LISTENER_SECURITY_PROTOCOL_MAP" "PLAINTEXT:PLAINTEXT,LOCAL:PLAINTEXT,CONTROLLER:PLAINTEXT"
    "LOG_DIRS" "/var/lib/kafka/data/log"
    "OFFSETS_TOPIC_REPLICATION_FACTOR" "1"
    "OFFSETS_TOPIC_NUM_PARTITIONS" "4"
    "TRANSACTION_STATE_LOG_REPLICATION_FACTOR" "1"
    "TRANSACTION_STATE_LOG_MIN_ISR" "1"
    "TRANSACTION_STATE_LOG_NUM_PARTITIONS" "4"
    "OFFSETS_RETENTION_MINUTES" "525600"
    "AUTO_CREATE_TOPICS_ENABLE" "false"
    "GROUP_INITIAL_REBALANCE_DELAY_MS" "0"
    "GROUP_MIN_SESSION_TIMEOUT_MS" "1000"
    "BROKER_SESSION_TIMEOUT_MS" "2000"
    "BROKER_HEARTBEAT_INTERVAL_MS" "500"
    "LOG_CLEANER_DEDUPE_BUFFER_SIZE" "2097152"
    "NUM_NETWORK_THREADS" "2"
    "NUM_IO_THREADS" "4"
    "HEAP_OPTS" (printf "-Xms%s -Xmx%s -XX:MaxDirectMemorySize=64m -XX:+ExitOnOutOfMemoryError" $values.heap $values.heap)
  }}
  {{- range $name, $value := $settings }}
  - { name: KAFKA_{{ $name }}, value: {{ $value | quote }} }
  {{- end }}
startupProbe:
  tcpSocket: { port: tcp-kafka }
  periodSeconds: 1
  timeoutSeconds: 5
  failureThreshold: 600
readinessProbe:
  tcpSocket: { port: tcp-kafka }
  periodSeconds: 5
  timeoutSeconds: 5
livenessProbe:
  tcpSocket: { port: tcp-kafka }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
volumeMounts:
  - { name: data, mountPath: /var/lib/kafka/data }
  # Where the image writes its settings, and the collector of garbage what it did.
  - { name: config, mountPath: /opt/kafka/config }
  - { name: logs, mountPath: /opt/kafka/logs }
  - { name: tmp, mountPath: /tmp }
{{- end }}
