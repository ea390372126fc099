;;; sc2lsp.el --- Inline code completion by sc2lsp, through lsp-mode  -*- lexical-binding: t; -*-

;; Version: 0.1.0
;; Package-Requires: ((emacs "29.1") (lsp-mode "10.0.0"))
;; Keywords: languages, tools
;; SPDX-License-Identifier: Apache-2.0

;;; Commentary:

;; Registers the language server sc2lsp with lsp-mode, beside whatever other server a buffer has, and shows how it
;; stands in the mode line.  Requests and the grey text are lsp-mode's own `lsp-inline-completion-mode'; what is
;; suggested, and when, is the server's.

;;; Code:

(require 'lsp-mode)
(require 'lsp-inline-completion)

(defgroup sc2lsp nil
  "Inline code completion by sc2lsp."
  :group 'lsp-mode
  :prefix "sc2lsp-")

(defcustom sc2lsp-command '("sc2lsp" "--stdio")
  "The server's program and its arguments."
  :type '(repeat string))

(defcustom sc2lsp-package
  (concat (expand-file-name "../.." (file-name-directory (or load-file-name buffer-file-name))) "[runtime]")
  "What the command `lsp-install-server' has pip install.
It is the clone that this file is in, with what runs a model."
  :type 'string)

(defcustom sc2lsp-modes '(prog-mode)
  "Major modes, with those derived from them, that are completed in."
  :type '(repeat symbol))

(defcustom sc2lsp-idle-delay 0.1
  "Seconds without a key before a suggestion is asked for.
Where `lsp-idle-delay' is longer, it is that."
  :type 'number)

(defun sc2lsp--set-settings (symbol settings)
  "Set SYMBOL to SETTINGS, and tell the servers that run."
  (set-default symbol settings)
  (dolist (workspace (sc2lsp--workspaces))
    (with-lsp-workspace workspace
      (lsp-notify "workspace/didChangeConfiguration" `(:settings (:sc2lsp ,(sc2lsp--options)))))))

(defcustom sc2lsp-settings nil
  "Settings of the server, such as ((max_tokens . 64) (languages_off . [\"c\"])).
Booleans are t and :json-false, lists are vectors.  The README of sc2lsp
names all settings."
  :type '(alist :key-type symbol :value-type sexp)
  :initialize #'custom-initialize-default
  :set #'sc2lsp--set-settings)

;; The server's program

(defun sc2lsp--environment (&optional program)
  "The Python environment of the server that Emacs installed, or a PROGRAM in it."
  (expand-file-name (if program
                        (concat (if (eq system-type 'windows-nt) "sc2lsp/Scripts/" "sc2lsp/bin/") program)
                      "sc2lsp")
                    lsp-server-install-dir))

(defun sc2lsp--command ()
  "What starts the server: `sc2lsp-command', or what Emacs installed without it."
  (if (executable-find (car sc2lsp-command))
      sc2lsp-command
    (cons (sc2lsp--environment "sc2lsp") (cdr sc2lsp-command))))

(defun sc2lsp--install (_client callback error-callback _update)
  "Install the server into an environment of its own, then call CALLBACK.
What goes wrong is given to ERROR-CALLBACK."
  (lsp-async-start-process
   (lambda ()
     (lsp-async-start-process callback error-callback (sc2lsp--environment "python")
                              "-m" "pip" "install" "--upgrade"
                              sc2lsp-package))
   error-callback (if (eq system-type 'windows-nt) "py" "python3") "-m" "venv" (sc2lsp--environment)))

;; What the server says

(defun sc2lsp--options ()
  "The settings as an object, even where there are none."
  (or sc2lsp-settings (make-hash-table)))

(defun sc2lsp--is-ours (workspace)
  "Whether WORKSPACE is one of this server."
  (memq (lsp--client-server-id (lsp--workspace-client workspace)) '(sc2lsp sc2lsp-tramp)))

(defun sc2lsp--workspaces ()
  "All workspaces of the server."
  (seq-filter #'sc2lsp--is-ours (lsp--session-workspaces (lsp-session))))

(defun sc2lsp--workspace ()
  "The server's workspace of this buffer, else any; an error where there is none."
  (or (seq-find #'sc2lsp--is-ours (lsp-workspaces))
      (car (sc2lsp--workspaces))
      (user-error "The server sc2lsp is not running: M-x lsp starts it")))

(defun sc2lsp--execute (command &optional arguments then)
  "Have the server execute COMMAND with the vector ARGUMENTS.
THEN gets the result."
  (with-lsp-workspace (sc2lsp--workspace)
    (lsp-request-async "workspace/executeCommand" `(:command ,command :arguments ,(or arguments []))
                       (or then #'ignore) :mode 'detached)))

(defun sc2lsp--in-words (status)
  "What STATUS says, what would change it, and the command that does."
  (let ((fix (lsp-get status :fix))
        (action (lsp-get status :action)))
    (concat "sc2lsp: " (lsp-get status :message)
            (unless (member fix '(nil "")) (concat "; " fix))
            (when action (format " [M-x sc2lsp-fix: %s]" (lsp-get action :title))))))

(defun sc2lsp--on-status (workspace status)
  "Keep what the server of WORKSPACE says of its STATUS; show what is wrong, once."
  (let ((last (gethash 'sc2lsp-status (lsp--workspace-metadata workspace))))
    (puthash 'sc2lsp-status status (lsp--workspace-metadata workspace))
    (when (and (member (lsp-get status :kind) '("Warning" "Error"))
               (not (and last (equal (lsp-get status :message) (lsp-get last :message)))))
      (lsp--warn "%s" (sc2lsp--in-words status)))
    (force-mode-line-update t)))

(defun sc2lsp--status ()
  "What the server of this buffer said last of how it stands, or nil."
  (when-let* ((workspace (seq-find #'sc2lsp--is-ours (lsp-workspaces))))
    (gethash 'sc2lsp-status (lsp--workspace-metadata workspace))))

(defun sc2lsp-mode-line ()
  "How completion stands, for the mode line."
  (let ((status (sc2lsp--status)))
    (propertize
     (concat " sc2lsp"
             (pcase (and status (lsp-get status :kind))
               ('nil ":-")
               ("Inactive" ":off")
               ("Normal" (if (eq (lsp-get status :busy) t) ":.." ""))
               (_ "!")))
     'help-echo (or (and status (lsp-get status :message)) "sc2lsp is not running")
     'mouse-face 'mode-line-highlight
     'local-map (let ((map (make-sparse-keymap)))
                  (define-key map [mode-line mouse-1] #'sc2lsp-status)
                  map))))

(defun sc2lsp--after-insert ()
  "Have lsp-mode know where point is now.
When `electric-pair-mode' inserted the closing bracket, point was behind it;
lsp-mode would not ask, because point has moved since the last change."
  (when lsp--after-change-vals
    (setq lsp--after-change-vals (plist-put lsp--after-change-vals :point (point)))))

(defun sc2lsp--on-open ()
  "Set up a buffer that the server has got."
  (add-hook 'post-self-insert-hook #'sc2lsp--after-insert 90 t)
  (setq-local lsp-inline-completion-idle-delay sc2lsp-idle-delay)
  (unless (local-variable-p 'mode-line-misc-info)
    (setq-local mode-line-misc-info (cons '(:eval (sc2lsp-mode-line)) mode-line-misc-info))))

(defun sc2lsp--on-initialized (workspace)
  "Say that the server of WORKSPACE has inline completion.
The empty object that says so is nil to an lsp-mode built for plists."
  (lsp:set-server-capabilities-inline-completion-provider? (lsp--workspace-server-capabilities workspace) t))

(defun sc2lsp--on-accepted (command)
  "Tell the server that a suggestion was taken, by the COMMAND of its item.
Only this server is told, and not waited for."
  (sc2lsp--execute (lsp-get command :command) (lsp-get command :arguments)))

;; Commands

(defun sc2lsp-status ()
  "Say how completion stands."
  (interactive)
  (message "%s" (sc2lsp--in-words (or (sc2lsp--status)
                                      (user-error "The server sc2lsp is not running: M-x lsp starts it")))))

(defun sc2lsp-fix ()
  "Do what the status offers to mend it."
  (interactive)
  (let* ((status (sc2lsp--status))
         (action (or (and status (lsp-get status :action)) (user-error "There is nothing to mend")))
         (command (lsp-get action :command)))
    (if (equal command "sc2lsp.openSettings")
        (customize-group 'sc2lsp)
      (sc2lsp--execute command (lsp-get action :arguments)))))

(defun sc2lsp-toggle ()
  "Turn completion off, or on again."
  (interactive)
  (when (lsp-inline-completion--active-p)
    (lsp-inline-completion-cancel))
  (sc2lsp--execute "sc2lsp.toggle" ["all"]
                   (lambda (status) (message "%s" (sc2lsp--in-words status)))))

(defun sc2lsp-restart ()
  "Connect to the model anew.
The command `lsp-workspace-restart' restarts the language server itself."
  (interactive)
  (sc2lsp--execute "sc2lsp.restart"))

(defun sc2lsp-explain ()
  "Show why the last suggestion in this buffer is what it is."
  (interactive)
  (sc2lsp--execute
   "sc2lsp.explain" (vector (lsp--buffer-uri))
   (lambda (explained)
     (with-current-buffer (get-buffer-create "*sc2lsp explain*")
       (let ((inhibit-read-only t))
         (erase-buffer)
         (insert (if explained (json-encode explained) "\"nothing was asked for in this buffer yet\""))
         (json-pretty-print-buffer)
         (goto-char (point-min)))
       (special-mode)
       (display-buffer (current-buffer))))))

;; A part of a suggestion

(defun sc2lsp--accept-part (unit pattern)
  "Insert as much of what is shown as PATTERN matches at its beginning.
UNIT is what that is called."
  (unless (lsp-inline-completion--active-p)
    (user-error "No suggestion is shown"))
  (let* ((item (elt lsp-inline-completion--items lsp-inline-completion--current))
         (start (lsp--position-to-point (lsp-get (lsp-get item :range) :start)))
         (typed (- lsp-inline-completion--start-point start))
         (rest (substring (lsp-get item :insertText) typed))
         (part (and (string-match pattern rest) (match-string 0 rest))))
    (if (or (null part) (equal part rest))
        (lsp-inline-completion-accept)
      (lsp-inline-completion-cancel)
      (insert part)
      (with-lsp-workspace (sc2lsp--workspace)
        (lsp-notify "textDocument/didPartiallyAcceptCompletion"
                    `(:item ,item :acceptedLength ,(+ typed (length part)) :unit ,unit))))))

(defun sc2lsp-accept-word ()
  "Insert the next word of what is shown."
  (interactive)
  (sc2lsp--accept-part "word" "\\`\\(?:[^[:alnum:]_]*[[:alnum:]_]+\\|[^[:alnum:]_]+\\)"))

(defun sc2lsp-accept-line ()
  "Insert the next line of what is shown."
  (interactive)
  (sc2lsp--accept-part "line" "\\`\n?[^\n]*"))

;; lsp-mode takes the grey text away before any other command.
(put 'sc2lsp-accept-word 'lsp-inline-completion-keep t)
(put 'sc2lsp-accept-line 'lsp-inline-completion-keep t)

(lsp-register-client
 (make-lsp-client
  :server-id 'sc2lsp
  :new-connection (lsp-stdio-connection #'sc2lsp--command)
  :download-server-fn #'sc2lsp--install
  :activation-fn (lambda (_file mode) (provided-mode-derived-p mode sc2lsp-modes))
  :add-on? t
  :priority -2
  :multi-root t
  :completion-in-comments? t
  :initialization-options #'sc2lsp--options
  :custom-capabilities '((experimental . ((sc2lsp . ((status . t))))))
  :initialized-fn #'sc2lsp--on-initialized
  :after-open-fn #'sc2lsp--on-open
  :action-handlers (lsp-ht ("sc2lsp.accepted" #'sc2lsp--on-accepted))
  :notification-handlers (lsp-ht ("$/sc2lsp/status" #'sc2lsp--on-status))))

(provide 'sc2lsp)
;;; sc2lsp.el ends here
