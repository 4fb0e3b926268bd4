#include "sgpt_mi/walk/trace.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/documents/documents.h"
#include "sgpt_mi/walk/stage_clock.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::walk {
namespace {

nlohmann::json written(const Trace& trace) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "trace.json";
  trace.write(path);
  return nlohmann::json::parse(documents::read_text_file(path)).at("traceEvents");
}

TEST(Trace, HoldsNestedStagesOuterFirst) {
  const Trace trace;
  std::map<std::string, double> timings;
  {
    const StageTimer outer(timings, "compress");
    const StageTimer inner(timings, "obs", "layers.0.fc1");
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  const nlohmann::json events = written(trace);
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].at("name"), "compress");
  EXPECT_FALSE(events[0].contains("args"));
  EXPECT_EQ(events[1].at("name"), "obs");
  EXPECT_EQ(events[1].at("args").at("of"), "layers.0.fc1");
  for (const nlohmann::json& event : events) {
    EXPECT_EQ(event.at("ph"), "X");
    EXPECT_NEAR(event.at("dur").get<double>() * 1e-6, timings.at(event.at("name")), 1e-9);
    EXPECT_GE(event.at("dur").get<double>(), 2000.0);
  }
  EXPECT_GE(events[1].at("ts").get<double>(), events[0].at("ts").get<double>());
  EXPECT_LE(events[1].at("ts").get<double>() + events[1].at("dur").get<double>(),
            events[0].at("ts").get<double>() + events[0].at("dur").get<double>());
}

TEST(Trace, GivesEveryThreadARow) {
  const Trace trace;
  const auto now = Trace::Clock::now();
  Trace::record("here", "", now, now);
  std::thread([&] { Trace::record("there", "", now, now); }).join();
  const nlohmann::json events = written(trace);
  ASSERT_EQ(events.size(), 2U);
  EXPECT_NE(events[0].at("tid"), events[1].at("tid"));
}

TEST(Trace, IsOneAtATimeAndOptional) {
  const auto now = Trace::Clock::now();
  Trace::record("nobody listens", "", now, now);
  {
    const Trace trace;
    EXPECT_THROW(Trace{}, Error);
    EXPECT_TRUE(written(trace).empty());
  }
  const Trace next;
  EXPECT_THROW(next.write("/no/such/folder/trace.json"), Error);
}

TEST(StageTimer, WaitsForTheFenceBeforeItReadsTheEnd) {
  std::map<std::string, double> timings;
  set_stage_fence([] { std::this_thread::sleep_for(std::chrono::milliseconds(5)); });
  { const StageTimer timer(timings, "calibrate"); }
  set_stage_fence({});
  EXPECT_GE(timings.at("calibrate"), 0.005);
  { const StageTimer timer(timings, "calibrate"); }
  EXPECT_GE(timings.at("calibrate"), 0.005);  // stages add up
}

}  // namespace
}  // namespace sgpt_mi::walk
