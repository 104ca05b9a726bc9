#include "urls/parameters.h"

#include <algorithm>
#include <array>

namespace pooler::urls {
namespace {

// Empty: the client has no such parameter. Sources: PostgreSQL documentation "Parameter Key Words",
// pgjdbc "Connection Parameters", Npgsql "Connection String Parameters", asyncpg `connect()`.
struct Parameter {
  std::string_view name;
  bool libpq;
  std::string_view jdbc;
  std::string_view npgsql;
  std::string_view asyncpg;
};

constexpr std::array kParameters = std::to_array<Parameter>({
    {"application_name", true, "ApplicationName", "Application Name", ""},
    {"channel_binding", true, "channelBinding", "Channel Binding", ""},
    {"client_encoding", true, "", "Client Encoding", ""},
    {"connect_timeout", true, "connectTimeout", "Timeout", ""},  // seconds in all of them
    {"fallback_application_name", true, "", "", ""},
    {"gssdelegation", true, "", "", ""},
    {"gssencmode", true, "gssEncMode", "GSS Encryption Mode", ""},
    {"gsslib", true, "", "", ""},
    {"hostaddr", true, "", "", ""},
    {"keepalives", true, "", "", ""},
    {"keepalives_count", true, "", "", ""},
    {"keepalives_idle", true, "", "", ""},
    {"keepalives_interval", true, "", "", ""},
    {"krbsrvname", true, "", "", ""},
    {"load_balance_hosts", true, "", "", ""},
    {"options", true, "options", "Options", ""},
    {"passfile", true, "", "", ""},
    {"replication", true, "", "", ""},
    {"require_auth", true, "", "", ""},
    {"requirepeer", true, "", "", ""},
    {"requiressl", true, "", "", ""},
    {"service", true, "", "", ""},
    {"ssl_max_protocol_version", true, "", "", ""},
    {"ssl_min_protocol_version", true, "", "", ""},
    {"sslcert", true, "sslcert", "SSL Certificate", ""},
    {"sslcertmode", true, "", "", ""},
    {"sslcompression", true, "", "", ""},
    {"sslcrl", true, "", "", ""},
    {"sslcrldir", true, "", "", ""},
    {"sslkey", true, "sslkey", "SSL Key", ""},
    {"sslmode", true, "sslmode", "SSL Mode", "ssl"},
    {"sslnegotiation", true, "sslNegotiation", "SSL Negotiation", ""},
    {"sslpassword", true, "sslpassword", "SSL Password", ""},
    {"sslrootcert", true, "sslrootcert", "Root Certificate", ""},
    {"sslsni", true, "", "", ""},
    {"target_session_attrs", true, "targetServerType", "Target Session Attributes", ""},
    {"tcp_user_timeout", true, "", "", ""},
    // What one client alone has, for those who ask for it in spec.connectionSecret.parameters.
    {"MaxAutoPrepare", false, "", "Max Auto Prepare", ""},
    {"MaxPoolSize", false, "", "Maximum Pool Size", ""},
    {"NoResetOnClose", false, "", "No Reset On Close", ""},
    {"Pooling", false, "", "Pooling", ""},
    {"autosave", false, "autosave", "", ""},
    {"currentSchema", false, "currentSchema", "", ""},
    {"defaultRowFetchSize", false, "defaultRowFetchSize", "", ""},
    {"loginTimeout", false, "loginTimeout", "", ""},
    {"preferQueryMode", false, "preferQueryMode", "", ""},
    {"prepareThreshold", false, "prepareThreshold", "", ""},
    {"prepared_statement_cache_size", false, "", "", "prepared_statement_cache_size"},
    {"reWriteBatchedInserts", false, "reWriteBatchedInserts", "", ""},
    {"socketTimeout", false, "socketTimeout", "", ""},
    {"stringtype", false, "stringtype", "", ""},
    {"tcpKeepAlive", false, "tcpKeepAlive", "", ""},
});

// Values that a client has other words for. A parameter that is here has no others.
struct Word {
  Client client;
  std::string_view name;
  std::string_view libpq;
  std::string_view word;
};

constexpr std::array kWords = std::to_array<Word>({
    {Client::kJdbc, "target_session_attrs", "any", "any"},
    {Client::kJdbc, "target_session_attrs", "read-write", "primary"},
    {Client::kJdbc, "target_session_attrs", "primary", "primary"},
    {Client::kJdbc, "target_session_attrs", "read-only", "secondary"},
    {Client::kJdbc, "target_session_attrs", "standby", "secondary"},
    {Client::kJdbc, "target_session_attrs", "prefer-standby", "preferSecondary"},
    {Client::kNpgsql, "sslmode", "disable", "Disable"},
    {Client::kNpgsql, "sslmode", "allow", "Allow"},
    {Client::kNpgsql, "sslmode", "prefer", "Prefer"},
    {Client::kNpgsql, "sslmode", "require", "Require"},
    {Client::kNpgsql, "sslmode", "verify-ca", "VerifyCA"},
    {Client::kNpgsql, "sslmode", "verify-full", "VerifyFull"},
});

const Parameter* find(std::string_view name) {
  const auto* found = std::find_if(kParameters.begin(), kParameters.end(),
                                   [&](const Parameter& each) { return each.name == name; });
  return found == kParameters.end() ? nullptr : found;
}

std::string_view name_for(const Parameter& parameter, Client client) {
  switch (client) {
    case Client::kLibpq:
      return parameter.libpq ? parameter.name : std::string_view();
    case Client::kJdbc:
      return parameter.jdbc;
    case Client::kNpgsql:
      return parameter.npgsql;
    case Client::kAsyncpg:
      return parameter.asyncpg;
  }
  return {};
}

template <class Keep>
Connection only(Connection connection, Keep keep) {
  std::erase_if(connection.parameters, [&](const auto& each) { return !keep(find(each.first)); });
  return connection;
}

}  // namespace

Translated translated(std::string_view name, const std::string& value, Client client) {
  const Parameter* parameter = find(name);
  if (parameter == nullptr || value.empty()) return {};
  const std::string_view own = name_for(*parameter, client);
  if (own.empty()) return {};
  bool has_words = false;
  for (const Word& word : kWords) {
    if (word.client != client || word.name != name) continue;
    if (word.libpq == value) return {std::string(own), std::string(word.word)};
    has_words = true;
  }
  return has_words ? Translated() : Translated{std::string(own), value};
}

Connection for_uri(const Connection& connection) {
  return only(connection, [](const Parameter* known) { return known == nullptr || known->libpq; });
}

Connection for_libpq(const Connection& connection) {
  return only(connection, [](const Parameter* known) { return known != nullptr && known->libpq; });
}

Connection with_parameters(Connection connection, const api::Texts& parameters) {
  for (const auto& [name, value] : parameters) {
    auto& list = connection.parameters;
    const auto found = std::find_if(
        list.begin(), list.end(), [&name = name](const auto& each) { return each.first == name; });
    if (value.empty()) {
      if (found != list.end()) list.erase(found);
    } else if (found != list.end()) {
      found->second = value;
    } else {
      list.emplace_back(name, value);
    }
  }
  return connection;
}

}  // namespace pooler::urls
