-- A text that has not been there before. Two clicks on the same state of the resource are one switchover.
local annotations = obj.metadata.annotations or {}
annotations["chainlink-operator.dev/switchover"] = "argocd-" .. obj.metadata.resourceVersion
-- The place of an earlier one.
annotations["chainlink-operator.dev/switchover-to"] = nil
obj.metadata.annotations = annotations
return obj
