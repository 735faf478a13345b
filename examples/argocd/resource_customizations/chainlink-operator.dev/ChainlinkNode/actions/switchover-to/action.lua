local to = (actionParams or {})["to"]
local standbys = ""
local known = to == "preferred"
for _, pod in ipairs((obj.status or {}).pods or {}) do
  if pod.role == "Standby" then
    standbys = standbys .. " " .. pod.name .. " (on " .. (pod.machine or "no machine") .. ")"
    known = known or to == pod.name or (to ~= nil and to == pod.machine)
  end
end
if not known then
  error("say 'preferred', or the pod or machine of a standby; these wait:" .. standbys, 0)
end
local annotations = obj.metadata.annotations or {}
annotations["chainlink-operator.dev/switchover"] = "argocd-" .. obj.metadata.resourceVersion
annotations["chainlink-operator.dev/switchover-to"] = to
obj.metadata.annotations = annotations
return obj
