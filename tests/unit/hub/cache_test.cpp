#include "hub/cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/hub_server.h"

namespace sgpt_mi::hub {
namespace {

namespace fs = std::filesystem;
using test::input_error;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Cache : public ::testing::Test {
 protected:
  test::TemporaryFolder folder_;
  test::Variable variable_{"HF_HUB_CACHE", (folder_.path() / "hub").string()};
  RepoCache cache_{{Kind::kDataset, "org/set"}};
};

TEST_F(Cache, LinksAreRelativeAndRefsHaveNoNewline) {
  (void)folder_.file("hub/datasets--org--set/blobs/e1", "bytes");
  cache_.link("c1", "en/a.gz", "e1");
  cache_.link("c1", "en/a.gz", "e1");
  const fs::path link = cache_.snapshot("c1") / "en/a.gz";
  EXPECT_EQ(fs::read_symlink(link), "../../../blobs/e1");
  EXPECT_EQ(test::read_all(link), "bytes");
  (void)folder_.file("hub/datasets--org--set/blobs/e2", "other");
  cache_.link("c1", "en/a.gz", "e2");
  EXPECT_EQ(test::read_all(link), "other");
  EXPECT_EQ(std::distance(fs::directory_iterator(link.parent_path()), fs::directory_iterator()), 1);
  cache_.set_ref("refs/convert/parquet", "c1");
  EXPECT_EQ(test::read_all(cache_.folder() / "refs/refs/convert/parquet"), "c1");
}

TEST_F(Cache, SnapshotsAreFoundByRefAndByCommit) {
  EXPECT_FALSE(cache_.find_snapshot("main"));
  EXPECT_TRUE(cache_.snapshots().empty());
  for (const char* commit : {"c1", "c2", "c3"}) fs::create_directories(cache_.snapshot(commit));
  EXPECT_EQ(cache_.find_snapshot("c2"), cache_.snapshot("c2"));
  EXPECT_EQ(cache_.snapshots().size(), 3U);
  cache_.set_ref("refs/convert/parquet", "c1");
  cache_.set_ref("main", "c3");
  EXPECT_EQ(cache_.find_snapshot("main"), cache_.snapshot("c3"));
  EXPECT_EQ(cache_.find_snapshot("refs/convert/parquet"), cache_.snapshot("c1"));
  EXPECT_THAT(cache_.snapshots(), ElementsAre(cache_.snapshot("c3"), cache_.snapshot("c1")));
  cache_.set_ref("main", "gone");
  EXPECT_FALSE(cache_.find_snapshot("main"));
}

TEST_F(Cache, ARefThatLeavesTheCacheIsRefused) {
  for (const char* bad : {"..", "../../x", "", "a/b"}) {
    (void)folder_.file("hub/datasets--org--set/refs/main", bad);
    EXPECT_THAT(input_error([&] { (void)cache_.find_snapshot("main"); }), HasSubstr("refs/main"));
  }
  (void)folder_.file("hub/datasets--org--set/refs/main", "c1\n");
  fs::create_directories(cache_.snapshot("c1"));
  EXPECT_EQ(cache_.find_snapshot("main"), cache_.snapshot("c1"));
}

TEST_F(Cache, RefsOfOthersThatNameNoCommitArePassedOver) {
  fs::create_directories(cache_.snapshot("c1"));
  cache_.set_ref("pr", "../x");
  EXPECT_THAT(cache_.snapshots(), ElementsAre(cache_.snapshot("c1"))) << "as without refs";
  (void)folder_.file("hub/datasets--org--set/refs/.main.17.tmp", "");
  cache_.set_ref("main", "c1");
  EXPECT_THAT(cache_.snapshots(), ElementsAre(cache_.snapshot("c1")));
  cache_.set_ref("main", "");
  EXPECT_THAT(input_error([&] { (void)cache_.snapshots(); }), HasSubstr("refs/main"));
}

TEST_F(Cache, ALockIsHeldOnceAndOnTheNamedFile) {
  auto first = cache_.try_lock("e1");
  ASSERT_TRUE(first);
  EXPECT_FALSE(cache_.try_lock("e1"));
  EXPECT_TRUE(cache_.try_lock("e2"));
  EXPECT_TRUE(fs::exists(folder_.path() / "hub/.locks/datasets--org--set/e1.lock"));
  first.reset();
  EXPECT_TRUE(cache_.try_lock("e1"));
}

}  // namespace
}  // namespace sgpt_mi::hub
