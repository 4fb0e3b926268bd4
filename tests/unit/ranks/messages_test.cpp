#include "sgpt_mi/ranks/messages.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/ranks/device_wire.h"
#include "support/thread_ranks.h"

namespace sgpt_mi::ranks {
namespace {

TEST(Messages, ArriveWithTheirBits) {
  test::on_ranks(3, [&](const World& world) {
    Message message;
    if (world.rank() == 1) {
      message.value = {{"third", 1.0 / 3.0}, {"none", std::nan("")}, {"names", {"a", "b"}}};
      message.tensors = {torch::arange(6, torch::kInt32).view({2, 3}), torch::Tensor(),
                         torch::tensor({0.5, -0.0}, torch::kBFloat16), torch::zeros({0, 4})};
    }
    const Message here = broadcast(world, message, 1);
    EXPECT_EQ(here.value.at("third").get<double>(), 1.0 / 3.0);
    EXPECT_TRUE(std::isnan(here.value.at("none").get<double>()));
    ASSERT_EQ(here.tensors.size(), 4U);
    EXPECT_TRUE(here.tensors[0].equal(torch::arange(6, torch::kInt32).view({2, 3})));
    EXPECT_FALSE(here.tensors[1].defined());
    EXPECT_EQ(here.tensors[2].scalar_type(), torch::kBFloat16);
    EXPECT_EQ(here.tensors[3].sizes(), (std::vector<std::int64_t>{0, 4}));
  });
}

TEST(Messages, RowsComeInTheOrderOfRanks) {
  test::on_ranks(3, [&](const World& world) {
    torch::Tensor rows;
    if (world.rank() != 1) rows = torch::full({world.rank() + 1, 2}, world.rank());
    const torch::Tensor all = gather_rows(world, rows, torch::kCPU);
    EXPECT_TRUE(all.select(1, 0).equal(torch::tensor({0, 2, 2, 2}).to(all.scalar_type())));
  });
}

TEST(Messages, TheLeastOfAllIsEverybodys) {
  test::on_ranks(3, [](const World& world) { EXPECT_EQ(least_of(world, 7 - world.rank()), 5); });
  EXPECT_EQ(least_of(World(), 4), 4);
}

TEST(Messages, OneThatDiffersIsNamed) {
  test::on_ranks(3, [&](const World& world) {
    try {
      require_alike(world, {{"version", "1"}, {"settings", world.rank() == 2 ? 5 : 4}});
      ADD_FAILURE() << "nothing was thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      EXPECT_NE(std::string(error.what()).find("rank 2 on thread has another settings"),
                std::string::npos)
          << error.what();
    }
  });
}

TEST(Messages, TravelThroughTheHostWhereRanksHaveNoGpusOfTheirOwn) {
  EXPECT_EQ(connect_devices(World(), torch::kCPU), nullptr);
  test::on_ranks(2, [&](const World& world) {
    EXPECT_EQ(connect_devices(world, torch::kCPU), nullptr);
    EXPECT_EQ(world.wire(), nullptr);
  });
}

TEST(Messages, OfOneRankAreItsOwn) {
  const World alone;
  EXPECT_EQ(broadcast(alone, nlohmann::json(7), 0), 7);
  EXPECT_NO_THROW(require_alike(alone, {{"version", "1"}}));
  EXPECT_EQ(alone.received(), 0);
}

}  // namespace
}  // namespace sgpt_mi::ranks
