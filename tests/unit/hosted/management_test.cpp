#include "hosted/management.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"

namespace pooler::hosted {
namespace {

using testing::HasSubstr;
using testing::Not;
using Kind = kube::TransportError::Kind;

constexpr const char* kProject = "abcdefghijklmnopqrst";
constexpr const char* kHost = "aws-1-eu-central-1.pooler.supabase.com";

// As the API's reference has it.
Json entry() {
  return {{"identifier", kProject},
          {"database_type", "PRIMARY"},
          {"is_using_scram_auth", true},
          {"db_user", "postgres.abcdefghijklmnopqrst"},
          {"db_host", kHost},
          {"db_port", 6543},
          {"db_name", "postgres"},
          {"connection_string", "postgresql://postgres.abcdefghijklmnopqrst:[YOUR-PASSWORD]@x"},
          {"default_pool_size", nullptr},
          {"max_client_conn", 200},
          {"pool_mode", "transaction"}};
}

std::string problem(const Json& body) {
  const auto pooler = decode_pooler(to_bytes(body), kProject);
  EXPECT_FALSE(pooler.ok()) << to_bytes(body);
  return pooler.ok() ? "" : pooler.error();
}

ApiFailure failed(const ApiAnswer& answer) {
  const auto read = read_answer(answer, kProject);
  EXPECT_FALSE(read.ok());
  return read.ok() ? ApiFailure() : read.error();
}

ApiAnswer status(int code, std::optional<std::chrono::seconds> retry_after = std::nullopt) {
  return kube::Response{code, retry_after, R"({"message": "s3cret words"})"};
}

ApiAnswer broken(Kind kind) { return failure(kube::TransportError{kind, "words"}); }

TEST(ApiUrl, ThatCanBeAsked) {
  for (const char* url :
       {"https://api.supabase.com", "https://api.supabase.com/", "http://proxy.example.com:8080",
        "https://proxy.example.com/supabase/", "https://10.0.0.9:8443/a", "https://[fd00::1]:8443",
        "https://[fd00::1]/a"}) {
    EXPECT_EQ(trouble_with_api_url(url), "") << url;
  }
}

TEST(ApiUrl, ThatCanNot) {
  const std::pair<const char*, const char*> urls[] = {
      {"", "begin with https://"},
      {"api.supabase.com", "begin with https://"},
      {"HTTPS://api.supabase.com", "begin with https://"},
      {"https://", "name a host"},
      {"https:///v1", "name a host"},
      {"https://:443", "name a host"},
      {"https://[fd00::1", "name a host"},
      {"https://[]", "name a host"},
      {"https://fd00::1", "name a host"},
      {"https://api.supabase.com:", "port from 1"},
      {"https://api.supabase.com:0", "port from 1"},
      {"https://api.supabase.com:65536", "port from 1"},
      {"https://api_supabase%2ecom", "name a host"},
      {"https://me:s3cret@api.supabase.com", "user or a password"},
      {"https://api.supabase.com?key=s3cret", "query"},
      {"https://api.supabase.com/#s3cret", "query or a fragment"},
      {"https://api.supabase.com/s3 cret", "blank"},
      {"https://api.supabase.com\r\nHost: s3cret", "blank"}};
  for (const auto& [url, words] : urls) {
    EXPECT_THAT(trouble_with_api_url(url), HasSubstr(words)) << url;
    EXPECT_THAT(trouble_with_api_url(url), Not(HasSubstr("s3"))) << url;
  }
}

TEST(DecodePooler, ReadsThePrimary) {
  const auto pooler = decode_pooler(to_bytes(Json::array({entry()})), kProject);
  ASSERT_TRUE(pooler.ok()) << pooler.error();
  EXPECT_EQ(*pooler, (ProjectPooler{kHost, std::nullopt, 200}));
}

TEST(DecodePooler, TakesThePrimaryAmongOthers) {
  Json replica = entry();
  replica["database_type"] = "READ_REPLICA";
  replica["db_host"] = "aws-0-us-east-1.pooler.supabase.com";
  Json dedicated = entry();
  dedicated["db_host"] = "db.abcdefghijklmnopqrst.supabase.co";
  dedicated["db_user"] = "postgres";
  const auto pooler = decode_pooler(
      to_bytes(Json::array({replica, Json(7), Json::object(), dedicated, entry()})), kProject);
  ASSERT_TRUE(pooler.ok()) << pooler.error();
  EXPECT_EQ(pooler->host, kHost);
}

TEST(DecodePooler, WhatIsNoAnswer) {
  EXPECT_EQ(decode_pooler("", kProject).error(), "is no list of poolers");
  EXPECT_EQ(decode_pooler("[{", kProject).error(), "is no list of poolers");
  EXPECT_EQ(problem(entry()), "is no list of poolers");
  EXPECT_EQ(problem(Json::array()), "has no entry of a primary database");
  EXPECT_EQ(decode_pooler(std::string(kMaxAnswerBytes + 1, ' '), kProject).error(), "is too long");
  EXPECT_FALSE(decode_pooler(std::string(kMaxAnswerBytes, '['), kProject).ok());
}

struct Spoiled {
  const char* field;
  Json value;
  const char* problem;
};

TEST(DecodePooler, WhatCanNotBeUsed) {
  const Spoiled cases[] = {
      {"db_host", "pooler.example.com", "names a host that is not under pooler.supabase.com"},
      {"db_host", "aws-0.pooler.supabase.com.example.com",
       "names a host that is not under pooler.supabase.com"},
      {"db_host", "evil.com/.pooler.supabase.com",
       "names a host that is not under pooler.supabase.com"},
      {"db_host", nullptr, "names a host that is not under pooler.supabase.com"},
      {"db_user", "postgres.zzzzzzzzzzzzzzzzzzzz", "is about another project"},
      {"identifier", "zzzzzzzzzzzzzzzzzzzz", "is about another project"},
      {"default_pool_size", "many", "has a size that is no number"},
      {"default_pool_size", 1.5, "has a size that is no number"},
      {"max_client_conn", -1, "has a size that is no number"},
      {"max_client_conn", 18446744073709551615U, "has a size that is no number"},
      {"database_type", "READ_REPLICA", "has no entry of a primary database"}};
  for (const auto& [field, value, words] : cases) {
    Json spoiled = entry();
    spoiled[field] = value;
    EXPECT_EQ(problem(Json::array({spoiled})), words) << field << " " << to_bytes(value);
  }
}

// What is used for nothing may be anything: a project is not without a pooler for it.
TEST(DecodePooler, WhatIsNotNeeded) {
  for (const char* field : {"identifier", "db_user", "db_port", "pool_mode", "connection_string"}) {
    for (const bool erased : {false, true}) {
      Json odd = entry();
      odd[field] = nullptr;
      if (erased) odd.erase(field);
      const auto pooler = decode_pooler(to_bytes(Json::array({odd})), kProject);
      ASSERT_TRUE(pooler.ok()) << field;
      EXPECT_EQ(pooler->host, kHost) << field;
    }
  }
  Json bare = entry();
  bare["db_user"] = "postgres";
  EXPECT_TRUE(decode_pooler(to_bytes(Json::array({bare})), kProject).ok());
}

// What is not known is not zero.
TEST(DecodePooler, SizesThatAreNotSet) {
  Json bare = entry();
  bare.erase("default_pool_size");
  bare["max_client_conn"] = 0;
  const auto pooler = decode_pooler(to_bytes(Json::array({bare})), kProject);
  ASSERT_TRUE(pooler.ok());
  EXPECT_EQ(pooler->pool_size, std::nullopt);
  EXPECT_EQ(pooler->max_clients, std::nullopt);
}

TEST(ReadAnswer, EachFailureHasItsWordsAndRemedy) {
  struct Told {
    ApiAnswer answer;
    bool lasting;
    const char* words;
  };
  const Told all[] = {{status(401), true, "spec.supabase.managementTokenSecretRef"},
                      {status(403), true, "database_pooling_config_read"},
                      {status(404), true, "spec.supabase.projectRef"},
                      {status(429), false, "too often (429)"},
                      {status(500), false, "fails (500)"},
                      {status(503), false, "fails (503)"},
                      {status(302), true, "none of its own (302)"},
                      {status(204), true, "none of its own (204)"},
                      {status(200), true, "it is no list of poolers"},
                      {broken(Kind::kTimeout), false, "does not answer in time"},
                      {broken(Kind::kCanceled), false, "does not answer in time"},
                      {broken(Kind::kConnect), false, "let the operator's pods connect"},
                      {broken(Kind::kTls), false, "certificate"},
                      {broken(Kind::kDisconnected), false, "breaks off"},
                      {broken(Kind::kProtocol), true, "256 KiB"}};
  for (const auto& [answer, lasting, words] : all) {
    const ApiFailure told = failed(answer);
    EXPECT_EQ(told.lasting, lasting) << words;
    EXPECT_THAT(told.message, HasSubstr(words));
    EXPECT_THAT(told.message, HasSubstr("Management API"));
    EXPECT_THAT(told.message, Not(HasSubstr("s3cret"))) << "nothing of a body is told";
  }
  EXPECT_EQ(failed(status(429, std::chrono::seconds(17))).retry_after, std::chrono::seconds(17));
}

TEST(PoolerRequest, SaysWhatIsWantedAndByWhom) {
  const kube::Request request = pooler_request(kProject, "t0ken");
  EXPECT_EQ(request.method, kube::Method::kGet);
  EXPECT_EQ(request.path, "/v1/projects/abcdefghijklmnopqrst/config/database/pooler");
  EXPECT_EQ(request.bearer_token, "t0ken");
}

TEST(ReadToken, TakesWhatCanStandInAHeader) {
  EXPECT_EQ(read_token("sbp_0123\n"), "sbp_0123");
  EXPECT_EQ(read_token(" sbp_0123 "), "sbp_0123");
  for (const char* bad : {"", "\n", "a b", "a\r\nHost: evil", "pässwort", "a\x7f"}) {
    EXPECT_EQ(read_token(bad), std::nullopt) << bad;
  }
  EXPECT_EQ(read_token(std::string(4097, 'x')), std::nullopt);
}

TEST(LimitsOfSize, AreSupabasesTable) {
  EXPECT_EQ(limits_of_size(60)->pool_size, 15);
  EXPECT_EQ(limits_of_size(60)->max_clients, 200);
  EXPECT_EQ(limits_of_size(490)->max_clients, 6000);
  EXPECT_FALSE(limits_of_size(500)) << "two sizes have as many";
  EXPECT_FALSE(limits_of_size(100));
  EXPECT_FALSE(limits_of_size(0));
}

}  // namespace
}  // namespace pooler::hosted
