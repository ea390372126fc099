-- What a user may set, checked once. Knows neither the server nor a buffer.

local M = {}

---@class sc2lsp.Keymaps keys of insert mode; false leaves one out
---@field accept string|false the whole suggestion
---@field accept_word string|false
---@field accept_line string|false
---@field next string|false the next alternative
---@field previous string|false
---@field dismiss string|false
---@field trigger string|false ask now, for alternatives too

---@class sc2lsp.Options
---@field cmd string[] starts the server
---@field filetypes string[]? nil is all
---@field settings table<string, any> of the server: |sc2lsp-settings|
---@field keymaps sc2lsp.Keymaps|false

---@type sc2lsp.Options
local defaults = {
  cmd = { 'sc2lsp', '--stdio' },
  filetypes = nil,
  settings = {},
  keymaps = {
    accept = '<Tab>',
    accept_word = '<M-Right>',
    accept_line = '<M-Down>',
    next = '<M-]>',
    previous = '<M-[>',
    dismiss = '<C-]>',
    trigger = '<M-\\>',
  },
}

---@type table<string, fun(value: any): boolean>
local is_right = {
  cmd = function(value)
    return vim.islist(value) and type(value[1]) == 'string'
  end,
  filetypes = vim.islist,
  settings = function(value)
    return type(value) == 'table' and (next(value) == nil or not vim.islist(value))
  end,
  keymaps = function(value)
    return value == false or type(value) == 'table'
  end,
}

local current = defaults ---@type sc2lsp.Options mutated by set()

---@return sc2lsp.Options
function M.get()
  return current
end

--- A command line of the server's program other than the server.
---@param arguments string[]
---@return string[]
function M.command(arguments)
  local program = vim.tbl_filter(function(word)
    return word ~= '--stdio'
  end, current.cmd)
  return vim.list_extend(program, arguments)
end

---@param given table
---@param known table
---@param where string
---@return string[] problems
local function unknown(given, known, where)
  local names = vim.tbl_keys(known)
  table.sort(names)
  local problems = {}
  for name in pairs(given) do
    if known[name] == nil then
      local list = table.concat(names, ', ')
      table.insert(problems, ('%s has no option "%s"; there are %s'):format(where, name, list))
    end
  end
  return problems
end

---@param given table
---@return sc2lsp.Keymaps
local function keymaps_of(given)
  local keymaps = {}
  for name, key in pairs(defaults.keymaps) do
    keymaps[name] = vim.F.if_nil(given[name], key)
  end
  return keymaps
end

--- Options over the defaults; what cannot be used is left out of them.
---@param given table<string, any>
---@return string[] problems one sentence each
function M.set(given)
  local problems = unknown(given, is_right, 'setup()')
  local usable = {}
  for name, check in pairs(is_right) do
    if given[name] ~= nil and check(given[name]) then
      usable[name] = given[name]
    elseif given[name] ~= nil then
      table.insert(problems, ('setup(): %s cannot be %s; :help sc2lsp.setup()'):format(name, vim.inspect(given[name])))
    end
  end
  if usable.keymaps then
    vim.list_extend(problems, unknown(usable.keymaps, defaults.keymaps, 'keymaps'))
  end
  current = vim.tbl_extend('force', defaults, usable)
  current.keymaps = usable.keymaps ~= false and keymaps_of(usable.keymaps or {})
  return problems
end

return M
