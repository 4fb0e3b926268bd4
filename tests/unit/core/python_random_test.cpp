#include "sgpt_mi/core/python_random.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "sgpt_mi/core/error.h"
#include "support/shared_data.h"

namespace sgpt_mi {
namespace {

// First outputs of CPython's random.seed(0), random.getrandbits(32).
TEST(PythonRandom, SeedZero) {
  PythonRandom random(0);
  EXPECT_EQ(random.next_u32(), 3626764237U);
  EXPECT_EQ(random.next_u32(), 1654615998U);
  EXPECT_EQ(random.next_u32(), 3255389356U);
}

TEST(PythonRandom, BitsComeFromTheUpperEnd) {
  PythonRandom random(0);
  EXPECT_EQ(random.getrandbits(1), 3626764237U >> 31);
  EXPECT_EQ(random.getrandbits(0), 0U);
  EXPECT_EQ(random.getrandbits(31), 1654615998U >> 1);
}

TEST(PythonRandom, MoreThan32BitsTakeTheLowWordFirst) {
  PythonRandom random(0);
  EXPECT_EQ(random.getrandbits(40), 3626764237U | (std::uint64_t{1654615998U >> 24} << 32));
}

TEST(PythonRandom, RandintCoversBothEnds) {
  PythonRandom random(5);
  std::set<std::int64_t> seen;
  for (int i = 0; i < 200; ++i) seen.insert(random.randint(-1, 2));
  EXPECT_EQ(seen, (std::set<std::int64_t>{-1, 0, 1, 2}));
}

TEST(PythonRandom, OneValueStillDraws) {
  // CPython draws one bit for randint(0, 0) and rejects ones.
  PythonRandom random(0);
  EXPECT_EQ(random.randint(3, 3), 3);
}

TEST(PythonRandom, EmptyRangeIsABug) {
  PythonRandom random(0);
  EXPECT_THROW(static_cast<void>(random.randint(1, 0)), Error);
  EXPECT_THROW(static_cast<void>(random.getrandbits(65)), Error);
}

TEST(PythonRandom, SeedsBeyond32BitsUseBothWords) {
  EXPECT_NE(PythonRandom(1).state(), PythonRandom((std::uint64_t{1} << 32) + 1).state());
}

class PythonRandomGolden : public ::testing::Test {
 protected:
  void SetUp() override {
    SGPT_MI_SHARED_OR_SKIP(path, "golden/protocols/python_random.json");
    golden_ = nlohmann::json::parse(std::ifstream(path));
  }
  nlohmann::json golden_;
};

TEST_F(PythonRandomGolden, Randint) {
  ASSERT_EQ(golden_.at("randint").size(), 45U);
  for (const auto& [name, expected] : golden_.at("randint").items()) {
    PythonRandom random(expected.at("seed").get<std::uint64_t>());
    for (const std::int64_t value : expected.at("values")) {
      ASSERT_EQ(random.randint(expected.at("lo"), expected.at("hi")), value) << name;
    }
  }
}

TEST_F(PythonRandomGolden, RawOutputsAndState) {
  for (const auto& [seed, expected] : golden_.at("raw").items()) {
    PythonRandom random(std::stoull(seed));
    const nlohmann::json& state = expected.at("state_first_8_words");
    for (std::size_t i = 0; i < state.size(); ++i) EXPECT_EQ(random.state()[i], state[i]);
    int drawn = 0;
    for (const std::uint32_t value : expected.at("getrandbits32")) {
      EXPECT_EQ(random.next_u32(), value) << "seed " << seed;
      ++drawn;
    }
    for (; drawn < 1000; ++drawn) static_cast<void>(random.next_u32());
    for (const std::uint32_t value : expected.at("getrandbits32_after_1000")) {
      EXPECT_EQ(random.next_u32(), value) << "seed " << seed;
    }
  }
}

TEST_F(PythonRandomGolden, ChangingRanges) {
  const nlohmann::json& mixed = golden_.at("mixed");
  PythonRandom random(mixed.at("seed").get<std::uint64_t>());
  for (const nlohmann::json& draw : mixed.at("n_value")) {
    ASSERT_EQ(random.randint(0, draw.at(0)), draw.at(1));
  }
}

}  // namespace
}  // namespace sgpt_mi
