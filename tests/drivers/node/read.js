// What the parsers of node-postgres and postgres.js, and WHATWG's URL, make of the URIs. Prisma 7
// connects by node-postgres; the engine of older ones takes a URL apart as WHATWG has it. `dial`
// lines are connected with instead.
'use strict';
const readline = require('readline');
const pg = require('pg');
const { parse } = require('pg-connection-string');
const postgres = require('postgres');

const parsers = {
  'node-postgres'(uri) {
    const seen = parse(uri, { useLibpqCompat: true });
    return { ...seen, host: seen.host.replace(/^\[|\]$/g, '') };
  },
  'postgres.js'(uri) {
    const { host, port, user, pass, database, connection } = postgres(uri).options;
    return { host: host.join(), port: port.join(), user, password: pass, database,
      application_name: connection.application_name };
  },
  whatwg(uri) {
    const url = new URL(uri);
    return { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port,
      user: decodeURIComponent(url.username), password: decodeURIComponent(url.password),
      database: decodeURIComponent(url.pathname.slice(1)),
      sslmode: url.searchParams.get('sslmode'),
      application_name: url.searchParams.get('application_name') };
  },
};

const question = "select current_user || ' ' || current_database() as answer";

const dials = {
  async 'node-postgres'(uri) {
    const client = new pg.Client({ connectionString: uri, connectionTimeoutMillis: 10000 });
    await client.connect();
    try {
      return (await client.query(question)).rows[0].answer;
    } finally {
      await client.end();
    }
  },
  async 'postgres.js'(uri) {
    const sql = postgres(uri, { max: 1, connect_timeout: 10 });
    try {
      return (await sql.unsafe(question))[0].answer;
    } finally {
      await sql.end();
    }
  },
};

const base64 = (text) => Buffer.from(String(text), 'utf8').toString('base64');
const say = (...fields) => console.log(fields.join('\t'));

async function dial(name, uri) {
  for (const [driver, connect] of Object.entries(dials)) {
    try {
      say('dialed', driver, name, 'uri', base64(await connect(uri)));
    } catch (error) {
      say('fail', driver, name, 'uri', base64(error.message));
    }
  }
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const [word, name, form, value] = line.split('\t');
  if (word === 'dial' && form === 'uri') dial(name, Buffer.from(value, 'base64').toString('utf8'));
  if (word !== 'url' || form !== 'uri') return;
  for (const [parser, read] of Object.entries(parsers)) {
    try {
      const seen = read(Buffer.from(value, 'base64').toString('utf8'));
      for (const part of ['host', 'port', 'user', 'password', 'database', 'application_name']) {
        say('got', parser, name, form, part, base64(seen[part]));
      }
      if (seen.sslmode) say('got', parser, name, form, 'sslmode', base64(seen.sslmode));
    } catch (error) {
      say('fail', parser, name, form, base64(error.message));
    }
  }
});
