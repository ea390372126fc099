-- The command :Sc2lsp. Everything else waits for require('sc2lsp').setup() or vim.lsp.enable('sc2lsp').

if vim.g.loaded_sc2lsp then
  return
end
vim.g.loaded_sc2lsp = true

vim.api.nvim_create_user_command('Sc2lsp', function(command)
  require('sc2lsp.commands').run(command.fargs)
end, {
  nargs = '*',
  desc = 'Inline completion: status, toggle, explain and others',
  complete = function(_, line)
    return require('sc2lsp.commands').complete(line)
  end,
})
