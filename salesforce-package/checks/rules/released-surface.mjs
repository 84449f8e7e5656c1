// Nothing that customers may have installed is removed, retyped or narrowed. A managed package can never take it back.
import { forbiddenChanges, surface } from "../lib/surface.mjs";

export const name = "released-surface";
export const reads = (path) => path === "released-surface.json" || path.startsWith("force-app/");

export async function run({ tree, model }) {
  const { released, surface: before } = JSON.parse(tree.files.get("released-surface.json"));
  const hint = released ? `released as ${released}` : "not released yet: `npm run surface --prefix checks` accepts it";
  return [...forbiddenChanges(before, surface(tree, model))].map((change) => `${change} (${hint})`);
}
