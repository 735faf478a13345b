-- The annotation stays: Argo CD can't take away the last one, and the next hibernation overwrites it.
local annotations = obj.metadata.annotations or {}
local wanted = (actionParams or {})["replicas"]
if wanted == nil or wanted == "" then
  wanted = annotations["chainlink-operator.dev/replicas-when-awake"] or "2"
end
local replicas = tonumber(wanted)
if replicas == nil or replicas < 1 or replicas > 9 or replicas % 1 ~= 0 then
  error("replicas is a whole number from 1 to 9, not " .. wanted, 0)
end
obj.spec.replicas = replicas
return obj
