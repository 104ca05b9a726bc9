// Completes .next/standalone after "next build": with the static files, the migrations and the
// scripts it is all that a container needs.
import {cp} from "node:fs/promises";

for (const [from, to] of [[".next/static", ".next/static"], ["lib", "lib"],
                          ["migrations", "migrations"], ["scripts", "scripts"]]) {
  await cp(from, `.next/standalone/${to}`, {recursive: true});
}
