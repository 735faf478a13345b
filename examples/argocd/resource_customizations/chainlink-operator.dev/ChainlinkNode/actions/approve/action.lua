-- The revision that was shown as waiting, and no later one: the operator compares it.
local status = obj.status or {}
local asks = false
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "ApprovalRequired" then
    asks = condition.status == "True"
  end
end
if not asks or status.observedGeneration ~= obj.metadata.generation then
  error("no change waits for approval", 0)
end
local annotations = obj.metadata.annotations or {}
annotations["chainlink-operator.dev/approved"] = status.operator.wanted.name
obj.metadata.annotations = annotations
return obj
