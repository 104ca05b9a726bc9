// Certificates of both sides.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "base/certificates.h"
#include "engine/pgbouncer/parameters.h"
#include "engine/pgbouncer/render.h"
#include "fault/certificates.h"
#include "kube/events.h"
#include "unit/reconcile/plan_fixture.h"

namespace pooler::reconcile {
namespace {

namespace pgbouncer = engine::pgbouncer;

// Of type kubernetes.io/tls, as cert-manager writes it.
SecretData tls_secret(const fault::Authority& authority, const fault::Wanted& wanted) {
  const fault::KeyPair pair = authority.issue(wanted);
  return {{"tls.crt", pair.certificate}, {"tls.key", pair.key}, {"ca.crt", authority.pem()}};
}

SecretData tls_secret(const fault::Authority& authority, long days = 3650) {
  return tls_secret(authority,
                    fault::Wanted{.names = "DNS:orders-pooler.shop.svc", .end = days * 86400});
}

std::string fingerprint(const SecretData& secret) {
  return read_leaf(secret.at("tls.crt"))->fingerprint;
}

class PlanTls : public PlanTest {
 protected:
  PlanTls() {
    config_->spec.client_tls.secret = "orders-tls";
    see_.certificate_secrets["orders-tls"] = tls_secret(authority_);
  }

  // What the pods read there.
  [[nodiscard]] std::string file_named_by(const char* setting) const {
    const auto path = pgbouncer::setting_of(target_file(".pgbouncer.ini"), setting);
    return path ? see_.files.data.at(path->substr(path->rfind('/') + 1)) : "";
  }

