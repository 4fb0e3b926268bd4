#include "sgpt_mi/memory/activation_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "sgpt_mi/core/error.h"
#include "support/random_tensor.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::memory {
namespace {

using test::error_of;
using test::TemporaryFolder;
using testing::HasSubstr;

constexpr std::int64_t kTokens = 30;
constexpr std::int64_t kHidden = 16;
constexpr std::int64_t kBytes = kTokens * kHidden * 4;  ///< of hidden(), whose rows are 3 windows

torch::Tensor hidden(unsigned seed) {
  return test::normal(kTokens, kHidden, seed).reshape({3, kTokens / 3, kHidden});
}

bool same(const torch::Tensor& a, const torch::Tensor& b) {
  return a.scalar_type() == b.scalar_type() && a.equal(b);
}

/// Budgets that put three states on the device, in host memory, in a file, and in all three.
std::vector<ActivationBudget> budgets(const TemporaryFolder& folder) {
  return {{10 * kBytes, 0, folder.path()},
          {0, 10 * kBytes, folder.path()},
          {0, 0, folder.path()},
          {kBytes, kBytes, folder.path()}};
}

TEST(ActivationStore, GivesBackTheSameBitsFromEveryPlace) {
  const TemporaryFolder folder;
  for (const ActivationBudget& budget : budgets(folder)) {
    for (const auto type : {torch::kFloat32, torch::kFloat16, torch::kBFloat16}) {
      ActivationSpace space(torch::kCPU, budget);
      ActivationStore store(space, 3);
      for (unsigned i = 0; i < 3; ++i) {
        store.put(i, {hidden(i).to(type), i == 1 ? hidden(10 + i).to(type) : torch::Tensor()});
      }
      for (unsigned i = 0; i < 3; ++i) {
        store.fetch_ahead(i + 1);
        const model::BlockState state = store.get(i);
        EXPECT_TRUE(same(state.hidden, hidden(i).to(type)));
        EXPECT_EQ(state.pending.defined(), i == 1);
        if (i != 1) continue;
        EXPECT_TRUE(same(state.pending, hidden(10 + i).to(type)));
      }
    }
  }
}

TEST(ActivationStore, FillsTheDeviceThenTheHostThenTheFile) {
  const TemporaryFolder folder;
  ActivationSpace space(torch::kCPU, {kBytes, 2 * kBytes, folder.path()});
  ActivationStore store(space, 5);
  for (unsigned i = 0; i < 5; ++i) store.put(i, {hidden(i), {}});
  EXPECT_EQ(space.use().device, kBytes);
  EXPECT_EQ(space.use().host, 2 * kBytes);
  EXPECT_EQ(space.use().file, 2 * kBytes);
  EXPECT_TRUE(store.on_device(0));
  EXPECT_FALSE(store.on_device(1));
  EXPECT_FALSE(store.on_device(4));
}

TEST(ActivationStore, CountsWhatIsTakenAndReplaced) {
  const TemporaryFolder folder;
  ActivationSpace space(torch::kCPU, {2 * kBytes, 0, folder.path()});
  {
    ActivationStore store(space, 3);
    for (unsigned i = 0; i < 3; ++i) store.put(i, {hidden(i), {}});
    EXPECT_EQ(space.use().file, kBytes);
    EXPECT_TRUE(same(store.take(0).hidden, hidden(0)));
    EXPECT_FALSE(store.get(0).hidden.defined());
    EXPECT_EQ(space.use().device, kBytes);
    store.put(2, {hidden(7), {}});  // from the file to the room that the first one left
    EXPECT_EQ(space.use().device, 2 * kBytes);
    EXPECT_EQ(space.use().file, 0);
    store.put(0, {hidden(8), {}});
    EXPECT_TRUE(same(store.get(0).hidden, hidden(8)));
    EXPECT_TRUE(same(store.get(2).hidden, hidden(7)));
  }
  EXPECT_EQ(space.use().device + space.use().file, 0);
}

TEST(ActivationStore, LaysStatesOutTheSameEverywhere) {
  const TemporaryFolder folder;
  for (const ActivationBudget& budget : budgets(folder)) {
    ActivationSpace space(torch::kCPU, budget);
    ActivationStore store(space, 1);
    const torch::Tensor strided = hidden(1).transpose(0, 1);
    store.put(0, {strided, {}});
    const torch::Tensor back = store.get(0).hidden;
    EXPECT_TRUE(back.is_contiguous());
    EXPECT_TRUE(same(back, strided));
  }
}

TEST(ActivationStore, CopiesChangeApart) {
  const TemporaryFolder folder;
  for (const ActivationBudget& budget : budgets(folder)) {
    ActivationSpace space(torch::kCPU, budget);
    ActivationStore store(space, 2);
    for (unsigned i = 0; i < 2; ++i) store.put(i, {hidden(i), hidden(10 + i)});
    ActivationStore copy = store.copy();
    store.put(0, {hidden(5), {}});
    EXPECT_TRUE(same(copy.get(0).hidden, hidden(0)));
    EXPECT_TRUE(same(copy.get(0).pending, hidden(10)));
    EXPECT_TRUE(same(copy.get(1).hidden, hidden(1)));
    store = std::move(copy);
    EXPECT_TRUE(same(store.get(0).hidden, hidden(0)));
  }
}

TEST(ActivationStore, NamesTheFolderOfTheFile) {
  const TemporaryFolder folder;
  const auto missing = folder.path() / "missing";
  ActivationSpace space(torch::kCPU, {0, 0, missing});
  ActivationStore store(space, 1);
  const std::string text = error_of(ErrorKind::kInput, [&] {
    store.put(0, {hidden(0), torch::Tensor()});
  });
  EXPECT_THAT(text, HasSubstr(missing.string()));
}

TEST(FileRegions, ReusesRoomOfTheSameKind) {
  FileRegions regions;
  const auto first = regions.take(10'000);
  const auto second = regions.take(50'000);
  EXPECT_EQ(first.offset, 0U);
  EXPECT_EQ(first.bytes % 4096, 0U);
  EXPECT_EQ(second.offset, first.bytes);
  const std::uint64_t end = regions.end();
  regions.give_back(second);
  EXPECT_EQ(regions.take(10'000).offset, end) << "a large region is left for a large tensor";
  EXPECT_EQ(regions.take(49'000).offset, second.offset);
  regions.give_back(first);
  EXPECT_EQ(regions.take(9'999).offset, 0U);
}

}  // namespace
}  // namespace sgpt_mi::memory
