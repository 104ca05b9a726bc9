#include "load/report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace pooler::load {
namespace {

using std::chrono::microseconds;

TEST(Latency, IsExactAtTheEndsAndWithinThreePercentBetween) {
  Latency latency;
  for (int i = 1; i <= 100'000; ++i) latency.add(microseconds(i));
  EXPECT_EQ(latency.count(), 100'000U);
  for (const double share : {0.01, 0.5, 0.9, 0.99, 0.999}) {
    const double exact = share * 100'000;
    const double found = to_seconds(latency.percentile(share)) * 1e6;
    EXPECT_NEAR(found, exact, exact * 0.035) << share;
    EXPECT_GE(found, exact) << "a percentile is never too good";
  }
  const auto json = latency.json();
  EXPECT_DOUBLE_EQ(json["min_ms"].get<double>(), 0.001);
  EXPECT_DOUBLE_EQ(json["max_ms"].get<double>(), 100);
  EXPECT_NEAR(json["mean_ms"].get<double>(), 50, 0.01);
}

TEST(Latency, TakesZeroNegativeAndHours) {
  Latency latency;
  latency.add(microseconds(0));
  latency.add(microseconds(-5));
  latency.add(std::chrono::hours(48));
  EXPECT_EQ(latency.percentile(1), std::chrono::hours(48));
  EXPECT_EQ(latency.percentile(0.1), microseconds(0));
  EXPECT_EQ(Latency().percentile(0.5), Duration::zero());
  EXPECT_EQ(Latency().json(), (nlohmann::ordered_json{{"count", 0}}));
}

TEST(Errors, ClassesNameStateAndMessageWithoutNumbers) {
  EXPECT_EQ(class_of(ServerError{"FATAL", "53300", "sorry, too many clients already"}),
            "53300 sorry, too many clients already");
  EXPECT_EQ(class_of(ServerError{"ERROR", "", "pid 1234 of port 80"}), "----- pid N of port N");
  Closed closed{CloseCause::kRefused, true, false, std::nullopt, "Connection refused"};
  EXPECT_EQ(class_of(closed), "refused at login: Connection refused");
  closed = {CloseCause::kEof, false, true, ServerError{"FATAL", "57P01", "bye"}, "closed"};
  EXPECT_EQ(class_of(closed), "57P01 bye");
}

TEST(Errors, ATimeoutOfOursIsNotBlamedOnAnOlderError) {
  const Closed closed{CloseCause::kTimeout, false, true, ServerError{"ERROR", "42601", "old"},
                      "query timed out"};
  EXPECT_EQ(class_of(closed), "timeout: query timed out");
}

TEST(Errors, TheNumberOfClassesIsBounded) {
  ErrorCounts counts;
  for (char a = 'a'; a <= 'z'; ++a) {
    for (char b = 'a'; b <= 'z'; ++b) counts.add(std::string{a, b});
  }
  EXPECT_EQ(counts.total(), 26U * 26U);
  EXPECT_EQ(counts.json().size(), ErrorCounts::kMaxClasses + 1);
  EXPECT_EQ(counts.json()["other"], 26 * 26 - ErrorCounts::kMaxClasses);
}

}  // namespace
}  // namespace pooler::load
