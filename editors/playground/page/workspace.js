// @ts-check
/** The files as the playground's server gives them, with the token that it was opened with. Changes none. */

/**
 * @typedef {{ path: string, line: number, column: number, text: string }} Start
 * @typedef {{ name: string, uri: string, files: string[], start: Start | null, settings: object }} Listing
 */

const KEY = "sc2lsp.token";
const TICKET = "once=";
const NO_TOKEN = "Open the address that `sc2lsp playground` printed, whole: this one lacks its token.";

/** From the address the first time, or for the ticket in it, and taken out of it: no copied address holds either. */
async function takeToken() {
  const given = location.hash.slice(1);
  if (given) {
    history.replaceState(null, "", location.pathname);
    const token = given.startsWith(TICKET) ? await (await get("token", given.slice(TICKET.length))).text() : given;
    sessionStorage.setItem(KEY, token);
  }
  return sessionStorage.getItem(KEY) ?? "";
}

const token = takeToken();

/** @param {string} path @param {string} [secret] the token, unless it is another */
async function get(path, secret) {
  const answer = await fetch(path, { headers: { Authorization: `Bearer ${secret ?? (await token)}` } });
  if (answer.status === 403) throw new Error(NO_TOKEN);
  if (!answer.ok) throw new Error(`${decodeURIComponent(path)}: ${answer.statusText}`);
  return answer;
}

/** @returns {Promise<Listing>} */
export async function listing() {
  return (await get("workspace")).json();
}

/** @param {string} path @returns {Promise<string>} */
export async function textOf(path) {
  return (await get(`workspace/${path.split("/").map(encodeURIComponent).join("/")}`)).text();
}

export async function socketUrl() {
  return `ws://${location.host}/lsp?token=${encodeURIComponent(await token)}`;
}
