-- :checkhealth sc2lsp: each part of the way to ghost text, and what to do where it is broken.

local keys = require('sc2lsp.keys')
local options = require('sc2lsp.options')
local status = require('sc2lsp.status')

local M = {}

local NEEDED = '0.1.0' -- of the server: the first that these files were written for
local health = vim.health

---@param arguments string[]
---@return vim.SystemCompleted
local function run(arguments)
  return vim.system(options.command(arguments), { text = true, timeout = 30000 }):wait()
end

local function check_neovim()
  local version = tostring(vim.version())
  if vim.fn.has('nvim-0.10') == 1 then
    health.ok('Neovim ' .. version)
  else
    health.error('Neovim ' .. version .. ' is too old', 'Install Neovim 0.10 or later')
  end
end

---@return boolean whether the server can be run
local function check_program()
  local program = options.get().cmd[1]
  local path = vim.fn.exepath(program)
  if path == '' then
    health.error('There is no program ' .. program, {
      'Install the server: `make install` in a clone of its repository puts it into ~/.local/bin',
      'Name it: require("sc2lsp").setup({ cmd = { "/path/to/venv/bin/sc2lsp", "--stdio" } })',
      'Then `:Sc2lsp restart`',
    })
    return false
  end
  local done = run({ '--version' })
  local version = done.stdout:match('%d+%.%d+%.%d+')
  if done.code ~= 0 or not version then
    health.error(('%s --version failed: %s'):format(path, vim.trim(done.stderr)), 'Install the server anew')
    return false
  end
  if vim.version.lt(version, NEEDED) then
    health.error(('%s is sc2lsp %s'):format(path, version), ('Upgrade it to %s or later'):format(NEEDED))
    return false
  end
  health.ok(('sc2lsp %s: %s'):format(version, path))
  return true
end

--- What `sc2lsp doctor` finds: Python, the runtime, models.
local function check_installation()
  local is_json, findings = pcall(vim.json.decode, run({ 'doctor', '--json' }).stdout)
  if not is_json then
    health.warn('sc2lsp doctor found out nothing', 'Run it in a terminal')
    return
  end
  for _, finding in ipairs(findings) do
    local say = ({ ok = health.ok, warn = health.warn })[finding.state] or health.error
    say(('%s: %s'):format(finding.check, finding.found), finding.advice ~= '' and finding.advice or nil)
  end
end

---@param client vim.lsp.Client
local function check_client(client)
  local now = status.of_client(client)
  local say = ({ Error = health.error, Warning = health.warn })[now.kind] or health.info
  health.ok(('Client %d, workspace %s'):format(client.id, client.root_dir or 'none'))
  say('Status: ' .. status.in_words(now))
end

local function check_clients()
  local clients = vim.lsp.get_clients({ name = 'sc2lsp' })
  if #clients == 0 then
    health.warn('No buffer has the server', {
      'Call require("sc2lsp").setup() in your configuration',
      'Open a file whose filetype is set (:set filetype?), then :Sc2lsp restart',
    })
  end
  vim.tbl_map(check_client, clients)
end

local function check_keys()
  for name, key in vim.spairs(options.get().keymaps or {}) do
    local mapped = key and vim.fn.maparg(key, 'i', false, true) or {}
    if key and mapped.desc ~= keys.description(name) then
      local advice = 'Set it up later than what took it, or choose another key in setup({ keymaps = ... })'
      health.warn(('%s of keymaps.%s does something else: %s'):format(key, name, mapped.desc or mapped.rhs or ''), advice)
    end
  end
end

function M.check()
  health.start('sc2lsp')
  check_neovim()
  if check_program() then
    check_installation()
  end
  check_clients()
  check_keys()
end

return M
