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

if status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "not looked at yet"}
end
if holds("Stalled") then
  return health("Degraded", "Stalled")
end
if holds("Ready") then
  return health("Healthy", "Ready")
end
return health("Progressing", "Ready")
