#include <algorithm>

#include "urls/connection.h"
#include "urls/parameters.h"

// Each client parses its own form; tests/drivers asks them.
namespace pooler::urls {
namespace {

// Calls `add` with the name and value of each parameter that `client` understands.
template <class Add>
void each_parameter(const Connection& connection, Client client, Add add) {
  for (const auto& [name, value] : connection.parameters) {
    const Translated own = translated(name, value, client);
    if (!own.name.empty()) add(own.name, own.value);
  }
}

void add_to_query(std::string& query, std::string_view name, std::string_view value) {
  query += query.empty() ? '?' : '&';
  query += percent_encode(name) + "=" + percent_encode(value);
}

std::string all_ports(const Connection& connection) {
  std::string ports;
  for (const auto& host : connection.hosts) {
    ports += (ports.empty() ? "" : ",") + std::to_string(host.port);
  }
  return ports;
}

// Where pgpass has its separators and its escape.
std::string pgpass_field(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == ':' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

void add_conninfo(std::string& text, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  text += (text.empty() ? "" : " ") + std::string(name) + "='";
  for (const char c : value) {
    if (c == '\'' || c == '\\') text += '\\';
    text += c;
  }
  text += '\'';
}

// .NET's connection strings: everything may stand in double quotes, and a double quote is doubled.
void add_npgsql(std::string& text, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._,:[]";
  text += (text.empty() ? "" : ";") + std::string(name) + "=";
  if (value.find_first_not_of(kPlain) == std::string_view::npos) {
    text += value;
    return;
  }
  text += '"';
  for (const char c : value) {
    if (c == '"') text += '"';
    text += c;
  }
  text += '"';
}

}  // namespace

std::string hosts_of(const Connection& connection) {
  std::string text;
  for (const auto& host : connection.hosts) text += (text.empty() ? "" : ",") + host.host;
  return text;
}

std::string ports_of(const Connection& connection) {
  const auto& hosts = connection.hosts;
  const bool same = std::all_of(hosts.begin(), hosts.end(), [&hosts](const HostPort& host) {
    return host.port == hosts.front().port;
  });
  return same && !hosts.empty() ? std::to_string(hosts.front().port) : all_ports(connection);
}

std::string to_uri(const Connection& connection) {
  std::string uri = "postgresql://";
  if (!connection.user.empty() || !connection.password.empty()) {
    uri += percent_encode(connection.user);
    if (!connection.password.empty()) uri += ":" + percent_encode(connection.password);
    uri += '@';
  }
  uri += host_ports(connection);
  if (!connection.database.empty()) uri += "/" + percent_encode(connection.database);
  std::string query;
  for (const auto& [name, value] : connection.parameters) add_to_query(query, name, value);
  return uri + query;
}

std::string to_jdbc(const Connection& connection) {
  // pgjdbc decodes every part as a form does, where + is a blank: percent-encoding leaves no +.
  std::string query;
  add_to_query(query, "user", connection.user);
  add_to_query(query, "password", connection.password);
  each_parameter(connection, Client::kJdbc,
                 [&](const auto& name, const auto& value) { add_to_query(query, name, value); });
  return "jdbc:postgresql://" + host_ports(connection) + "/" + percent_encode(connection.database) +
         query;
}

std::string to_pgpass(const Connection& connection) {
  std::string lines;
  for (const auto& [host, port] : connection.hosts) {
    lines += pgpass_field(host) + ":" + std::to_string(port) + ":" +
             pgpass_field(connection.database) + ":" + pgpass_field(connection.user) + ":" +
             pgpass_field(connection.password) + "\n";
  }
  return lines;
}

std::string to_libpq(const Connection& connection) {
  std::string text;
  add_conninfo(text, "host", hosts_of(connection));
  add_conninfo(text, "port", ports_of(connection));
  add_conninfo(text, "dbname", connection.database);
  add_conninfo(text, "user", connection.user);
  add_conninfo(text, "password", connection.password);
  each_parameter(connection, Client::kLibpq,
                 [&](const auto& name, const auto& value) { add_conninfo(text, name, value); });
  return text;
}

std::string to_npgsql(const Connection& connection) {
  std::string text;
  if (connection.hosts.size() == 1) {
    add_npgsql(text, "Host", connection.hosts.front().host);
    add_npgsql(text, "Port", std::to_string(connection.hosts.front().port));
  } else {
    add_npgsql(text, "Host", host_ports(connection));
  }
  add_npgsql(text, "Database", connection.database);
  add_npgsql(text, "Username", connection.user);
  add_npgsql(text, "Password", connection.password);
  each_parameter(connection, Client::kNpgsql,
                 [&](const auto& name, const auto& value) { add_npgsql(text, name, value); });
  return text;
}

std::string to_sqlalchemy_asyncpg(const Connection& connection) {
  std::string query;
  std::string host;
  if (connection.hosts.size() == 1) {
    host = host_ports(connection);
  } else {
    add_to_query(query, "host", hosts_of(connection));
    add_to_query(query, "port", all_ports(connection));
  }
  // SQLAlchemy before 2.1 does not decode the path; what is in the query every version does.
  const std::string encoded = percent_encode(connection.database);
  const bool plain = encoded == connection.database;
  if (!plain) add_to_query(query, "database", connection.database);
  each_parameter(connection, Client::kAsyncpg,
                 [&](const auto& name, const auto& value) { add_to_query(query, name, value); });
  return "postgresql+asyncpg://" + percent_encode(connection.user) + ":" +
         percent_encode(connection.password) + "@" + host + "/" + (plain ? encoded : "") + query;
}

}  // namespace pooler::urls
