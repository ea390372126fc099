-- What a user has to be told, each thing once.

local M = {}

local told = {} ---@type table<string, true> mutated by once() and forget()

---@param message string says what to do
---@param level? integer of vim.log.levels; a warning by default
function M.once(message, level)
  if told[message] then
    return
  end
  told[message] = true
  M.say(message, level)
end

---@param message string
---@param level? integer
function M.say(message, level)
  vim.schedule(function()
    vim.notify('sc2lsp: ' .. message, level or vim.log.levels.WARN)
  end)
end

--- Let everything be told again, after something was mended.
function M.forget()
  told = {}
end

return M
