import {query} from "../../../lib/database.js";

export const dynamic = "force-dynamic";

// Whether the database answers, and whom it sees: through the pooler that is a pooler's pod.
export async function GET() {
  const {rows} = await query(
    "SELECT pg_backend_pid() AS backend, host(inet_client_addr()) AS client");
  return Response.json(rows[0]);
}
