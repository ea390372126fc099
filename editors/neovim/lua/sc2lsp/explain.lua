-- Why the last suggestion is what it is, from what the command sc2lsp.explain answers (ARCHITECTURE.md), as lines.

local M = {}

---@param lines string[]
---@param title string
---@param more string[]
local function section(lines, title, more)
  if #more > 0 then
    vim.list_extend(lines, { '', title })
    vim.list_extend(lines, more)
  end
end

---@param text string
---@return string[]
local function indented(text)
  return vim.tbl_map(function(line)
    return '  ' .. line
  end, vim.split(text, '\n', { plain = true }))
end

---@param completions table[]
---@return string[]
local function suggested(completions)
  local lines = {}
  for number, completion in ipairs(completions) do
    local rules = #completion.rules > 0 and ', ' .. table.concat(completion.rules, ', ') or ''
    table.insert(lines, ('%d. mean log-probability %.2f%s'):format(number, completion.mean_logprob, rules))
    vim.list_extend(lines, indented(completion.text))
  end
  return lines
end

---@param answers table[]
---@return string[]
local function written(answers)
  local lines = {}
  for _, answer in ipairs(answers) do
    if answer.shown ~= answer.text then
      local rules = table.concat(answer.rules, ', ')
      table.insert(lines, rules == '' and 'shown otherwise' or 'changed by: ' .. rules)
      vim.list_extend(lines, indented(answer.text))
    end
  end
  return lines
end

---@param snippets table[]
---@return string[]
local function context(snippets)
  return vim.tbl_map(function(snippet)
    local place = ('%s:%d-%d'):format(snippet.path, snippet.start_line, snippet.end_line)
    return ('  %s  %s, %d tokens: %s'):format(place, snippet.kind, snippet.tokens, snippet.why)
  end, snippets)
end

---@param model table
---@return string[]
local function spent(model)
  local stages = {}
  for stage, milliseconds in vim.spairs(model.timings_ms) do
    table.insert(stages, ('%s %.1f ms'):format(stage, milliseconds))
  end
  local prompt = model.prompt
  local drafts = ('%d tokens drafted, %d of them right'):format(model.drafted_tokens, model.accepted_tokens)
  return {
    ('  %s: %d prompt tokens, %d of them cached; %s'):format(model.name, prompt.tokens, model.cached_tokens, drafts),
    '  ' .. table.concat(stages, ', '),
  }
end

--- An explanation for people: what was suggested and written, from which context, at what cost.
---@param explained table
---@return string[] lines
function M.lines(explained)
  local lines = { explained.path .. ', from the ' .. explained.source }
  if explained.reason ~= '' then
    section(lines, 'Nothing is shown', indented(explained.reason))
  end
  section(lines, 'Suggested', suggested(explained.completions))
  local model = explained.model
  if model and model ~= vim.NIL then
    section(lines, 'Written by the model, and changed', written(model.answers))
    section(lines, 'Context from other files', context(model.prompt.snippets))
    section(lines, 'Cost', spent(model))
    section(lines, 'The prompt, as the model reads it', indented(model.prompt.text))
  end
  return lines
end

return M
