/**
 * The editor's settings as the server wants them: `sc2lsp.minConfidence` is `min_confidence` in sc2lsp/config.py.
 *
 * package.json says which there are. Only what somebody set is sent, so the server's own configuration file holds for
 * the rest. A workspace can add to what is off, and turn off what is on, never the other way round.
 */

/** What `WorkspaceConfiguration.inspect` says of one setting, as far as it matters here. */
export interface Inspection {
  readonly globalValue?: unknown;
  readonly workspaceValue?: unknown;
}

export type Inspect = (name: string) => Inspection | undefined;
export type Settings = Readonly<Record<string, unknown>>;

/** The parts of package.json that declare settings. */
export interface Manifest {
  readonly contributes: {
    readonly configuration: readonly { readonly properties: Readonly<Record<string, unknown>> }[];
  };
}

const SECTION = "sc2lsp.";
const OURS = "sc2lsp.server."; // of how the server is found: not for the server

/** The names, without section, of all settings that are the server's. */
export function namesIn(manifest: Manifest): readonly string[] {
  return manifest.contributes.configuration
    .flatMap((part) => Object.keys(part.properties))
    .filter((name) => !name.startsWith(OURS))
    .map((name) => name.slice(SECTION.length));
}

/** `minConfidence` -> `min_confidence`. */
export function serverName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** What was set, by the server's names. */
export function settingsFor(names: readonly string[], inspect: Inspect): Settings {
  const set = names.map((name) => [serverName(name), valueOf(inspect(name))] as const);
  return Object.fromEntries(set.filter(([, value]) => value !== undefined));
}

function valueOf(inspection: Inspection | undefined): unknown {
  const { globalValue: user, workspaceValue: workspace } = inspection ?? {};
  if (Array.isArray(user) && Array.isArray(workspace)) {
    return [...new Set<unknown>([...user, ...workspace])];
  }
  if (user === false) {
    return false;
  }
  return workspace ?? user;
}

/** Whether something that held is left to the server's own configuration again, which only a new start can say. */
export function isTakenBack(before: Settings, now: Settings): boolean {
  return Object.keys(before).some((name) => !(name in now));
}
