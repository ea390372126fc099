/** Berths as the harbour's server tells of them. */

export interface Ship {
  name: string;
  length: number;
  draught: number;
}

export interface Berth {
  number: number;
  length: number;
  depth: number;
  ship: Ship | null;
}

export async function loadBerths(harbour: string): Promise<Berth[]> {
  const answer = await fetch(`/harbours/${harbour}/berths`);
  if (!answer.ok) {
    throw new Error(`the server answered ${answer.status}`);
  }
  return await answer.json();
}

export function freeBerths(berths: Berth[]): Berth[] {
  return berths.filter((berth) => berth.ship === null);
}
