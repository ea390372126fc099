-- The server's process: started, and started again after a crash, but not for ever. Knows no buffers.

local notice = require('sc2lsp.notice')

local M = {}

local MOST_CRASHES = 5 -- then it stays down ...
local CRASH_SECONDS = 180 -- ... where they came in so short a time
local RESTART_MS = 500

local crashes = {} ---@type integer[] times; mutated by crashed() and forgive()

---@param code integer
---@param signal integer
---@param again fun()
local function crashed(code, signal, again)
  local now = os.time()
  crashes = vim.tbl_filter(function(time)
    return now - time < CRASH_SECONDS
  end, crashes)
  table.insert(crashes, now)
  if #crashes < MOST_CRASHES then
    vim.defer_fn(again, RESTART_MS)
    return
  end
  local what = signal ~= 0 and 'signal ' .. signal or 'status ' .. code
  local told = ('the server ended %d times (%s): see :Sc2lsp log, then :Sc2lsp restart'):format(#crashes, what)
  notice.once(told, vim.log.levels.ERROR)
end

--- A `cmd` of vim.lsp.config(). Neovim hears of a clean end only, for it would warn of every other one itself.
---@param cmd string[]
---@param again fun() starts it again
---@return fun(dispatchers: vim.lsp.rpc.Dispatchers): vim.lsp.rpc.PublicClient
function M.spawning(cmd, again)
  return function(dispatchers)
    local on_exit = dispatchers.on_exit
    local quiet = vim.tbl_extend('force', dispatchers, {
      on_exit = vim.schedule_wrap(function(code, signal)
        on_exit(0, 0)
        local is_wanted = code == 0 and signal == 0 or signal == 15 or vim.v.exiting ~= vim.NIL
        if not is_wanted then
          crashed(code, signal, again)
        end
      end),
    })
    return vim.lsp.rpc.start(cmd, quiet)
  end
end

--- Whether the program is there; else what to do is told.
---@param cmd string[]
---@return boolean
function M.is_there(cmd)
  if vim.fn.executable(cmd[1]) == 1 then
    return true
  end
  -- Short: a message longer than the screen would have to be confirmed.
  notice.once(('there is no program %s: see :checkhealth sc2lsp'):format(cmd[1]))
  return false
end

--- Past crashes count no more.
function M.forgive()
  crashes = {}
end

return M
