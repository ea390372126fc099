/**
 * What somebody can choose in a dialogue: the server's path, a Python, a model, the token of an endpoint.
 *
 * Each writes a setting of the user, never of a workspace; the token goes where the editor keeps secrets.
 */

import * as vscode from "vscode";

export const TOKEN = "endpointToken"; // the name of the secret

const BACKENDS = [
  { label: "runtime", description: "sc2lsp serve" },
  { label: "openai", description: "vLLM, SGLang, TGI" },
  { label: "llama-server", description: "llama.cpp" },
  { label: "ollama", description: "Ollama" },
] as const;

/** Returns whether one was chosen. */
export function choosePath(): Promise<boolean> {
  return chooseFile("server.path", "Use this sc2lsp");
}

/** Returns whether one was chosen. */
export function choosePython(): Promise<boolean> {
  return chooseFile("server.python", "Use this Python");
}

/** Forget the path that was set. */
export async function useManaged(): Promise<void> {
  await set("server.path", undefined);
}

/** Let the editor show inline suggestions, anyone's. */
export async function showSuggestions(): Promise<void> {
  const editor = vscode.workspace.getConfiguration("editor");
  await editor.update("inlineSuggest.enabled", true, vscode.ConfigurationTarget.Global);
}

/** A model by the server's name for it: "embedded" is the built-in one. */
export async function useModel(model: string): Promise<void> {
  await set("endpoint", undefined);
  await set("backend", undefined);
  await set("model", model);
}

export async function chooseModel(): Promise<void> {
  const choices = [
    { label: "The built-in model", description: "small, for Python", choose: () => useModel("embedded") },
    {
      label: "A model of the Hugging Face hub...",
      description: "such as bigcode/starcoder2-3b",
      choose: chooseHubModel,
    },
    { label: "A model in a folder...", description: "", choose: chooseFolder },
    { label: "A server elsewhere...", description: "gets the text around the cursor", choose: chooseEndpoint },
  ];
  const choice = await vscode.window.showQuickPick(choices, { placeHolder: "Which model completes your code?" });
  await choice?.choose();
}

/** Ask for the token of an endpoint; an empty one is forgotten. Returns whether anything changed. */
export async function setToken(secrets: vscode.SecretStorage): Promise<boolean> {
  const token = await vscode.window.showInputBox({
    title: "sc2lsp: token of the endpoint",
    prompt: "It is kept in this editor's secret storage. Leave it empty to forget it.",
    password: true,
    ignoreFocusOut: true,
  });
  if (token === undefined) {
    return false;
  }
  await (token === "" ? secrets.delete(TOKEN) : secrets.store(TOKEN, token));
  return true;
}

async function chooseHubModel(): Promise<void> {
  const model = await vscode.window.showInputBox({
    title: "sc2lsp: a model of the hub",
    prompt: "It is downloaded when it is first used: gigabytes.",
    value: "bigcode/starcoder2-3b",
    ignoreFocusOut: true,
  });
  if (model) {
    await useModel(model.trim());
  }
}

async function chooseFolder(): Promise<void> {
  const options = { canSelectFiles: false, canSelectFolders: true, openLabel: "Use this model" };
  const [folder] = (await vscode.window.showOpenDialog(options)) ?? [];
  if (folder !== undefined) {
    await useModel(folder.fsPath);
  }
}

async function chooseEndpoint(): Promise<void> {
  const endpoint = await vscode.window.showInputBox({
    title: "sc2lsp: address of a server",
    prompt: "The text around your cursor is sent there while you type.",
    placeHolder: "http://127.0.0.1:8000 or tcp://127.0.0.1:9000",
    ignoreFocusOut: true,
  });
  const backend = endpoint ? await vscode.window.showQuickPick(BACKENDS, { title: "What answers there?" }) : undefined;
  const model = backend === undefined ? undefined : await modelAt(backend.label);
  if (endpoint && backend !== undefined && model !== undefined) {
    await set("model", model || undefined);
    await set("backend", backend.label);
    await set("endpoint", endpoint.trim());
  }
}

/** The name of a model there, "" for the one that it has; undefined where the question was waved away. */
async function modelAt(backend: string): Promise<string | undefined> {
  if (backend === "runtime") {
    return ""; // serves one
  }
  return vscode.window.showInputBox({
    title: "sc2lsp: the model there",
    prompt: "Its name at that server. Leave it empty for the one that it has.",
    ignoreFocusOut: true,
  });
}

async function chooseFile(name: string, openLabel: string): Promise<boolean> {
  const [file] = (await vscode.window.showOpenDialog({ canSelectFiles: true, openLabel })) ?? [];
  if (file !== undefined) {
    await set(name, file.fsPath);
  }
  return file !== undefined;
}

async function set(name: string, value: unknown): Promise<void> {
  await vscode.workspace.getConfiguration("sc2lsp").update(name, value, vscode.ConfigurationTarget.Global);
}
