#include "base/certificates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "fault/certificates.h"

namespace pooler {
namespace {

using fault::Authority;
using fault::KeyPair;
using fault::Wanted;
using testing::HasSubstr;

std::string trouble_with_leaf(const std::string& chain) {
  const auto leaf = read_leaf(chain);
  return leaf.ok() ? "" : leaf.error();
}

// `key` as OpenSSL writes it with a passphrase.
std::string encrypted(const std::string& key) {
  BIO* in = BIO_new_mem_buf(key.data(), static_cast<int>(key.size()));
  EVP_PKEY* parsed = PEM_read_bio_PrivateKey(in, nullptr, nullptr, nullptr);
  BIO* out = BIO_new(BIO_s_mem());
  char passphrase[] = "open sesame";
  PEM_write_bio_PKCS8PrivateKey(out, parsed, EVP_aes_256_cbc(), passphrase,
                                static_cast<int>(sizeof passphrase - 1), nullptr, nullptr);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out, &data);  // NOLINT: OpenSSL's type
  std::string text(data, static_cast<std::size_t>(size));
  EVP_PKEY_free(parsed);
  BIO_free(in);
  BIO_free(out);
  return text;
}

TEST(Leaf, IsTheFirstOfTheChain) {
  const Authority authority;
  const KeyPair pair = authority.issue("DNS:localhost");
  const auto alone = read_leaf(pair.certificate);
  ASSERT_TRUE(alone.ok()) << alone.error();
  EXPECT_EQ(alone->fingerprint.size(), 64U);
  EXPECT_EQ(alone->fingerprint.find_first_not_of("0123456789abcdef"), std::string::npos);
  const auto chain = read_leaf("a comment\n" + pair.certificate + authority.pem());
  ASSERT_TRUE(chain.ok()) << chain.error();
  EXPECT_EQ(chain->fingerprint, alone->fingerprint);
  EXPECT_NE(read_leaf(authority.pem() + pair.certificate)->fingerprint, alone->fingerprint);
  EXPECT_NE(read_leaf(authority.issue("DNS:localhost").certificate)->fingerprint,
            alone->fingerprint);
}

TEST(Leaf, TellsItsEnd) {
  const Authority authority;
  const auto now = SystemClock().wall();
  const auto end = read_leaf(authority.issue("", 3600).certificate)->not_after;
  EXPECT_GT(end, now + std::chrono::minutes(58));
  EXPECT_LT(end, now + std::chrono::minutes(62));
  EXPECT_LT(read_leaf(authority.issue("", -60).certificate)->not_after, now);
}

TEST(Leaf, TellsItsBeginAndWhenTheFirstOfItsChainEnds) {
  const auto now = SystemClock().wall();
  const Authority authority(7200);
  const KeyPair later = authority.issue(Wanted{.begin = 3600, .end = 86400});
  const auto leaf = read_leaf(later.certificate + authority.pem());
  ASSERT_TRUE(leaf.ok()) << leaf.error();
  EXPECT_GT(leaf->not_before, now + std::chrono::minutes(58));
  EXPECT_LT(leaf->not_before, now + std::chrono::minutes(62));
  EXPECT_GT(leaf->not_after, now + std::chrono::hours(23));
  EXPECT_LT(leaf->chain_end, now + std::chrono::hours(3)) << "that of the authority";
  EXPECT_EQ(read_leaf(later.certificate)->chain_end, leaf->not_after);
}

TEST(Leaf, OfEveryKindThatPeopleHave) {
  const Authority authority;
  for (const auto kind : {Wanted::Kind::kP256, Wanted::Kind::kEd25519, Wanted::Kind::kRsa2048}) {
    const KeyPair pair = authority.issue(Wanted{.kind = kind});
    EXPECT_EQ(trouble_with_leaf(pair.certificate), "");
    EXPECT_EQ(trouble_with_key(pair.key, pair.certificate), "");
    EXPECT_EQ(trouble_with_key(authority.issue(Wanted{.kind = kind}).key, pair.certificate),
              "is the key of another certificate");
  }
}

// As PgBouncer would, which only says so in its log.
TEST(Leaf, ThatOpenSslRefusesAsTooWeak) {
  const Authority authority;
  for (const Wanted& weak : {Wanted{.kind = Wanted::Kind::kRsa1024}, Wanted{.sha1 = true}}) {
    EXPECT_THAT(trouble_with_leaf(authority.issue(weak).certificate), HasSubstr("too weak"));
    EXPECT_THAT(
        trouble_with_leaf(authority.issue("").certificate + authority.issue(weak).certificate),
        HasSubstr("too weak"))
        << "further up the chain, too";
  }
}

std::string with_crlf(const std::string& text) {
  std::string changed;
  for (const char c : text) changed += c == '\n' ? std::string("\r\n") : std::string(1, c);
  return changed;
}

// What editors and other tools make of a file.
TEST(Leaf, InOtherWritings) {
  const Authority authority;
  const KeyPair pair = authority.issue("");
  const std::string mark = "\xEF\xBB\xBF";
  EXPECT_EQ(trouble_with_leaf(with_crlf(pair.certificate)), "");
  EXPECT_EQ(trouble_with_key(with_crlf(pair.key), with_crlf(pair.certificate)), "");
  EXPECT_EQ(trouble_with_authorities(with_crlf(authority.pem())), "");
  EXPECT_EQ(trouble_with_leaf(mark + pair.certificate), "") << "as OpenSSL 3 reads it";
  // As `openssl ecparam -genkey` writes it.
  const std::string parameters =
      "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
  EXPECT_EQ(trouble_with_key(parameters + pair.key, pair.certificate), "");
  const std::string old_form =
      "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
      "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAA\n"
      "-----END RSA PRIVATE KEY-----\n";
  EXPECT_THAT(trouble_with_key(old_form, pair.certificate), HasSubstr("passphrase"));
}

TEST(Leaf, IsForItsHosts) {
  const Authority authority;
  const KeyPair pair = authority.issue("DNS:a.shop.svc,DNS:*.example.com,IP:10.0.0.7");
  for (const char* host : {"a.shop.svc", "pooler.example.com", "10.0.0.7"}) {
    EXPECT_TRUE(is_for_host(pair.certificate, host)) << host;
  }
  for (const char* host : {"b.shop.svc", "example.com", "10.0.0.8", ""}) {
    EXPECT_FALSE(is_for_host(pair.certificate, host)) << host;
  }
  const KeyPair old = authority.issue(Wanted{.common_name = "a.shop.svc"});
  EXPECT_TRUE(is_for_host(old.certificate, "a.shop.svc")) << "as libpq has it";
}

// RFC 5280: 99991231235959Z where a certificate has no end.
TEST(Leaf, ThatLastsForEverEndsAtTheEndOfTime) {
  constexpr long kEightThousandYears = 8'000L * 365 * 86400 - 80'000L * 86400;
  const auto leaf = read_leaf(Authority().issue("", kEightThousandYears).certificate);
  ASSERT_TRUE(leaf.ok()) << leaf.error();
  EXPECT_GE(rfc3339(leaf->not_after), "2262-04-11T23:47:15Z");
}

TEST(Leaf, WhatIsNone) {
  const KeyPair pair = Authority().issue("");
  EXPECT_EQ(trouble_with_leaf(""), "is empty");
  EXPECT_EQ(trouble_with_leaf(" \n"), "is empty");
  EXPECT_EQ(trouble_with_leaf(std::string(kMaxPemBytes + 1, 'x')), "has more than 256 KiB");
  for (const std::string& other : {std::string("x"), pair.key, std::string("\x30\x82\x01", 3)}) {
    EXPECT_THAT(trouble_with_leaf(other), HasSubstr("no certificate in PEM form"));
  }
  std::string broken = pair.certificate;
  broken.replace(broken.find('\n') + 20, 8, "AAAAAAAA");
  std::string cut = pair.certificate.substr(0, pair.certificate.size() / 2);
  for (const std::string& other : {broken, cut, pair.certificate + cut}) {
    EXPECT_EQ(trouble_with_leaf(other), "holds a certificate that can't be read");
  }
}

TEST(Key, BelongsToItsCertificate) {
  const Authority authority;
  const KeyPair pair = authority.issue("");
  EXPECT_EQ(trouble_with_key(pair.key, pair.certificate), "");
  EXPECT_EQ(trouble_with_key(pair.key, pair.certificate + authority.pem()), "");
  for (const std::string& other : {authority.pem(), authority.issue("").certificate}) {
    EXPECT_EQ(trouble_with_key(pair.key, other), "is the key of another certificate");
  }
}

TEST(Key, OfACertificateThatIsNotTheFirst) {
  const Authority authority;
  const KeyPair pair = authority.issue("");
  EXPECT_THAT(trouble_with_key(pair.key, authority.pem() + pair.certificate),
              HasSubstr("not the first one: it has to come first"));
}

TEST(Key, WhatIsNone) {
  const KeyPair pair = Authority().issue("");
  EXPECT_EQ(trouble_with_key("", pair.certificate), "is empty");
  for (const std::string& other : {std::string("x"), pair.certificate, pair.key.substr(0, 80)}) {
    EXPECT_THAT(trouble_with_key(other, pair.certificate), HasSubstr("no private key in PEM form"));
  }
  EXPECT_THAT(trouble_with_key(encrypted(pair.key), pair.certificate), HasSubstr("passphrase"));
}

TEST(Authorities, OneIsEnough) {
  const Authority authority;
  const KeyPair pair = authority.issue("");
  EXPECT_EQ(trouble_with_authorities(authority.pem()), "");
  EXPECT_EQ(trouble_with_authorities(pair.certificate + "# and its issuer\n" + authority.pem()),
            "");
  EXPECT_THAT(trouble_with_authorities(pair.certificate), HasSubstr("no certificate of an"));
  EXPECT_EQ(trouble_with_authorities(""), "is empty");
  EXPECT_THAT(trouble_with_authorities("x"), HasSubstr("no certificate in PEM form"));
}

TEST(Authorities, EndWithTheLast) {
  const Authority authority;
  const auto now = SystemClock().wall();
  const std::string gone = Authority(-60).pem();
  EXPECT_LT(end_of_authorities(gone), now);
  EXPECT_GT(end_of_authorities(gone + authority.pem() + gone), now);
  EXPECT_LT(end_of_authorities(gone + authority.issue("").certificate), now)
      << "a server's certificate is none";
}

TEST(Authorities, OneThatIsBrokenIsNotPassedOver) {
  const Authority authority;
  std::string broken = authority.pem();
  broken.replace(broken.find('\n') + 20, 8, "AAAAAAAA");
  EXPECT_EQ(trouble_with_authorities(authority.pem() + broken + authority.pem()),
            "holds a certificate that can't be read");
}

// They are published as they are.
TEST(Authorities, HaveNoPrivateKeyAmongThem) {
  const Authority authority;
  const KeyPair pair = authority.issue("");
  for (const std::string& key :
       {pair.key, encrypted(pair.key), std::string("-----BEGIN RSA PRIVATE KEY-----\nMII="),
        std::string("-----BEGIN EC PRIVATE KEY-----\nMII=")}) {
    for (const std::string& text : {authority.pem() + key, key + authority.pem(), key}) {
      EXPECT_EQ(trouble_with_authorities(text),
                "holds a private key, which would be published: leave only certificates");
    }
  }
}

TEST(Certificates, ErrorsHoldNothingOfTheText) {
  const KeyPair pair = Authority().issue("");
  const std::string hostile = "s3cret " + pair.key.substr(0, 90);
  for (const std::string& error :
       {trouble_with_leaf(hostile), trouble_with_key(hostile, pair.certificate),
        trouble_with_authorities(hostile)}) {
    EXPECT_NE(error, "");
    EXPECT_EQ(error.find("s3cret"), std::string::npos);
    EXPECT_EQ(error.find(pair.key.substr(30, 20)), std::string::npos);
  }
}

}  // namespace
}  // namespace pooler
