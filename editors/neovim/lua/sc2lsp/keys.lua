-- The keys of insert mode. Where there is nothing to do for us, a key does what it did before.

local accept = require('sc2lsp.accept')
local inline = require('sc2lsp.inline')

local M = {}

---@type table<string, { run: (fun(): boolean), what: string }> by the names of sc2lsp.Keymaps
local ACTIONS = {
  accept = { run = accept.all, what = 'accept the suggestion' },
  accept_word = { run = accept.word, what = 'accept a word' },
  accept_line = { run = accept.line, what = 'accept a line' },
  next = {
    run = function()
      return inline.select(1)
    end,
    what = 'next alternative',
  },
  previous = {
    run = function()
      return inline.select(-1)
    end,
    what = 'previous alternative',
  },
  dismiss = {
    run = function()
      local is_shown = inline.current() ~= nil
      inline.hide()
      return is_shown
    end,
    what = 'dismiss the suggestion',
  },
  trigger = {
    run = function()
      inline.trigger()
      return true
    end,
    what = 'ask for suggestions',
  },
}

---@param keys string
---@param mode string of nvim_feedkeys()
local function feed(keys, mode)
  vim.api.nvim_feedkeys(vim.keycode(keys), mode, false)
end

--- Do what a key did before it was ours.
---@param key string
---@param before table what maparg() says
local function fall_back(key, before)
  if vim.tbl_isempty(before) then
    feed(key, 'in')
    return
  end
  local mode = before.noremap == 1 and 'in' or 'im'
  if before.expr == 1 then
    local result = before.callback and before.callback() or vim.api.nvim_eval(before.rhs)
    feed(result or '', mode)
  elseif before.callback then
    before.callback()
  else
    feed(before.rhs, mode)
  end
end

---@param key string
---@param name string
local function map(key, name)
  local action = ACTIONS[name]
  local before = vim.fn.maparg(key, 'i', false, true)
  if before.desc == M.description(name) then
    return -- ours already: setup() was called again
  end
  vim.keymap.set('i', key, function()
    if not action.run() then
      fall_back(key, before)
    end
  end, { desc = M.description(name) })
end

--- What `:map` shows of one of our keys.
---@param name string
---@return string
function M.description(name)
  return 'sc2lsp: ' .. ACTIONS[name].what
end

---@param keymaps sc2lsp.Keymaps|false
function M.set(keymaps)
  for name, key in pairs(keymaps or {}) do
    if key then
      map(key, name)
    end
  end
end

return M
