-- Health of a ChainlinkNode, by the conditions that its operator writes. Needs none of Lua's libraries.
local status = obj.status or {}
local seen = {}
for _, condition in ipairs(status.conditions or {}) do
  seen[condition.type] = condition
end

local function is(kind)
  return seen[kind] ~= nil and seen[kind].status == "True"
end

local ready = seen["Ready"] or {}

if obj.metadata.deletionTimestamp ~= nil then
  return {status = "Progressing", message = "it is being deleted"}
end
if (status.observedGeneration or -1) < (obj.metadata.generation or 0) then
  return {status = "Progressing", message = "the operator has not looked at this spec yet"}
end
if is("Stalled") then
  return {status = "Degraded", message = seen["Stalled"].message}
end
if is("Ready") then
  -- The node works, and what is to come waits for a person or for its time.
  if is("ChangePending") then
    return {status = "Suspended", message = seen["ChangePending"].message}
  end
  if is("Paused") then
    return {status = "Suspended", message = "paused: " .. ready.message}
  end
  return {status = "Healthy", message = ready.message}
end
-- Nothing was made, and nothing is before a person ends the pause. Later a pause is no rest: what is lost is repaired.
if is("Paused") and ready.reason == "Paused" and #(status.pods or {}) == 0 then
  return {status = "Suspended", message = ready.message}
end
return {status = "Progressing", message = ready.message or ""}
