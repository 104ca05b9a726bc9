// Which URL for what.
//
// The Secret has two: DATABASE_URL is the database itself, DATABASE_POOLED_URL the pooler before
// it. A request needs a connection for milliseconds, and there are many of them: pooled. What needs
// a session of its own (migrations, LISTEN) goes direct, always.

export function directUrl(env = process.env) {
  if (!env.DATABASE_URL) throw new Error("DATABASE_URL is not set");
  return env.DATABASE_URL;
}

export function requestUrl(env = process.env) {
  // On a developer's machine there is no pooler.
  if (env.NODE_ENV !== "production") return directUrl(env);
  if (!env.DATABASE_POOLED_URL) {
    // Going direct here without a word is how a database runs out of connections.
    throw new Error("DATABASE_POOLED_URL is not set");
  }
  return env.DATABASE_POOLED_URL;
}
