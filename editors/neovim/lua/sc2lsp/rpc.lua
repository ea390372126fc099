-- Asking the server of a buffer, in Neovim 0.10 as in later ones.

local notice = require('sc2lsp.notice')

local M = {}

--- The client of a buffer.
---@param bufnr integer
---@return vim.lsp.Client?
function M.client(bufnr)
  return vim.lsp.get_clients({ name = 'sc2lsp', bufnr = bufnr })[1]
end

--- Neovim 0.10 has the methods of a client without self.
---@param client vim.lsp.Client
---@param method 'request'|'notify'|'cancel_request'
local function call(client, method, ...)
  if vim.fn.has('nvim-0.11') == 1 then
    return client[method](client, ...)
  end
  return client[method](...)
end

---@param client vim.lsp.Client
---@param method string
---@param params table
---@param handler lsp.Handler
---@param bufnr integer
---@return integer? request_id nil where the server is gone
function M.request(client, method, params, handler, bufnr)
  local is_sent, id = call(client, 'request', method, params, handler, bufnr)
  return is_sent and id or nil
end

---@param client vim.lsp.Client
---@param request_id integer
function M.cancel(client, request_id)
  call(client, 'cancel_request', request_id)
end

---@param client vim.lsp.Client
---@param method string
---@param params table
function M.notify(client, method, params)
  call(client, 'notify', method, params)
end

--- Have the server run one of its commands; what it refuses is told.
---@param client vim.lsp.Client
---@param command string
---@param arguments any[]
---@param on_result? fun(result: any)
function M.execute(client, command, arguments, on_result)
  local params = { command = command, arguments = arguments }
  M.request(client, 'workspace/executeCommand', params, function(wrong, result)
    if wrong then
      notice.say(wrong.message)
    elseif on_result then
      on_result(result)
    end
  end, 0)
end

return M
