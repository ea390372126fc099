-- Inline completion by the language server sc2lsp: ghost text, and keys to take it. See :help sc2lsp.

local M = {}

--- Where text is typed in a buffer with our client, keep what is shown up to date.
---@param bufnr integer
local function watch(bufnr)
  local inline = require('sc2lsp.inline')
  local group = vim.api.nvim_create_augroup('sc2lsp.buffer.' .. bufnr, {})
  local typing = { 'InsertEnter', 'TextChangedI', 'CursorMovedI', 'TextChangedP' }
  vim.api.nvim_create_autocmd(typing, { group = group, buffer = bufnr, callback = inline.update })
  local after_menu = vim.schedule_wrap(inline.update) -- which is still open then
  vim.api.nvim_create_autocmd('CompleteDone', { group = group, buffer = bufnr, callback = after_menu })
  vim.api.nvim_create_autocmd({ 'InsertLeave', 'BufLeave' }, { group = group, buffer = bufnr, callback = inline.hide })
end

--- The server came, or stands otherwise than before: show what that means for the buffer that is typed in.
local function refresh()
  local inline = require('sc2lsp.inline')
  if require('sc2lsp.status').of().kind == 'Inactive' then
    inline.hide()
  elseif inline.is_wanted() and not inline.current() then
    inline.update()
  end
end

---@param client_id integer
---@param bufnr integer
local function attached(client_id, bufnr)
  local client = vim.lsp.get_client_by_id(client_id)
  if not client or client.name ~= 'sc2lsp' then
    return
  end
  if vim.lsp.inline_completion then -- the same suggestions would be drawn twice
    vim.lsp.inline_completion.enable(false, { client_id = client_id })
  end
  watch(bufnr)
  refresh()
end

local function follow()
  local group = vim.api.nvim_create_augroup('sc2lsp', {})
  vim.api.nvim_create_autocmd('LspAttach', {
    group = group,
    callback = function(event)
      attached(event.data.client_id, event.buf)
    end,
  })
  vim.api.nvim_create_autocmd('User', { group = group, pattern = 'Sc2lspStatus', callback = refresh })
end

--- Start completing.
---@param given? table sc2lsp.Options, each over its default
function M.setup(given)
  local notice, options = require('sc2lsp.notice'), require('sc2lsp.options')
  if vim.fn.has('nvim-0.10') == 0 then
    notice.once('Neovim 0.10 or later is needed', vim.log.levels.ERROR)
    return
  end
  local problems = options.set(given or {})
  require('sc2lsp.ghost').define_highlights()
  require('sc2lsp.keys').set(options.get().keymaps)
  follow()
  require('sc2lsp.client').start()
  for _, problem in ipairs(problems) do
    notice.once(problem, vim.log.levels.ERROR)
  end
end

--- A word for a statusline; more in require('sc2lsp.status').of().
---@return string
function M.status()
  return require('sc2lsp.status').line()
end

-- For keys of one's own; each says whether there was a suggestion.

---@return boolean
function M.accept()
  return require('sc2lsp.accept').all()
end

---@return boolean
function M.accept_word()
  return require('sc2lsp.accept').word()
end

---@return boolean
function M.accept_line()
  return require('sc2lsp.accept').line()
end

return M
