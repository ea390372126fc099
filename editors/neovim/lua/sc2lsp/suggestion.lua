-- One suggestion in its place: whether it still fits what stands in the buffer, and what is left of it there.
-- Values and their rules only; columns are bytes, lines count from 0.

local M = {}

---@class sc2lsp.Suggestion
---@field item lsp.InlineCompletionItem
---@field text string of the item; lines end with \n
---@field row integer where it begins
---@field head string the line before it
---@field tail string the line behind what it takes the place of

---@class sc2lsp.Rest what is left of a suggestion behind the cursor
---@field text string
---@field replaced string what it takes the place of; always a part of the text
---@field tail string
---@field taken integer bytes of the suggestion that stand before the cursor

local CHARACTER = '[%z\1-\127\194-\244][\128-\191]*'
-- Blanks and line breaks, then a word as 'iskeyword' has it, or what stands between words.
local WORD = [[^\_s*\%(\k\+\|\%(\k\@!\S\)\+\|$\)]]

---@param bufnr integer
---@param row integer
---@return string
local function line_at(bufnr, row)
  return vim.api.nvim_buf_get_lines(bufnr, row, row + 1, false)[1] or ''
end

--- An item as the server sent it, in utf-8 positions, for the buffer as it is now.
---@param bufnr integer
---@param item lsp.InlineCompletionItem
---@param cursor { [1]: integer, [2]: integer } row and column, where the item has no range
---@return sc2lsp.Suggestion
function M.of(bufnr, item, cursor)
  local at = { line = cursor[1], character = cursor[2] }
  local range = item.range or { start = at, ['end'] = at }
  local text = item.insertText
  return {
    item = item,
    text = (type(text) == 'string' and text or text.value):gsub('\r\n?', '\n'),
    row = range.start.line,
    head = line_at(bufnr, range.start.line):sub(1, range.start.character),
    tail = line_at(bufnr, range['end'].line):sub(range['end'].character + 1),
  }
end

--- Where in `text` the characters of `replaced` come again: at its end, or else in this order.
---@param text string
---@param replaced string
---@return integer[]? places of each character, bytes from 1; nil where they do not
function M.places(text, replaced)
  local places, from = {}, 1
  if vim.endswith(text, replaced) then
    from = #text - #replaced + 1
  end
  for character in replaced:gmatch(CHARACTER) do
    local place = text:find(character, from, true)
    if not place then
      return nil
    end
    table.insert(places, place)
    from = place + #character
  end
  return places
end

--- What is left at the cursor: nil where the buffer says something else than the suggestion.
---@param suggestion sc2lsp.Suggestion
---@param bufnr integer
---@param cursor { [1]: integer, [2]: integer } row and column
---@return sc2lsp.Rest?
function M.rest(suggestion, bufnr, cursor)
  local row, column = cursor[1], cursor[2]
  local start, tail = #suggestion.head, suggestion.tail
  local line = line_at(bufnr, row)
  local is_behind = row > suggestion.row or row == suggestion.row and column >= start
  if not is_behind or not vim.startswith(line_at(bufnr, suggestion.row), suggestion.head) then
    return nil
  end
  if not vim.endswith(line, tail) or #line - #tail < column then
    return nil
  end
  local typed = table.concat(vim.api.nvim_buf_get_text(bufnr, suggestion.row, start, row, column, {}), '\n')
  local text, replaced = suggestion.text:sub(#typed + 1), line:sub(column + 1, #line - #tail)
  if text == '' or not vim.startswith(suggestion.text, typed) or not M.places(text, replaced) then
    return nil
  end
  return { text = text, replaced = replaced, tail = tail, taken = #typed }
end

--- The first word of a text, with the blanks before it.
---@param text string
---@return string
function M.first_word(text)
  return vim.fn.matchstr(text, WORD)
end

--- The first line of a text that has something, without its end.
---@param text string
---@return string
function M.first_line(text)
  return text:match('^%s*[^\n]*')
end

return M
