{{- define "pooler-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The release's name, with the chart's unless it is in it already. */}}
{{- define "pooler-operator.fullname" -}}
{{- $name := include "pooler-operator.name" . }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- default $full .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "pooler-operator.serviceAccountName" -}}
{{- default (include "pooler-operator.fullname" .) .Values.serviceAccount.name }}
{{- end }}

{{- define "pooler-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "pooler-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "pooler-operator.labels" -}}
{{ include "pooler-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* One image reference: (dict "image" .Values.image "tag" "what an empty tag means"). */}}
{{- define "pooler-operator.image" -}}
{{- if .image.digest }}
{{- printf "%s@%s" .image.repository .image.digest }}
{{- else }}
{{- printf "%s:%s" .image.repository (default .tag .image.tag) }}
{{- end }}
{{- end }}

{{/* What the operator may do with objects of a namespace, and why. */}}
{{- define "pooler-operator.rules" -}}
# PoolerConfigs are read only: the operator never writes a spec.
- apiGroups: [pooler.dev]
  resources: [poolerconfigs]
  verbs: [get, list, watch]
- apiGroups: [pooler.dev]
  resources: [poolerconfigs/status]
  verbs: [patch]
# Owner references with blockOwnerDeletion are refused without it where the admission plugin
# OwnerReferencesPermissionEnforcement is on.
- apiGroups: [pooler.dev]
  resources: [poolerconfigs/finalizers]
  verbs: [update]
# Reads the database Secrets and follows their rotation; writes the published Secret, the poolers'
# configuration and their admin login. RBAC can't tell these names apart; watchNamespaces narrows
# where this holds.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch, delete]
# The way in to the poolers, and the headless one of the peers.
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch, delete]
# The poolers' pods are made by StatefulSets with updateStrategy OnDelete ...
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch, delete]
# ... and replaced one by one by the operator, drained, when they are out of date (delete); an
# annotation brings a new configuration to a pod at once instead of in a minute (patch). Before a
# StatefulSet's template changes, the API server is asked by a dry run whether it would take such a
# pod (create); no pod is ever made so.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, patch, delete]
# Made while there is more than one replica.
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
# Made where spec.networkPolicy.enabled is true.
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
# What happened, for kubectl describe.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}
