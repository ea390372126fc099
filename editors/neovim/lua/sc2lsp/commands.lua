-- The subcommands of :Sc2lsp, each a few lines over a command of the server.

local notice = require('sc2lsp.notice')
local rpc = require('sc2lsp.rpc')
local scratch = require('sc2lsp.scratch')
local status = require('sc2lsp.status')

local M = {}

---@class sc2lsp.Subcommand
---@field run fun(arguments: string[])
---@field values? string[] to complete

--- The client of the current buffer, of any other where it has none.
---@return vim.lsp.Client?
local function client_here()
  local client = rpc.client(0) or vim.lsp.get_clients({ name = 'sc2lsp' })[1]
  if not client then
    notice.say('the server is not running. :Sc2lsp restart starts it, :checkhealth sc2lsp says what is wrong')
  end
  return client
end

--- Run a command of the server.
---@param command string
---@param arguments any[]
---@param on_result? fun(result: any)
local function execute(command, arguments, on_result)
  local client = client_here()
  if client then
    rpc.execute(client, command, arguments, on_result)
  end
end

---@param given sc2lsp.Status
local function say(given)
  notice.say(status.in_words(given), vim.log.levels.INFO)
end

--- Run a command whose answer is a status, and say it.
---@param command string
---@return fun(arguments: string[])
local function switching(command)
  return function(arguments)
    execute(command, vim.tbl_map(function(argument)
      return tonumber(argument) or argument
    end, arguments), say)
  end
end

local function explain()
  local uri = rpc.client(0) and vim.uri_from_bufnr(0) -- else of what was worked in last
  execute('sc2lsp.explain', { uri }, function(explained)
    if explained and explained ~= vim.NIL then
      scratch.show('sc2lsp://explain', require('sc2lsp.explain').lines(explained))
    else
      notice.say('nothing was asked for in this file yet: type something first', vim.log.levels.INFO)
    end
  end)
end

---@param arguments string[]
local function statistics(arguments)
  local days = arguments[1] and { '--days', arguments[1] } or {}
  local command = require('sc2lsp.options').command(vim.list_extend({ 'stats' }, days))
  local env = { NO_COLOR = '1', COLUMNS = tostring(vim.o.columns) }
  vim.system(command, { text = true, env = env }, vim.schedule_wrap(function(done)
    scratch.show('sc2lsp://stats', vim.split(vim.trim(done.stdout .. done.stderr), '\n'))
  end))
end

---@param arguments string[]
local function model(arguments)
  if #arguments ~= 1 then
    notice.say('name a model: embedded, a folder, or a hub id such as bigcode/starcoder2-3b')
    return
  end
  execute('sc2lsp.model', arguments)
end

local function restart()
  if #vim.lsp.get_clients({ name = 'sc2lsp' }) > 0 then
    execute('sc2lsp.restart', {})
  else
    require('sc2lsp.client').start()
  end
end

--- Do the one thing that mends what the status says.
local function fix()
  local client = client_here()
  local now = status.of_client(client)
  local action = now.action
  if not client then
    return -- which was told
  elseif not action then
    say(now)
  elseif action.command == 'sc2lsp.openSettings' then
    vim.cmd.help('sc2lsp-settings')
  else
    execute(action.command, action.arguments or {})
  end
end

local function log()
  local path = vim.lsp.log and vim.lsp.log.get_filename() or vim.lsp.get_log_path()
  local lines = vim.fn.filereadable(path) == 1 and vim.fn.readfile(path) or {}
  local ours = vim.tbl_filter(function(line)
    return line:find('sc2lsp', 1, true) ~= nil
  end, lines)
  table.insert(ours, 1, ('What Neovim heard of sc2lsp, from %s:'):format(path))
  scratch.show('sc2lsp://log', ours)
end

---@type table<string, sc2lsp.Subcommand>
local SUBCOMMANDS = {
  status = {
    run = function()
      local client = client_here()
      if client then
        say(status.of_client(client))
      end
    end,
  },
  toggle = { run = switching('sc2lsp.toggle'), values = { 'all', 'language', 'folder', 'file' } },
  pause = { run = switching('sc2lsp.pause'), values = { '5', '30', '60' } },
  resume = { run = switching('sc2lsp.resume') },
  explain = { run = explain },
  stats = { run = statistics, values = { '1', '7', '30' } },
  model = { run = model, values = { 'embedded' } },
  restart = { run = restart },
  fix = { run = fix },
  log = { run = log },
}

---@return string[]
local function names()
  local sorted = vim.tbl_keys(SUBCOMMANDS)
  table.sort(sorted)
  return sorted
end

---@param arguments string[] the subcommand, by default status, and what it is given
function M.run(arguments)
  local name = arguments[1] or 'status'
  local subcommand = SUBCOMMANDS[name]
  if not subcommand then
    notice.say(('there is no :Sc2lsp %s, but %s'):format(name, table.concat(names(), ', ')))
    return
  end
  subcommand.run(vim.list_slice(arguments, 2))
end

--- What fits a command line so far.
---@param line string
---@return string[]
function M.complete(line)
  local words = vim.split(line, '%s+', { trimempty = false })
  local lead = words[#words]
  local subcommand = SUBCOMMANDS[words[2]]
  local candidates = #words <= 2 and names() or subcommand and subcommand.values or {}
  return vim.tbl_filter(function(candidate)
    return vim.startswith(candidate, lead)
  end, candidates)
end

return M
