/**
 * How things stand, in words: what the server says by `$/sc2lsp/status`, and the same of what comes before a server.
 *
 * Every bad state has one action that mends it. Knows no editor.
 */

export interface Action {
  readonly title: string;
  readonly command: string;
  readonly arguments?: readonly unknown[] | null;
}

export interface Status {
  readonly kind: "Normal" | "Inactive" | "Warning" | "Error";
  readonly message: string;
  readonly fix?: string;
  readonly busy?: boolean;
  readonly action?: Action | null;
  /** A second button; by default the log is offered. */
  readonly other?: Action;
  /** A question that is not asked again once it was waved away: under this name that is remembered. */
  readonly askedOnce?: string;
}

export const SHOW_LOG: Action = { title: "Show log", command: "sc2lsp.showLog" };
export const STARTING: Status = { kind: "Normal", message: "The language server is starting.", busy: true };

/** A bad state that was found while something was done. */
export class Trouble extends Error {
  readonly status: Status;

  constructor(status: Status) {
    super(status.message);
    this.status = status;
  }
}

/** What is told of anything thrown; what nobody foresaw can be tried again. */
export function statusOf(thrown: unknown): Status {
  if (thrown instanceof Trouble) {
    return thrown.status;
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return { kind: "Error", message, action: { title: "Restart", command: "sc2lsp.restartServer" } };
}
