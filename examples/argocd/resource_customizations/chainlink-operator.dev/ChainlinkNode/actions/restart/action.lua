obj.spec.restartedAt = "argocd-" .. obj.metadata.resourceVersion
return obj
