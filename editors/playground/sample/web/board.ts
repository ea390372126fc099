/** The board at the quay: which ship lies where. */

import { Berth, freeBerths, loadBerths } from "./berths";

export function row(berth: Berth): string {
  const ship = berth.ship === null ? "free" : berth.ship.name;
  return `<tr><td>${berth.number}</td><td>${ship}</td></tr>`;
}

export async function board(harbour: string): Promise<string> {
  const berths = await loadBerths(harbour);
  const rows = berths.map(row).join("");
  return `<table>${rows}</table><p>${freeBerths(berths).length} free</p>`;
}
