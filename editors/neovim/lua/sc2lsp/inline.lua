-- What is asked for and what is shown in the buffer that is typed in. Every key asks; an answer is shown only if the
-- buffer and the cursor are still those it was asked for.

local ghost = require('sc2lsp.ghost')
local rpc = require('sc2lsp.rpc')
local suggestion = require('sc2lsp.suggestion')

local M = {}

local AUTOMATIC, INVOKED = 2, 1 -- InlineCompletionTriggerKind of LSP 3.18
local INLINE_COMPLETION = 'textDocument/inlineCompletion'

---@class sc2lsp.Asked a request under way
---@field client vim.lsp.Client
---@field id? integer
---@field bufnr integer
---@field changedtick integer
---@field cursor { [1]: integer, [2]: integer }
---@field index? integer of the alternative to show

---@class sc2lsp.Shown
---@field client vim.lsp.Client
---@field bufnr integer
---@field suggestions sc2lsp.Suggestion[]
---@field index integer
---@field has_all boolean whether alternatives were asked for

-- Both mutated by the functions below only.
local asked = nil ---@type sc2lsp.Asked?
local shown = nil ---@type sc2lsp.Shown?

---@return { [1]: integer, [2]: integer } row and column, from 0
local function cursor_now()
  local cursor = vim.api.nvim_win_get_cursor(0)
  return { cursor[1] - 1, cursor[2] }
end

---@param request sc2lsp.Asked
---@return boolean
local function is_late(request)
  return request ~= asked
    or vim.api.nvim_get_current_buf() ~= request.bufnr
    or vim.api.nvim_buf_get_changedtick(request.bufnr) ~= request.changedtick
    or not vim.deep_equal(cursor_now(), request.cursor)
    or not M.is_wanted()
end

--- Whether suggestions can be shown now: while text is typed, and no menu of completions is open.
---@return boolean
function M.is_wanted()
  return vim.startswith(vim.api.nvim_get_mode().mode, 'i') and vim.fn.pumvisible() == 0
end

--- What is on the screen: nil where nothing is.
---@return sc2lsp.Shown?, sc2lsp.Suggestion?, sc2lsp.Rest?
function M.current()
  if not shown or vim.api.nvim_get_current_buf() ~= shown.bufnr then
    return nil
  end
  local chosen = shown.suggestions[shown.index]
  local rest = suggestion.rest(chosen, shown.bufnr, cursor_now())
  if not rest then
    return nil
  end
  return shown, chosen, rest
end

--- Take off the screen what is there, and wait for nothing.
function M.hide()
  M.cancel()
  if shown then
    ghost.clear(shown.bufnr)
    shown = nil
  end
end

--- Wait no longer for the answer under way.
function M.cancel()
  if asked and asked.id then
    rpc.cancel(asked.client, asked.id)
  end
  asked = nil
end

--- Draw what is left of what is shown, in the buffer as it is now.
function M.redraw()
  local current, _, rest = M.current()
  if current and rest then
    local count = #current.suggestions
    local hint = current.has_all and count > 1 and (' (%d/%d)'):format(current.index, count) or nil
    ghost.draw(current.bufnr, cursor_now(), rest, hint)
  elseif shown then
    ghost.clear(shown.bufnr)
    shown = nil
  end
end

---@param request sc2lsp.Asked
---@param result lsp.InlineCompletionList|lsp.InlineCompletionItem[]|nil nil where a newer request came
local function answered(request, result)
  if is_late(request) or not result then
    return
  end
  asked = nil
  local suggestions = vim.tbl_map(function(item)
    return suggestion.of(request.bufnr, item, request.cursor)
  end, result.items or result)
  if #suggestions == 0 then
    M.hide()
    return
  end
  local index = request.index and (request.index - 1) % #suggestions + 1 or 1
  local has_all = request.index ~= nil
  shown = { client = request.client, bufnr = request.bufnr, suggestions = suggestions, index = index, has_all = has_all }
  M.redraw()
end

---@param kind integer
---@param index? integer of the alternative to show
local function request(kind, index)
  local bufnr = vim.api.nvim_get_current_buf()
  local client = rpc.client(bufnr)
  if not client then
    M.hide()
    return
  end
  M.cancel()
  local changedtick = vim.api.nvim_buf_get_changedtick(bufnr)
  local this = { client = client, bufnr = bufnr, changedtick = changedtick, cursor = cursor_now(), index = index }
  asked = this
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  params.context = { triggerKind = kind }
  this.id = rpc.request(client, INLINE_COMPLETION, params, function(_, result)
    answered(this, result)
  end, bufnr)
end

--- A key was pressed: show what is left of the suggestion, and ask what comes next. Once for each state of the buffer.
function M.update()
  if not M.is_wanted() then
    M.hide()
    return
  end
  M.redraw()
  local bufnr = vim.api.nvim_get_current_buf()
  local is_asked = asked
    and asked.bufnr == bufnr
    and asked.changedtick == vim.api.nvim_buf_get_changedtick(bufnr)
    and vim.deep_equal(asked.cursor, cursor_now())
  if not is_asked then
    request(AUTOMATIC)
  end
end

--- Ask now, for alternatives too.
function M.trigger()
  request(INVOKED, 1)
end

--- Show another alternative; those that were not asked for yet are asked for.
---@param step 1|-1
---@return boolean whether there is something to choose from
function M.select(step)
  local current = M.current()
  if not current then
    return false
  end
  if not current.has_all then
    request(INVOKED, 1 + step)
    return true
  end
  current.index = (current.index + step - 1) % #current.suggestions + 1
  M.redraw()
  return true
end

return M
