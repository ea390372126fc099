-- Drawing: what is left of a suggestion, as the lines will look once it is accepted. Knows no server.

local suggestion = require('sc2lsp.suggestion')

local M = {}

local namespace = vim.api.nvim_create_namespace('sc2lsp')
local GHOST, HINT = 'Sc2lspGhost', 'Sc2lspHint' -- highlight groups

--- Text with its tabs as blanks: virtual text shows them otherwise.
---@param text string
---@param column integer on the screen, where the text begins
---@return string
local function without_tabs(text, column)
  local width = vim.bo.tabstop
  local parts = {}
  for part, tab in text:gmatch('([^\t]*)(\t?)') do
    column = column + vim.fn.strdisplaywidth(part)
    local blanks = tab == '' and 0 or width - column % width
    column = column + blanks
    table.insert(parts, part .. (' '):rep(blanks))
  end
  return table.concat(parts)
end

---@param bufnr integer
---@param row integer
---@param column integer bytes
---@param text string
---@param group string
---@param position 'inline'|'overlay'
local function put(bufnr, row, column, text, group, position)
  if text ~= '' then
    local virtual = { virt_text = { { text, group } }, virt_text_pos = position, hl_mode = 'combine' }
    vim.api.nvim_buf_set_extmark(bufnr, namespace, row, column, virtual)
  end
end

--- The pieces of the first line, around the characters of the buffer that come in it again.
---@param bufnr integer
---@param cursor { [1]: integer, [2]: integer }
---@param first string
---@param rest sc2lsp.Rest
---@return integer column behind the last of those characters
local function put_first(bufnr, cursor, first, rest)
  local row, column = cursor[1], cursor[2]
  local places = suggestion.places(rest.text, rest.replaced) or {}
  local lengths = vim.tbl_map(string.len, vim.fn.split(rest.replaced, '\\zs'))
  local screen, from = vim.fn.strdisplaywidth(vim.api.nvim_get_current_line():sub(1, column)), 1
  for index, place in ipairs(places) do
    if place > #first then
      break -- it stands in a later line: hidden here, and drawn there
    end
    put(bufnr, row, column, without_tabs(first:sub(from, place - 1), screen), GHOST, 'inline')
    column, from = column + lengths[index], place + lengths[index]
  end
  put(bufnr, row, column, without_tabs(first:sub(from), screen), GHOST, 'inline')
  return column
end

--- Draw what is left of a suggestion in place of what was drawn before.
---@param bufnr integer the current buffer
---@param cursor { [1]: integer, [2]: integer } row and column
---@param rest sc2lsp.Rest
---@param hint string? of alternatives
function M.draw(bufnr, cursor, rest, hint)
  M.clear(bufnr)
  local lines = vim.split(rest.text, '\n', { plain = true })
  local column = put_first(bufnr, cursor, lines[1], rest)
  if #lines == 1 then
    if hint then
      vim.api.nvim_buf_set_extmark(bufnr, namespace, cursor[1], column, { virt_text = { { hint, HINT } } })
    end
    return
  end
  local line = vim.api.nvim_get_current_line()
  lines[#lines] = lines[#lines] .. rest.tail -- which moves there
  put(bufnr, cursor[1], column, (' '):rep(vim.fn.strdisplaywidth(line:sub(column + 1))), 'Normal', 'overlay')
  local below = vim.tbl_map(function(text)
    return { { without_tabs(text, 0), GHOST } }
  end, vim.list_slice(lines, 2))
  if hint then
    table.insert(below[#below], { hint, HINT })
  end
  vim.api.nvim_buf_set_extmark(bufnr, namespace, cursor[1], cursor[2], { virt_lines = below })
end

---@param bufnr integer
function M.clear(bufnr)
  if vim.api.nvim_buf_is_valid(bufnr) then
    vim.api.nvim_buf_clear_namespace(bufnr, namespace, 0, -1)
  end
end

--- The highlight groups, linked to others where the user has not defined them.
function M.define_highlights()
  local ghost = vim.fn.hlexists('ComplHint') == 1 and 'ComplHint' or 'NonText'
  vim.api.nvim_set_hl(0, GHOST, { link = ghost, default = true })
  vim.api.nvim_set_hl(0, HINT, { link = 'NonText', default = true })
end

return M
