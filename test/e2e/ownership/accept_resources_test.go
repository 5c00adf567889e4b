package ownership

// customResources are a Thing, with every kind of structure and in two versions, a Loose, whose schema says
// nothing, and a Morph, whose schema changes in a test; and what the users of these tests may do.
const customResources = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Thing, plural: things}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
    schema: {openAPIV3Schema: ` + thingSchema + `}
  - name: v2
    served: true
    storage: false
    subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
    schema: {openAPIV3Schema: ` + thingSchema + `}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: looses.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Loose, plural: looses}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: morphs.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Morph, plural: morphs}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: ` + morphSchema + `}
  - name: v1alpha1
    served: true
    storage: false
    schema: {openAPIV3Schema: ` + morphSchema + `}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: ownership-editors}
rules:
- {apiGroups: [apps], resources: [deployments, deployments/scale], verbs: [get, create, update, patch]}
- {apiGroups: [example.com], resources: ["*"], verbs: [get, create, update, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: ownership-editors}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: ownership-editors}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: ownership-editors}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: ownership-forcers}
rules:
- {apiGroups: [apps], resources: [deployments], verbs: [force-conflicts]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: ownership-forcers}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: ownership-forcers}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: ownership-forcers}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: ownership-forcers-of-more}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: sluice-forcer}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: ownership-forcers}]
`

const thingSchema = `{type: object, properties: {
  status: {type: object, x-kubernetes-preserve-unknown-fields: true},
  spec: {type: object, properties: {
    replicas: {type: integer},
    text: {type: string},
    list: {type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [name], items: {type: object, required: [name],
      properties: {name: {type: string}, value: {type: integer}}}},
    set: {type: array, x-kubernetes-list-type: set, items: {type: string}},
    atomicList: {type: array, x-kubernetes-list-type: atomic, items: {type: string}},
    atomicMap: {type: object, x-kubernetes-map-type: atomic, additionalProperties: {type: string}},
    atomicStruct: {type: object, x-kubernetes-map-type: atomic, properties: {number: {type: integer}, word: {type: string}}},
    struct: {type: object, properties: {number: {type: integer}, word: {type: string}}},
    mapOfLists: {type: object, additionalProperties: {type: array, x-kubernetes-list-type: set, items: {type: string}}},
    mapOfMaps: {type: object, additionalProperties: {type: object, additionalProperties: {type: string}}},
    listOfLists: {type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [name], items: {type: object, required: [name],
      properties: {name: {type: string}, values: {type: array, x-kubernetes-list-type: set, items: {type: string}}}}},
    free: {type: object, x-kubernetes-preserve-unknown-fields: true}}}}}`

const morphSchema = `{type: object, properties: {spec: {type: object, properties: {
  text: {type: string},
  turnsAtomic: {type: object, x-kubernetes-map-type: granular, properties: {number: {type: integer}, word: {type: string}}},
  turnsGranular: {type: object, x-kubernetes-map-type: atomic, properties: {number: {type: integer}, word: {type: string}}}}}}}`
