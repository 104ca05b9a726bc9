#include "load/wire.h"

#include <gtest/gtest.h>

namespace pooler::load {
namespace {

using namespace std::string_literals;

struct Owned {
  char type;
  std::string body;
  bool operator==(const Owned&) const = default;
};

/// A login, an answer with a NULL, an error and a message without a body.
const std::string kStream =
    "R\0\0\0\x08\0\0\0\0"s + "K\0\0\0\x0c\0\0\x04\xd2\0\0\x16\x2e"s + "Z\0\0\0\x05I"s +
    "D\0\0\0\x13\0\x03\0\0\0\x01\x37\xff\xff\xff\xff\0\0\0\0"s + "C\0\0\0\x0dSELECT 1\0"s +
    "E\0\0\0\x18SFATAL\0C57P01\0Mbye\0\0"s + "I\0\0\0\x04"s;

std::vector<Owned> read_in_pieces(std::string_view stream, std::size_t piece) {
  MessageReader reader;
  std::vector<Owned> messages;
  for (std::size_t at = 0; at < stream.size(); at += piece) {
    reader.feed(stream.substr(at, piece));
    while (const auto message = reader.next()) {
      messages.push_back({message->type, std::string(message->body)});
    }
  }
  EXPECT_FALSE(reader.broken());
  return messages;
}

TEST(Wire, CutsTheStreamTheSameInPiecesOfAnySize) {
  const auto whole = read_in_pieces(kStream, kStream.size());
  ASSERT_EQ(whole.size(), 7U);
  std::string types;
  for (const auto& message : whole) types += message.type;
  EXPECT_EQ(types, "RKZDCEI");
  for (std::size_t piece = 1; piece < kStream.size(); ++piece) {
    EXPECT_EQ(read_in_pieces(kStream, piece), whole) << piece;
  }
}

TEST(Wire, ReadsTheMessages) {
  const auto messages = read_in_pieces(kStream, 1);
  ASSERT_EQ(messages.size(), 7U);
  EXPECT_EQ(parse_authentication(messages[0].body)->first, 0U);
  const auto key = parse_backend_key(messages[1].body);
  ASSERT_TRUE(key);
  EXPECT_EQ(key->process, 1234U);
  EXPECT_EQ(key->secret, 5678U);
  EXPECT_EQ(messages[2].body, "I");
  EXPECT_EQ(parse_data_row(messages[3].body), (Row{"7", std::nullopt, ""}));
  EXPECT_EQ(parse_string(messages[4].body), "SELECT 1");
  const auto error = parse_error(messages[5].body);
  EXPECT_EQ(error.severity, "FATAL");
  EXPECT_EQ(error.sqlstate, "57P01");
  EXPECT_EQ(error.message, "bye");
  EXPECT_TRUE(error.fatal());
}

TEST(Wire, RefusesImpossibleLengths) {
  for (const auto& stream :
       {"Z\0\0\0\x03"s, "Z\0\0\0\0"s, "Z\x7f\xff\xff\xff"s, "Z\xff\xff\xff\xff"s}) {
    MessageReader reader;
    reader.feed(stream);
    EXPECT_FALSE(reader.next());
    EXPECT_TRUE(reader.broken());
    reader.reset();
    EXPECT_FALSE(reader.broken());
  }
}

TEST(Wire, TheUntranslatedSeverityWins) {
  const auto error = parse_error("SSCHWERWIEGEND\0VFATAL\0C53300\0Mzu viele\0\0"s);
  EXPECT_EQ(error.severity, "FATAL");
}

TEST(Wire, SurvivesTruncatedBodies) {
  const auto row = "\0\x03\0\0\0\x01\x37\xff\xff\xff\xff\0\0\0\x02xy"s;
  EXPECT_TRUE(parse_data_row(row));
  const auto error = "SFATAL\0C57P01\0Mbye\0\0"s;
  for (std::size_t length = 0; length < row.size(); ++length) {
    EXPECT_FALSE(parse_data_row(std::string_view(row).substr(0, length))) << length;
  }
  for (std::size_t length = 0; length < error.size(); ++length) {
    parse_error(std::string_view(error).substr(0, length));
  }
  EXPECT_FALSE(parse_backend_key("\0\0\0\x01"s));
  EXPECT_FALSE(parse_authentication("\0\0"s));
  EXPECT_EQ(parse_string(""), "");
}

TEST(Wire, FindsMechanisms) {
  EXPECT_TRUE(offers_mechanism("SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"s, "SCRAM-SHA-256"));
  EXPECT_FALSE(offers_mechanism("SCRAM-SHA-256-PLUS\0\0"s, "SCRAM-SHA-256"));
  EXPECT_FALSE(offers_mechanism(""s, "SCRAM-SHA-256"));
}

TEST(Wire, WritesTheMessages) {
  EXPECT_EQ(startup_message({{"user", "a"}}), "\0\0\0\x10\0\x03\0\0user\0a\0\0"s);
  EXPECT_EQ(query_message("select 1"), "Q\0\0\0\x0dselect 1\0"s);
  EXPECT_EQ(terminate_message(), "X\0\0\0\x04"s);
  EXPECT_EQ(cancel_message({1234, 5678}), "\0\0\0\x10\x04\xd2\x16\x2e\0\0\x04\xd2\0\0\x16\x2e"s);
  EXPECT_EQ(sasl_initial_message("M", "xy"), "p\0\0\0\x0cM\0\0\0\0\x02xy"s);
  EXPECT_EQ(sasl_response_message("xy"), "p\0\0\0\x06xy"s);
}

TEST(Wire, QuotesLiterals) {
  EXPECT_EQ(sql_literal("a"), "'a'");
  EXPECT_EQ(sql_literal("it's"), "'it''s'");
  EXPECT_EQ(sql_literal("a\\'b"), "E'a\\\\''b'");
}

}  // namespace
}  // namespace pooler::load
