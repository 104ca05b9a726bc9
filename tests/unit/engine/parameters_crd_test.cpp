// Holds what the CRD refuses and the table of settings together.
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <set>

#include "base/strings.h"
#include "engine/pgbouncer/parameters.h"

namespace pooler::engine::pgbouncer {
namespace {

YAML::Node parameters() {
  const YAML::Node schema = YAML::LoadFile(
      SOURCE_DIR "/crds/poolerconfigs.yaml")["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
  return schema["properties"]["spec"]["properties"]["pgbouncer"]["properties"]["parameters"];
}

TEST(ParametersInTheCrd, OwnedOnesAreRefusedAndNoOthers) {
  std::set<std::string> names;
  std::vector<std::string> prefixes;
  for (const auto& rule : parameters()["x-kubernetes-validations"]) {
    const auto words = split(rule["rule"].as<std::string>(), '\'');  // each second one in quotes
    const bool prefix = words.front().find("startsWith") != std::string::npos;
    for (std::size_t i = 1; i < words.size(); i += 2) {
      if (prefix) {
        prefixes.push_back(words[i]);
      } else {
        EXPECT_TRUE(names.insert(words[i]).second) << words[i];
      }
    }
  }
  EXPECT_EQ(prefixes.size(), 2U);
  std::size_t named = 0;
  for (const Setting& setting : all_settings()) {
    const std::string name(setting.name);
    bool refused = names.contains(name);
    named += refused ? 1 : 0;
    for (const std::string& prefix : prefixes) refused = refused || name.starts_with(prefix);
    EXPECT_EQ(refused, !setting.owned.empty()) << name;
  }
  EXPECT_EQ(named, names.size()) << "each is a setting";
}

// A message names each setting that its rule refuses, or what they all begin with.
TEST(ParametersInTheCrd, MessagesNameWhatTheyAreAbout) {
  for (const auto& rule : parameters()["x-kubernetes-validations"]) {
    const auto message = rule["message"].as<std::string>();
    const auto words = split(rule["rule"].as<std::string>(), '\'');
    for (std::size_t i = 1; i < words.size(); i += 2) {
      const bool as_a_group = words[i].starts_with("auth_") && message.starts_with("auth_* ");
      EXPECT_TRUE(as_a_group || message.find(words[i]) != std::string::npos) << words[i];
    }
  }
}

TEST(ParametersInTheCrd, SaysWhichOnesReplaceThePods) {
  const auto text = parameters()["description"].as<std::string>();
  for (const Setting& setting : all_settings()) {
    if (!setting.owned.empty()) continue;
    EXPECT_EQ(text.find(setting.name) != std::string::npos,
              setting.restart_only || setting.name == "max_prepared_statements")
        << setting.name;
  }
}

TEST(ParametersInTheCrd, LengthIsTheOperators) {
  EXPECT_EQ(parameters()["additionalProperties"]["maxLength"].as<std::size_t>(),
            kMaxParameterBytes);
}

}  // namespace
}  // namespace pooler::engine::pgbouncer
