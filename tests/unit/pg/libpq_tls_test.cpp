// Encrypted sessions of the real kind: certificates from memory, and what the other end has shown.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "base/certificates.h"
#include "fault/certificates.h"
#include "pg/libpq_session.h"
#include "pg/memory_file.h"
#include "unit/pg/drive.h"

namespace pooler::pg::testing {
namespace {

using State = Session::State;
using fault::Authority;
using fault::KeyPair;
using ::testing::HasSubstr;

template <class T>
T* from_pem(const std::string& pem, T* (*read)(BIO*, T**, pem_password_cb*, void*)) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  T* item = read(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  return item;
}

// Lets everyone in who shows a certificate of `clients`, one connection after another; asks for
// none where that is empty.
class TlsPostgres {
 public:
  TlsPostgres(const KeyPair& identity, const std::string& clients)
      : context_(SSL_CTX_new(TLS_server_method())) {
    std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to a client that has left
    X509* certificate = from_pem(identity.certificate, PEM_read_bio_X509);
    EVP_PKEY* key = from_pem(identity.key, PEM_read_bio_PrivateKey);
    SSL_CTX_use_certificate(context_, certificate);
    SSL_CTX_use_PrivateKey(context_, key);
    X509_free(certificate);
    EVP_PKEY_free(key);
    if (!clients.empty()) {
      X509* authority = from_pem(clients, PEM_read_bio_X509);
      X509_STORE_add_cert(SSL_CTX_get_cert_store(context_), authority);
      X509_free(authority);
      SSL_CTX_set_verify(context_, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    }
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof where;
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&where), length), 0);
    EXPECT_EQ(listen(listener_, 8), 0);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&where), &length);
    port_ = ntohs(where.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~TlsPostgres() {
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
    SSL_CTX_free(context_);
  }
  TlsPostgres(const TlsPostgres&) = delete;
  TlsPostgres& operator=(const TlsPostgres&) = delete;

  [[nodiscard]] int port() const { return port_; }

 private:
  void serve() {
    while (!stopping_) {
      const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (client < 0) continue;
      SSL* ssl = SSL_new(context_);
      std::array<char, 8> request{};
      if (recv(client, request.data(), request.size(), MSG_WAITALL) == 8 &&
          send(client, "S", 1, MSG_NOSIGNAL) == 1 && SSL_set_fd(ssl, client) == 1 &&
          SSL_accept(ssl) == 1) {
        log_in(ssl);
      }
      SSL_free(ssl);
      // What was said last must arrive: closing with something unread would cut it off.
      ::shutdown(client, SHUT_WR);
      while (recv(client, request.data(), request.size(), 0) > 0) {
      }
      close(client);
    }
  }

  // AuthenticationOk and ReadyForQuery; then it listens until the client leaves.
  static void log_in(SSL* ssl) {
    constexpr std::array<char, 15> kWelcome = {'R', 0, 0, 0, 8, 0, 0, 0, 0, 'Z', 0, 0, 0, 5, 'I'};
    std::array<char, 1024> ignored{};
    if (SSL_read(ssl, ignored.data(), ignored.size()) <= 0) return;
    SSL_write(ssl, kWelcome.data(), kWelcome.size());
    while (SSL_read(ssl, ignored.data(), ignored.size()) > 0) {
    }
  }

  SSL_CTX* context_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

std::string contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Of this process: descriptors that lead to memory files.
int memory_files() {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const auto target = std::filesystem::read_symlink(entry.path(), gone);
    count += target.string().find("memfd:pooler") != std::string::npos ? 1 : 0;
  }
  return count;
}

TEST(MemoryFile, IsReadByItsPathAgainAndAgainAndByNobodyElse) {
  std::string path;
  {
    const MemoryFile file("some\ntext");
    path = file.path();
    EXPECT_EQ(contents(path), "some\ntext");
    EXPECT_EQ(contents(path), "some\ntext");
    struct stat about {};
    ASSERT_EQ(stat(path.c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 0777U, 0600U);
    EXPECT_TRUE(S_ISREG(about.st_mode));
    EXPECT_EQ(memory_files(), 1);
  }
  EXPECT_EQ(memory_files(), 0);
}

class LibpqTls : public ::testing::Test {
 protected:
  std::unique_ptr<Session> connect(const std::string& sslmode, Certificates certificates,
                                   const std::string& host = "localhost") {
    Target target;
    target.endpoints = {{host, "127.0.0.1", server_.port()}};
    target.params = {
        {"user", "app"}, {"dbname", "orders"}, {"sslmode", sslmode}, {"gssencmode", "disable"}};
    target.certificates = std::move(certificates);
    return factory_.connect(std::move(target), clock_.monotonic());
  }
  Certificates trusting(const Authority& authority) const {
    return {authority.pem(), client_.certificate, client_.key};
  }
  void expect_failure(Session& session, const std::string& words) {
    ASSERT_TRUE(drive_to(session, State::kFailed));
    EXPECT_EQ(session.error().kind, Error::Kind::kTls) << session.error().message;
    EXPECT_THAT(session.error().message, HasSubstr(words));
    EXPECT_EQ(memory_files(), 0);
  }

  Authority authority_;
  Authority other_;
  KeyPair identity_ = authority_.issue("DNS:localhost");
  KeyPair client_ = other_.issue("");
  TlsPostgres server_{identity_, other_.pem()};
  SystemClock clock_;
  ThreadResolver resolver_;
  LibpqSessionFactory factory_{resolver_};
};

TEST_F(LibpqTls, BothSidesAreVerifiedAndTheCertificateIsTold) {
  for (const char* mode : {"verify-full", "verify-ca"}) {
    auto session = connect(mode, trusting(authority_));
    EXPECT_EQ(memory_files(), 3);
    ASSERT_TRUE(drive_to(*session, State::kIdle)) << mode;
    EXPECT_EQ(session->peer_certificate(), read_leaf(identity_.certificate)->fingerprint);
    EXPECT_EQ(memory_files(), 0) << "nothing is held that is not needed any more";
  }
}

TEST_F(LibpqTls, AnUnknownAuthority) {
  auto session = connect("verify-ca", trusting(other_));
  expect_failure(*session, "certificate verify failed");
}

TEST_F(LibpqTls, AnotherHostName) {
  auto session = connect("verify-full", trusting(authority_), "db.test");
  expect_failure(*session, "does not match host name");
  session = connect("verify-ca", trusting(authority_), "db.test");
  EXPECT_TRUE(drive_to(*session, State::kIdle));
}

// Paths of the operator's own process mean nothing to people.
TEST_F(LibpqTls, WhatCanNotBeLoadedIsOfItsSecret) {
  for (const Certificates& broken :
       {Certificates{"x", client_.certificate, client_.key},
        Certificates{authority_.pem(), "x", client_.key},
        Certificates{authority_.pem(), client_.certificate, identity_.key}}) {
    auto session = connect("verify-full", broken);
    expect_failure(*session, "file of its Secret");
    EXPECT_EQ(session->error().message.find("/proc"), std::string::npos);
  }
}

TEST_F(LibpqTls, AServerThatAsksForACertificate) {
  auto session = connect("verify-full", {authority_.pem(), "", ""});
  ASSERT_TRUE(drive_to(*session, State::kFailed));
  EXPECT_EQ(session->error().kind, Error::Kind::kTls) << session->error().message;
  EXPECT_THAT(session->error().message, HasSubstr("certificate required"));
}

}  // namespace
}  // namespace pooler::pg::testing
