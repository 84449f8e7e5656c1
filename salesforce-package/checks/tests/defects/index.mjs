// Planted defects: what is wrong, and the checks that must fail, exactly these.
import allowed from "./allowed.mjs";
import apex from "./apex.mjs";
import basics from "./basics.mjs";
import derived from "./derived.mjs";
import files from "./files.mjs";
import flows from "./flows.mjs";
import objects from "./objects.mjs";
import permissionSets from "./permission-sets.mjs";
import project from "./project.mjs";
import screens from "./screens.mjs";

export const DEFECTS = [basics, files, objects, permissionSets, screens, flows, apex, project, derived].flat();
export const CHANGES = allowed;
