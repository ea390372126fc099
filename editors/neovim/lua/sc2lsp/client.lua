-- How the language server's client is configured, and which buffers get it.

local notice = require('sc2lsp.notice')
local options = require('sc2lsp.options')
local process = require('sc2lsp.process')
local status = require('sc2lsp.status')

local M = {}

local NAME = 'sc2lsp'
local ROOTS = { '.git', '.hg', '.jj' }
local PROJECTS = { 'pyproject.toml', 'setup.py', 'package.json', 'go.mod', 'Cargo.toml', 'pom.xml' }

---@return lsp.ClientCapabilities
local function capabilities()
  return vim.tbl_deep_extend('force', vim.lsp.protocol.make_client_capabilities(), {
    general = { positionEncodings = { 'utf-8' } }, -- Neovim's own columns
    textDocument = { inlineCompletion = { dynamicRegistration = false } },
    experimental = { sc2lsp = { status = true } },
  })
end

--- Give a buffer's workspace to `on_dir`; a buffer that is no file gets no client.
---@param bufnr integer
---@param on_dir fun(root: string?)
local function root_dir(bufnr, on_dir)
  if vim.bo[bufnr].buftype == '' then
    on_dir(vim.fs.root(bufnr, ROOTS) or vim.fs.root(bufnr, PROJECTS))
  end
end

--- For vim.lsp.config() and vim.lsp.start().
---@return table
function M.config()
  local chosen = options.get()
  return {
    name = NAME,
    cmd = process.spawning(chosen.cmd, M.attach),
    filetypes = chosen.filetypes,
    root_dir = root_dir,
    init_options = next(chosen.settings) and chosen.settings or vim.empty_dict(),
    capabilities = capabilities(),
    handlers = { ['$/sc2lsp/status'] = status.received },
    on_exit = vim.schedule_wrap(function(_, _, client_id)
      status.gone(client_id)
    end),
  }
end

--- What vim.lsp.enable() does, for Neovim 0.10.
---@param bufnr integer
local function attach_by_hand(bufnr)
  local config = M.config()
  local filetype = vim.bo[bufnr].filetype
  if filetype == '' or config.filetypes and not vim.list_contains(config.filetypes, filetype) then
    return
  end
  root_dir(bufnr, function(root)
    config.root_dir = root
    vim.lsp.start(config, { bufnr = bufnr })
  end)
end

--- Give every buffer that has none its client, and those that are opened later.
function M.attach()
  if vim.lsp.enable then
    vim.lsp.enable(NAME)
    return
  end
  vim.api.nvim_create_autocmd('FileType', {
    group = vim.api.nvim_create_augroup('sc2lsp.attach', {}),
    callback = function(event)
      attach_by_hand(event.buf)
    end,
  })
  for _, bufnr in ipairs(vim.tbl_filter(vim.api.nvim_buf_is_loaded, vim.api.nvim_list_bufs())) do
    attach_by_hand(bufnr)
  end
end

--- Start the server, or say why it cannot be.
function M.start()
  process.forgive()
  notice.forget()
  if not process.is_there(options.get().cmd) then
    return
  end
  if vim.lsp.enable then
    vim.lsp.config(NAME, M.config())
  end
  M.attach()
end

return M
