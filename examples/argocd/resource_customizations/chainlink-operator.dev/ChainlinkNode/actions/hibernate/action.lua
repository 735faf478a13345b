if obj.spec.replicas ~= 0 then
  local annotations = obj.metadata.annotations or {}
  annotations["chainlink-operator.dev/replicas-when-awake"] = tostring(obj.spec.replicas or 2)
  obj.metadata.annotations = annotations
end
obj.spec.replicas = 0
return obj
