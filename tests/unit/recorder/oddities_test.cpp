#include "sgpt_mi/recorder/oddities.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "example_layers.h"

namespace sgpt_mi::recorder {
namespace {

using report::LayerReport;
using testing::HasSubstr;

/// The only oddity of usual layers of which one is changed: its index and its sentence.
std::string why(const std::function<void(LayerReport&)>& change) {
  std::vector<LayerReport> layers = usual_layers(8);
  change(layers[6]);
  const std::vector<Oddity> oddities = find_oddities(layers, 10);
  EXPECT_EQ(oddities.size(), 1U);
  if (oddities.empty()) return "";
  EXPECT_EQ(oddities[0].layer, 6U);
  EXPECT_GT(oddities[0].score, 0.0);
  return oddities[0].why;
}

TEST(Oddities, ThereAreNoneAmongAlikes) {
  EXPECT_TRUE(find_oddities({}, 10).empty());
  EXPECT_TRUE(find_oddities(usual_layers(8), 10).empty());
}

TEST(Oddities, SayWhichFigureIsOddAgainstItsKind) {
  EXPECT_THAT(why([](LayerReport& layer) { layer.output_error = 0.1; }),
              HasSubstr("Its output error is 0.1 where the median of all q_proj is 0.0104 (9.62 "
                        "times that)"));
  EXPECT_THAT(why([](LayerReport& layer) { layer.reached_damage = 0.012; }),
              HasSubstr("Its damage is 12 times what the plan predicted where the median of all "
                        "q_proj is 1.2"));
  EXPECT_THAT(why([](LayerReport& layer) { layer.activation_max = 400.0; }),
              HasSubstr("Its input reaches 400 where"));
  EXPECT_THAT(why([](LayerReport& layer) { layer.stored_bits = 0.75; }),
              HasSubstr("It takes 0.75 bits a weight where the median of all q_proj is 3"));
}

TEST(Oddities, SayWhatIsOddByItself) {
  EXPECT_THAT(why([](LayerReport& layer) {
                layer.damping_steps = {{0.01, false, false, 0.0}, {0.02, false, true, 1e-6}};
                layer.damping = 0.02;
              }),
              HasSubstr("H could be factorised at the 2. try only, with damping 0.02 instead of "
                        "0.01. More or more varied calibration text helps."));
  EXPECT_THAT(why([](LayerReport& layer) { layer.dead_channels = 5; }),
              HasSubstr("5 of its 64 input channels never fired"));
  EXPECT_THAT(why([](LayerReport& layer) { layer.massive_channels = 2; }),
              HasSubstr("Of its 64 input channels 2 have over 100 times"));
  EXPECT_THAT(why([](LayerReport& layer) { layer.activation_max = 7e4; }),
              HasSubstr("Its input reaches 70000, beyond float16's 65,504"));
  EXPECT_THAT(why([](LayerReport& layer) { layer.output_error = 1.5; }),
              HasSubstr("Its output error of 1.5 is more than its output"));
  EXPECT_THAT(why([](LayerReport& layer) { layer.rank_deficient = true; }),
              HasSubstr("1000 calibration tokens are fewer than its 64 channels"));
}

TEST(Oddities, AreTheOddestFirstAndAtMostSoMany) {
  std::vector<LayerReport> layers = usual_layers(8);
  for (std::size_t i = 0; i < 5; ++i) layers[i].output_error *= static_cast<double>(4 << i);
  const std::vector<Oddity> oddities = find_oddities(layers, 3);
  ASSERT_EQ(oddities.size(), 3U);
  EXPECT_EQ(oddities[0].layer, 4U);
  EXPECT_EQ(oddities[1].layer, 3U);
  EXPECT_EQ(oddities[2].layer, 2U);
}

TEST(Oddities, TakeFiguresThatAreNotFinite) {
  std::vector<LayerReport> layers = usual_layers(8);
  layers[3].output_error = std::numeric_limits<double>::quiet_NaN();
  layers[4].condition = std::numeric_limits<double>::infinity();
  layers[5].planned_damage = 0.0;
  for (const Oddity& oddity : find_oddities(layers, 10)) EXPECT_FALSE(oddity.why.empty());
}

TEST(Oddities, FewOfAKindAreHeldAgainstAll) {
  std::vector<LayerReport> layers = usual_layers(3);
  layers[2].output_error = 0.5;
  const std::vector<Oddity> oddities = find_oddities(layers, 10);
  ASSERT_EQ(oddities.size(), 1U);
  EXPECT_THAT(oddities[0].why, HasSubstr("where the median of all linears is 0.0101"));
}

}  // namespace
}  // namespace sgpt_mi::recorder
