-- Conditions and their reasons are listed in docs/reasons.md.
local status = obj.status or {}
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local function holds(name)
  return conditions[name] ~= nil and conditions[name].status == "True"
end

local function health(word, name)
  local condition = conditions[name] or {}
  return {status = word, message = condition.message or "not looked at yet"}
end

local state = obj.spec.state or "Run"
if state ~= "Run" then
  return {status = "Suspended", message = "state: " .. state}
end
if status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "Reconciling")
end
if holds("Stalled") then
  return health("Degraded", "Stalled")
end
if holds("Paused") then
  -- Halted is somebody's decision; the other reason is that too many routers were lost.
  return health(conditions.Paused.reason == "Halted" and "Suspended" or "Degraded", "Paused")
end
if holds("Reconciling") and status.phase == "Waiting" then
  local counts = status.counts or {}
  local absent = (counts.offline or 0) + (counts.quarantined or 0) + (counts.unknown or 0)
  if absent == 0 then
    return health("Progressing", "Reconciling")
  end
  -- Only routers that do not answer are left: that may take weeks.
  return holds("Degraded") and health("Degraded", "Degraded") or health("Healthy", "Converged")
end
if holds("Reconciling") then
  return health("Progressing", "Reconciling")
end
if holds("Ready") then
  return health("Healthy", "Converged")
end
return health("Progressing", "Ready")