  fault::Authority authority_;
};

TEST_F(PlanTls, ClientsAreShownTheCertificateAndToldToUseIt) {
  bring_up();
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
  const SecretData& secret = see_.certificate_secrets["orders-tls"];
  EXPECT_EQ(file_named_by("client_tls_cert_file"), secret.at("tls.crt"));
  EXPECT_EQ(file_named_by("client_tls_key_file"), secret.at("tls.key"));
  EXPECT_NE(see_.published.data.at("DATABASE_POOLED_URL").find("?sslmode=require"),
            std::string::npos);
  EXPECT_EQ(see_.published.data.at("DATABASE_URL"), kUri);
  EXPECT_EQ(see_.published.data.at("ca.crt"), authority_.pem());
  EXPECT_FALSE(see_.published.data.contains("direct-ca.crt"));
  for (const auto& pod : look().target.pods) {
    EXPECT_EQ(pod.certificates, (api::Texts{{target_hash(), fingerprint(secret)}}));
  }
  EXPECT_NE(message("ConfigurationValid").find("spec.clientTLS.secretRef is valid until 20"),
            std::string::npos);
  EXPECT_TRUE(look().look_again) << "nobody else tells when it ends";
}

TEST_F(PlanTls, TheQueryThatVerifiesMustBeShownTheCertificate) {
  bring_up_pods();
  const auto target = look().target.verification;
  ASSERT_TRUE(target);
  EXPECT_EQ(target->certificate, fingerprint(see_.certificate_secrets["orders-tls"]));
  EXPECT_EQ(target->connection.parameter("sslmode"), "require");
  config_->spec.client_tls = {};
  see_.live.verification = {};
  EXPECT_EQ(look().target.verification->certificate, "");
}

TEST_F(PlanTls, AnotherAuthorityAloneIsTriedBeforeItIsPublished) {
  config_->spec.connection_secret.pooled_parameters = {{"sslmode", "verify-full"}};
  bring_up();
  ASSERT_EQ(status("Ready"), "True Ready") << message("Ready");
  const std::string published = see_.published.data.at("ca.crt");
  const fault::Authority other;
  see_.certificate_secrets["orders-tls"]["ca.crt"] = other.pem();
  const auto wrong = step().target.verification;
  ASSERT_TRUE(wrong);
  EXPECT_EQ(see_.published.data.at("ca.crt"), published) << "the trial was of the one before";
  see_.live.verification = {wrong->token, live::Outcome::kFailed, "VerificationFailed", "no", true};
  step();
  EXPECT_EQ(status("SecretPublished"), "False VerificationFailed");
  const fault::Authority corrected;
  see_.certificate_secrets["orders-tls"]["ca.crt"] = corrected.pem();
  const auto right = step().target.verification;
  ASSERT_TRUE(right);
  EXPECT_NE(right->token, wrong->token) << "it is tried again";
  EXPECT_EQ(right->connection.certificates.authorities, corrected.pem());
  verification_answers();
  step();
  EXPECT_EQ(see_.published.data.at("ca.crt"), corrected.pem());
}

TEST_F(PlanTls, ARenewedCertificateGoesToOnePodThenToAllAndTheUrlsStay) {
  bring_up();
  const auto pods = see_.pods;
  const auto published = see_.published.data;
  const std::string before = target_hash();
  const std::string old_key = see_.certificate_secrets["orders-tls"].at("tls.key");
  see_.live.verification = {};
  see_.certificate_secrets["orders-tls"] = tls_secret(authority_);
  const std::string renewed = fingerprint(see_.certificate_secrets["orders-tls"]);
  step();
  Plan planned = step();
  ASSERT_EQ(planned.touches.size(), 1U);
  const std::string target = planned.touches[0].value;
  for (const auto& pod : planned.target.pods) {
    EXPECT_EQ(pod.certificates.size(), 2U) << "of the revision before, too";
    EXPECT_EQ(pod.certificates.at(target), renewed);
    EXPECT_TRUE(pod.certificates.contains(before));
  }
  pods_reload();
  ASSERT_TRUE(look().target.verification);
  EXPECT_EQ(look().target.verification->certificate, renewed);
  EXPECT_EQ(look().target.verification->address, see_.pods.back().address);
  settle();
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
  EXPECT_EQ(see_.published.data, published);
  EXPECT_EQ(see_.pods.at(0).uid, pods.at(0).uid);
  EXPECT_EQ(see_.pods.at(1).uid, pods.at(1).uid);
  EXPECT_EQ(pgbouncer::revisions_in(see_.files.data), std::vector{target});
  for (const auto& [name, bytes] : see_.files.data) {
    EXPECT_EQ(name.find(before), std::string::npos);
    EXPECT_NE(bytes, old_key) << "the old key is gone, too";
  }
}

TEST_F(PlanTls, TlsComesAndGoesWithTheSpecByReload) {
  config_->spec.client_tls = {};
  bring_up();
  const auto pods = see_.pods;
  for (const auto mode : {api::ClientTls::Mode::kOptional, api::ClientTls::Mode::kRequired,
                          api::ClientTls::Mode::kDisabled}) {
    config_->spec.client_tls = {mode, "orders-tls"};
    see_.live.verification = {};
    step();
    settle();
    EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
    const std::string& url = see_.published.data.at("pooled-uri");
    EXPECT_EQ(url.find("sslmode=require") != std::string::npos,
              mode == api::ClientTls::Mode::kRequired);
    EXPECT_EQ(url.find("sslmode=disable") != std::string::npos,
              mode == api::ClientTls::Mode::kDisabled);
    EXPECT_EQ(see_.published.data.contains("ca.crt"), mode != api::ClientTls::Mode::kDisabled);
  }
  EXPECT_EQ(see_.pods.at(0).uid, pods.at(0).uid);
  EXPECT_EQ(see_.pods.at(1).uid, pods.at(1).uid);
}

TEST_F(PlanTls, WhatCanNotBeUsedIsSaidWithItsFieldAndNothingChanges) {
  struct Case {
    std::function<void(SecretsByName&)> change;
    const char* reason;
    const char* words;
  };
  const std::string other_key = tls_secret(authority_).at("tls.key");
  const Case cases[] = {
      {[](SecretsByName& s) { s.erase("orders-tls"); }, "SecretNotFound",
       "spec.clientTLS.secretRef.name: Secret shop/orders-tls does not exist; create it with"},
      {[](SecretsByName& s) { s["orders-tls"].erase("tls.key"); }, "SecretKeyMissing",
       "spec.clientTLS.secretRef: Secret orders-tls has no key tls.key"},
      {[](SecretsByName& s) { s["orders-tls"]["tls.crt"] = "s3cret"; }, "SecretInvalid",
       "spec.clientTLS.secretRef: key tls.crt of Secret orders-tls holds no certificate"},
      {[&](SecretsByName& s) { s["orders-tls"]["tls.key"] = other_key; }, "SecretInvalid",
       "key tls.key of Secret orders-tls is the key of another certificate"},
      {[](SecretsByName& s) { s["orders-tls"]["ca.crt"] = "x"; }, "SecretInvalid",
       "key ca.crt of Secret orders-tls holds no certificate"},
      {[&](SecretsByName& s) { s["orders-tls"]["ca.crt"] += other_key; }, "SecretInvalid",
       "key ca.crt of Secret orders-tls holds a private key, which would be published"},
      {[&](SecretsByName& s) { s["db-ca"]["root.pem"] += other_key; }, "SecretInvalid",
       "key root.pem of Secret db-ca holds a private key, which would be published"},
      {[](SecretsByName& s) { s.erase("db-ca"); }, "SecretNotFound",
       "spec.database.tls.caSecretRef.name: Secret shop/db-ca does not exist"},
      {[](SecretsByName& s) { s["db-ca"].clear(); }, "SecretKeyMissing",
       "spec.database.tls.caSecretRef: Secret db-ca has no key root.pem"},
      {[](SecretsByName& s) { s["db-ca"]["root.pem"] = s["orders-tls"]["tls.crt"]; },
       "SecretInvalid", "key root.pem of Secret db-ca holds no certificate of an authority"},
      {[](SecretsByName& s) { s["db-client"].erase("tls.crt"); }, "SecretKeyMissing",
       "spec.database.tls.clientCertSecretRef: Secret db-client has no key tls.crt"},
  };
  config_->spec.database.tls = {std::nullopt, "db-ca", "root.pem", "db-client"};
  see_.certificate_secrets["db-ca"] = {{"root.pem", authority_.pem()}};
  see_.certificate_secrets["db-client"] = tls_secret(authority_);
  bring_up();
  ASSERT_EQ(status("Ready"), "True Ready") << message("Ready");
  const SecretsByName good = see_.certificate_secrets;
  const std::string asked = look().target.database->token;
  for (const Case& each : cases) {
    see_.certificate_secrets = good;
    each.change(see_.certificate_secrets);
    const Plan planned = step();
    EXPECT_TRUE(planned.writes.empty() && planned.removals.empty()) << each.words;
    EXPECT_EQ(status("ConfigurationValid"), "False " + std::string(each.reason)) << each.words;
    EXPECT_NE(message("ConfigurationValid").find(each.words), std::string::npos)
        << message("ConfigurationValid");
    EXPECT_EQ(message("ConfigurationValid").find("s3cret"), std::string::npos);
    EXPECT_EQ(status("PoolerAvailable"), "True Serving") << each.words;
    EXPECT_EQ(status("ConfigurationLoaded"), "True Loaded") << each.words;
    EXPECT_EQ(status("SecretPublished"), "True Published") << each.words;
    EXPECT_EQ(status("Stalled"), "absent") << "it may yet be mended";
    ASSERT_TRUE(planned.target.database) << each.words;
    EXPECT_EQ(planned.target.database->token, asked) << "with what the pods have: " << each.words;
    EXPECT_EQ(status("DatabaseReachable"), "True Connected") << each.words;
    EXPECT_EQ(planned.claim.identity, "10.0.0.9:5432") << "the neighbours wait for nothing";
    EXPECT_NE(message("ConfigurationLoaded").find("the last good configuration"), std::string::npos)
        << each.words;
  }
  see_.certificate_secrets = good;
  step();
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
}

TEST_F(PlanTls, ACertificateThatEndsIsSaidAndThePoolerGoesOn) {
  see_.now = SystemClock().wall();
  see_.certificate_secrets["orders-tls"] = tls_secret(authority_, 2);
  bring_up();
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
  see_.now += *look().look_again;
  const Plan planned = step();
  EXPECT_TRUE(planned.writes.empty() && planned.removals.empty());
  EXPECT_EQ(status("ConfigurationValid"), "False SecretInvalid");
  EXPECT_NE(message("ConfigurationValid").find("has expired at 20"), std::string::npos);
  EXPECT_EQ(status("PoolerAvailable"), "True Serving");

  const auto pods = see_.pods;
  see_.database_secret = SecretData{{"uri", "postgresql://app:r0tated@db.example.com:5432/orders"}};
  step();
  database_answers();
  see_.live.verification = {};
  step();
  settle();
  EXPECT_NE(target_file(".userlist.txt").find("r0tated"), std::string::npos)
      << "a new password does not wait for the certificate";
  EXPECT_NE(see_.published.data.at("pooled-uri").find("r0tated"), std::string::npos);
  EXPECT_EQ(status("ConfigurationLoaded"), "True Loaded") << message("ConfigurationLoaded");
  EXPECT_EQ(status("ConfigurationValid"), "False SecretInvalid");
  EXPECT_EQ(see_.pods.at(0).uid, pods.at(0).uid);

  const std::string before = target_hash();
  see_.certificate_secrets["orders-tls"] = tls_secret(authority_, -1);
  step();
  settle();
  EXPECT_EQ(target_hash(), before) << "an expired one that is new is not taken";
  EXPECT_EQ(status("ConfigurationValid"), "False SecretInvalid");
  EXPECT_NE(message("ConfigurationLoaded").find("the last good configuration"), std::string::npos);
}

TEST_F(PlanTls, WhatThePodsHaveTowardsTheDatabaseMayEnd) {
  see_.now = SystemClock().wall();
  const fault::Authority ending(3 * 86400);
  config_->spec.database.tls = {std::nullopt, "db-ca", "ca.crt", "db-client"};
  see_.certificate_secrets["db-ca"] = {{"ca.crt", ending.pem()}};
  see_.certificate_secrets["db-client"] = tls_secret(authority_, 2);
  bring_up();
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
  const std::string asked = look().target.database->token;
  for (const char* words :
       {"spec.database.tls.clientCertSecretRef: key tls.crt of Secret db-client has expired at 20",
        "spec.database.tls.caSecretRef: key ca.crt of Secret db-ca holds only authorities that "
        "have "
        "expired, the last at 20"}) {
    see_.now += *look().look_again;
    const Plan planned = step();
    EXPECT_TRUE(planned.writes.empty() && planned.removals.empty());
    EXPECT_EQ(planned.target.database->token, asked);
    EXPECT_EQ(status("ConfigurationValid"), "False SecretInvalid");
    EXPECT_NE(message("ConfigurationValid").find(words), std::string::npos)
        << message("ConfigurationValid");
    EXPECT_EQ(status("DatabaseReachable"), "True Connected");
    EXPECT_EQ(planned.claim.identity, "10.0.0.9:5432");
  }
}

// Of mode and authority that the pods have, not of those that can't be had yet.
TEST_F(PlanTls, ADatabaseIsAskedAsThePodsAskItWhileTheNewAuthorityIsMissing) {
  bring_up();
  const std::string asked = look().target.database->token;
  config_->spec.database.tls.ca_secret = "db-ca";
  const Plan planned = step();
  EXPECT_EQ(status("ConfigurationValid"), "False SecretNotFound");
  ASSERT_TRUE(planned.target.database);
  EXPECT_EQ(planned.target.database->connection.parameter("sslmode"), "");
  EXPECT_EQ(planned.target.database->connection.certificates, Certificates());
  EXPECT_EQ(planned.target.database->token, asked);
  EXPECT_EQ(status("DatabaseReachable"), "True Connected");
}

TEST_F(PlanTls, ACertificateIsNotUsedBeforeItIsValid) {
  see_.now = SystemClock().wall();
  see_.certificate_secrets["orders-tls"] = tls_secret(
      authority_,
      fault::Wanted{.names = "DNS:orders-pooler.shop.svc", .begin = 7200, .end = 3650L * 86400});
  step();
  database_answers();
  EXPECT_TRUE(step().writes.empty() || see_.files.data.empty());
  EXPECT_EQ(status("ConfigurationValid"), "False SecretInvalid");
  EXPECT_NE(message("ConfigurationValid").find("tls.crt of Secret orders-tls is not valid before"),
            std::string::npos);
  const auto wait = look().look_again;
  ASSERT_TRUE(wait);
  EXPECT_LT(*wait, std::chrono::hours(3));
  see_.now += *wait;
  step();
  EXPECT_EQ(status("ConfigurationValid"), "True Valid") << message("ConfigurationValid");
  EXPECT_FALSE(see_.files.data.empty());
}

TEST_F(PlanTls, PeopleAreWarnedOnceBeforeACertificateEnds) {
  see_.now = SystemClock().wall();
  see_.certificate_secrets["orders-tls"] = tls_secret(authority_, 30);
  bring_up();
  EXPECT_EQ(message("ConfigurationValid").find("should be renewed"), std::string::npos);
  const auto warnings = [](const Plan& planned) {
    return std::count_if(planned.notices.begin(), planned.notices.end(), [](const Notice& each) {
      return each.reason == "CertificateExpires" && each.type == kube::Event::Type::kWarning;
    });
  };
  EXPECT_LT(*look().look_again, std::chrono::hours(24 * 17)) << "two weeks before";
  see_.now += *look().look_again;
  EXPECT_EQ(warnings(step()), 1);
  EXPECT_EQ(status("ConfigurationValid"), "True Valid");
  EXPECT_NE(message("ConfigurationValid")
                .find("the certificate of spec.clientTLS.secretRef should be renewed: it is valid "
                      "until 20"),
            std::string::npos)
      << message("ConfigurationValid");
  EXPECT_EQ(warnings(step()), 0);
  see_.certificate_secrets["orders-tls"] =
      tls_secret(authority_, fault::Wanted{.begin = -86400 + 16 * 86400, .end = 20 * 86400});
  EXPECT_EQ(warnings(step()), 0) << "a quarter of a short lifetime";
}

TEST_F(PlanTls, ACertificateForOtherHostsIsSaid) {
  bring_up();
  EXPECT_EQ(message("ConfigurationValid").find("not for"), std::string::npos);
  see_.certificate_secrets["orders-tls"] =
      tls_secret(authority_, fault::Wanted{.names = "DNS:orders-pooler", .end = 3650L * 86400});
  step();
  EXPECT_EQ(status("ConfigurationValid"), "True Valid") << "nobody has to verify it";
  EXPECT_NE(message("ConfigurationValid")
                .find(", but not for orders-pooler.shop.svc, the host of the pooled URLs"),
            std::string::npos)
      << message("ConfigurationValid");
}

TEST_F(PlanTls, TheDatabasesAuthorityIsUsedByAllAndPublished) {
  config_->spec.client_tls = {};
  config_->spec.database.tls.ca_secret = "db-ca";
  see_.certificate_secrets["db-ca"] = {{"ca.crt", authority_.pem()}};
  bring_up();
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
  const auto target = look().target.database;
  ASSERT_TRUE(target);
  EXPECT_EQ(target->connection.parameter("sslmode"), "verify-full");
  EXPECT_EQ(target->connection.certificates.authorities, authority_.pem());
  EXPECT_EQ(file_named_by("server_tls_ca_file"), authority_.pem());
  EXPECT_EQ(see_.published.data.at("direct-ca.crt"), authority_.pem());
  EXPECT_EQ(see_.published.data.at("DATABASE_URL"), std::string(kUri) + "?sslmode=verify-full");
  EXPECT_NE(see_.published.data.at("pooled-uri").find("sslmode=disable"), std::string::npos);

  const fault::Authority next;
  see_.certificate_secrets["db-ca"]["ca.crt"] = next.pem();
  EXPECT_TRUE(step().writes.empty()) << "a login with the new one comes first";
  EXPECT_EQ(status("SecretPublished"), "False CredentialsPending");
  database_answers();
  see_.live.verification = {};
  step();
  settle();
  EXPECT_EQ(status("Ready"), "True Ready") << message("Ready");
  EXPECT_EQ(see_.published.data.at("direct-ca.crt"), next.pem());
}

TEST_F(PlanTls, BundlesDoNotFillTheSecret) {
  config_->spec.database.tls.ca_secret = "db-ca";
  const std::string bundle = std::string(200 * 1024, '#') + "\n" + authority_.pem();
  see_.certificate_secrets["db-ca"] = {{"ca.crt", bundle}};
  bring_up();
  for (auto& [uid, state] : see_.live.pods) state.marker.clear();  // nobody can be asked
  for (int i = 0; i < 6; ++i) {
    config_->spec.scaling.clients_per_replica = 10 + i;
    step();
    std::size_t bytes = 0;
    for (const auto& [name, file] : see_.files.data) bytes += file.size();
    EXPECT_LT(bytes, 300U * 1024U) << "once for all revisions, " << i;
  }
}

}  // namespace
}  // namespace pooler::reconcile
