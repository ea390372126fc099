-- Taking a suggestion: the whole, a word or a line of it. The server is told.

local inline = require('sc2lsp.inline')
local rpc = require('sc2lsp.rpc')
local suggestion = require('sc2lsp.suggestion')

local M = {}

--- Insert a beginning of what is left, in place of what of the line comes in it again; one undo takes it back.
---@param bufnr integer
---@param rest sc2lsp.Rest
---@param part string
local function insert(bufnr, rest, part)
  local cursor = vim.api.nvim_win_get_cursor(0)
  local row, column = cursor[1] - 1, cursor[2]
  local lengths = vim.tbl_map(string.len, vim.fn.split(rest.replaced, '\\zs'))
  local last = column
  for index, place in ipairs(suggestion.places(rest.text, rest.replaced) or {}) do
    last = place <= #part and last + lengths[index] or last
  end
  local lines = vim.split(part, '\n', { plain = true })
  vim.cmd('let &g:undolevels = &g:undolevels') -- ends the undo block of what was typed
  vim.api.nvim_buf_set_text(bufnr, row, column, row, last, lines)
  local before = #lines == 1 and column or 0
  vim.api.nvim_win_set_cursor(0, { row + #lines, before + #lines[#lines] })
end

--- Take all of it.
---@return boolean whether there was a suggestion
function M.all()
  local shown, chosen, rest = inline.current()
  if not (shown and chosen and rest) then
    return false
  end
  inline.hide()
  insert(shown.bufnr, rest, rest.text)
  local command = chosen.item.command
  if command then
    rpc.execute(shown.client, command.command, command.arguments or {})
  end
  return true
end

---@param unit 'word'|'line'
---@param first fun(text: string): string
---@return boolean whether there was a suggestion
local function part_of(unit, first)
  local shown, chosen, rest = inline.current()
  if not (shown and chosen and rest) then
    return false
  end
  local part = first(rest.text)
  if part == rest.text then
    return M.all()
  end
  insert(shown.bufnr, rest, part)
  inline.redraw()
  local taken = vim.fn.strchars(chosen.text:sub(1, rest.taken + #part))
  local params = { item = chosen.item, acceptedLength = taken, unit = unit }
  rpc.notify(shown.client, 'textDocument/didPartiallyAcceptCompletion', params)
  return true
end

---@return boolean
function M.word()
  return part_of('word', suggestion.first_word)
end

---@return boolean
function M.line()
  return part_of('line', suggestion.first_line)
end

return M
