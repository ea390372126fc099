-- How completion stands, as the server says it: for a statusline, and told where something is to be done.

local notice = require('sc2lsp.notice')
local rpc = require('sc2lsp.rpc')

local M = {}

---@class sc2lsp.Action the one thing that mends it
---@field title string
---@field command string
---@field arguments? any[]

---@class sc2lsp.Status
---@field kind 'Normal'|'Inactive'|'Warning'|'Error'
---@field message string what is, or why nothing is completed
---@field fix string what would change that
---@field busy boolean
---@field action? sc2lsp.Action

local statuses = {} ---@type table<integer, sc2lsp.Status> by client; mutated by received() and gone()

---@type sc2lsp.Status
local ABSENT = { kind = 'Inactive', message = 'not running', fix = ':checkhealth sc2lsp', busy = false }

local MARKS = { Normal = 'sc2lsp', Inactive = 'sc2lsp off', Warning = 'sc2lsp ?', Error = 'sc2lsp !' }

--- A status in a sentence or two, with what to run.
---@param status sc2lsp.Status
---@return string
function M.in_words(status)
  local parts, action = { status.message }, status.action
  if action and action ~= vim.NIL then -- the answer to a command has its nulls
    table.insert(parts, (':Sc2lsp fix runs "%s"'):format(action.title))
  elseif status.fix ~= '' then
    table.insert(parts, status.fix)
  end
  return table.concat(parts, '. ')
end

local function changed()
  vim.api.nvim_exec_autocmds('User', { pattern = 'Sc2lspStatus', modeline = false })
  vim.cmd.redrawstatus({ bang = true })
end

--- The handler of `$/sc2lsp/status`.
---@type lsp.Handler
function M.received(_, result, context)
  local status = vim.tbl_extend('keep', result, { fix = '', busy = false })
  status.action = status.action ~= vim.NIL and status.action or nil
  statuses[context.client_id] = status
  if status.kind == 'Warning' or status.kind == 'Error' then
    notice.once(M.in_words(status), status.kind == 'Error' and vim.log.levels.ERROR or vim.log.levels.WARN)
  end
  changed()
end

---@param client_id integer
function M.gone(client_id)
  statuses[client_id] = nil
  changed()
end

---@param client vim.lsp.Client?
---@return sc2lsp.Status
function M.of_client(client)
  return client and statuses[client.id] or ABSENT
end

--- Of the server of a buffer.
---@param bufnr? integer the current one by default
---@return sc2lsp.Status
function M.of(bufnr)
  return M.of_client(rpc.client(bufnr or 0))
end

--- A word for a statusline: "sc2lsp" and whether it is off, waits ("...") or wants something ("?", "!").
---@return string
function M.line()
  local status = M.of()
  return status.busy and 'sc2lsp ...' or MARKS[status.kind]
end

return M
