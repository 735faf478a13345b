local status = obj.status or {}
local annotations = obj.metadata.annotations or {}
local seen = {}
for _, condition in ipairs(status.conditions or {}) do
  seen[condition.type] = condition.status == "True"
end

local standby = nil
for _, pod in ipairs(status.pods or {}) do
  if pod.role == "Standby" and standby == nil then
    standby = pod.name
  end
end
local current = status.observedGeneration == obj.metadata.generation
local sleeps = obj.spec.replicas == 0
local paused = obj.spec.paused == true
-- The operator would refuse another one, or make it after the one under way.
local moves = status.handover ~= nil
local no_switchover = standby == nil or moves or paused or sleeps

local actions = {}
actions["switchover"] = {
  ["displayName"] = "Hand over to a standby",
  ["iconClass"] = "fa fa-fw fa-exchange-alt",
  ["disabled"] = no_switchover
}
actions["switchover-to"] = {
  ["displayName"] = "Hand over to a pod or machine",
  ["iconClass"] = "fa fa-fw fa-crosshairs",
  ["disabled"] = no_switchover,
  ["params"] = {{["name"] = "to", ["default"] = standby or ""}}
}
actions["approve"] = {
  ["displayName"] = "Approve the change that waits",
  ["iconClass"] = "fa fa-fw fa-check",
  ["disabled"] = not (seen["ApprovalRequired"] and current)
}
actions["pause"] = {
  ["displayName"] = "Pause what is planned",
  ["iconClass"] = "fa fa-fw fa-pause",
  ["disabled"] = paused
}
actions["resume"] = {
  ["displayName"] = "Resume",
  ["iconClass"] = "fa fa-fw fa-play",
  ["disabled"] = not paused
}
actions["hibernate"] = {
  ["displayName"] = "Stop the node (hibernate)",
  ["iconClass"] = "fa fa-fw fa-moon",
  ["disabled"] = sleeps
}
actions["wake"] = {
  ["displayName"] = "Start the node again",
  ["iconClass"] = "fa fa-fw fa-sun",
  ["disabled"] = not sleeps,
  ["params"] = {
    {["name"] = "replicas", ["default"] = annotations["chainlink-operator.dev/replicas-when-awake"] or "2"}
  }
}
actions["restart"] = {
  ["displayName"] = "Replace the pods by handover",
  ["iconClass"] = "fa fa-fw fa-redo",
  ["disabled"] = sleeps
}
return actions
