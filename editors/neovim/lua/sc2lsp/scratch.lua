-- Text to read in a split, that is no file and goes when it is closed.

local M = {}

--- Show lines below the current window; an older split of the same name is filled anew.
---@param name string
---@param lines string[] without line ends
function M.show(name, lines)
  local bufnr = vim.fn.bufnr('^' .. vim.fn.escape(name, '[]*?\\') .. '$')
  if bufnr == -1 then
    bufnr = vim.api.nvim_create_buf(false, true)
    vim.api.nvim_buf_set_name(bufnr, name)
    vim.keymap.set('n', 'q', '<Cmd>close<CR>', { buffer = bufnr, desc = 'close' })
  end
  vim.bo[bufnr].modifiable = true
  vim.api.nvim_buf_set_lines(bufnr, 0, -1, false, lines)
  vim.bo[bufnr].modifiable = false
  local window = vim.fn.bufwinid(bufnr)
  if window == -1 then
    vim.api.nvim_open_win(bufnr, true, { split = 'below' })
  else
    vim.api.nvim_set_current_win(window)
  end
end

return M
