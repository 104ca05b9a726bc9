#include "load/scram.h"

#include <gtest/gtest.h>

namespace pooler::load {
namespace {

// RFC 7677 section 3: user "user", password "pencil".
constexpr const char* kClientNonce = "rOprNGfwEbeRWgbNEkqO";
constexpr const char* kServerFirst =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
constexpr const char* kClientFinal =
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
constexpr const char* kServerFinal = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

TEST(Scram, SpeaksTheExampleOfRfc7677) {
  ScramKeyCache cache;
  ScramClient client(cache, "pencil", kClientNonce, "user");
  EXPECT_EQ(client.first_message(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
  std::string error;
  EXPECT_EQ(client.final_message(kServerFirst, error), kClientFinal) << error;
  EXPECT_TRUE(client.verify_server(kServerFinal, error)) << error;
}

TEST(Scram, RefusesAServerThatDoesNotKnowTheVerifier) {
  ScramKeyCache cache;
  ScramClient client(cache, "pencil", kClientNonce, "user");
  std::string error;
  EXPECT_FALSE(client.verify_server(kServerFinal, error)) << "nothing was proved before the proof";
  ASSERT_TRUE(client.final_message(kServerFirst, error));
  EXPECT_FALSE(client.verify_server("v=AAAATRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", error));
  EXPECT_FALSE(client.verify_server("e=invalid-proof", error));
  EXPECT_FALSE(client.verify_server("", error));
}

TEST(Scram, RefusesBrokenServerFirstMessages) {
  ScramKeyCache cache;
  const std::string nonce = std::string("r=") + kClientNonce;
  for (const std::string& text :
       {std::string(), std::string("r="), nonce + "X", nonce + "X,s=W22ZaJ0SNY7soEsUEjb6gQ==",
        nonce + "X,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0", nonce + "X,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=-1",
        nonce + "X,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=99999999", nonce + "X,s=W22,i=4096",
        nonce + "X,s=,i=4096", nonce + "X,s=****,i=4096",
        nonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        std::string("r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")}) {
    ScramClient client(cache, "pencil", kClientNonce, "user");
    std::string error;
    EXPECT_FALSE(client.final_message(text, error)) << text;
    EXPECT_FALSE(error.empty());
  }
  EXPECT_EQ(cache.computed(), 0U);
}

TEST(Scram, ComputesTheKeysOncePerPasswordSaltAndIterations) {
  ScramKeyCache cache;
  const ScramKeys first = cache.keys("pencil", "salt", 4096);
  for (int i = 0; i < 4000; ++i) {
    EXPECT_EQ(cache.keys("pencil", "salt", 4096).client_key, first.client_key);
  }
  EXPECT_EQ(cache.computed(), 1U);
  EXPECT_NE(cache.keys("pencil2", "salt", 4096).client_key, first.client_key);
  EXPECT_NE(cache.keys("pencil", "salt2", 4096).client_key, first.client_key);
  EXPECT_NE(cache.keys("pencil", "salt", 4097).client_key, first.client_key);
  EXPECT_EQ(cache.computed(), 4U);
}

TEST(Scram, TheCacheStaysBounded) {
  ScramKeyCache cache;
  for (std::size_t i = 0; i <= ScramKeyCache::kMaxEntries; ++i) {
    cache.keys("pencil", std::to_string(i), 1);
  }
  EXPECT_EQ(cache.computed(), ScramKeyCache::kMaxEntries + 1);
  cache.keys("pencil", "0", 1);
  EXPECT_EQ(cache.computed(), ScramKeyCache::kMaxEntries + 2) << "the first one was forgotten";
}

TEST(Scram, EscapesTheUser) {
  ScramKeyCache cache;
  EXPECT_EQ(ScramClient(cache, "x", "abc", "a,b=c").first_message(), "n,,n=a=2Cb=3Dc,r=abc");
}

TEST(Scram, NoncesDiffer) {
  EXPECT_NE(scram_nonce(), scram_nonce());
  EXPECT_EQ(scram_nonce().find(','), std::string::npos);
}

}  // namespace
}  // namespace pooler::load
