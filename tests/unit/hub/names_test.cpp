#include "hub/names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hub/blob_digest.h"
#include "sgpt_mi/hub/hub.h"
#include "support/temporary_folder.h"

namespace sgpt_mi::hub {
namespace {

TEST(Names, FoldersAreThoseOfHuggingfaceHub) {
  EXPECT_EQ((Repo{Kind::kModel, "facebook/opt-125m"}.folder()), "models--facebook--opt-125m");
  EXPECT_EQ((Repo{Kind::kModel, "gpt2"}.folder()), "models--gpt2");
  EXPECT_EQ((Repo{Kind::kDataset, "allenai/c4"}.folder()), "datasets--allenai--c4");
  EXPECT_EQ((Repo{Kind::kDataset, "allenai/c4"}.page()), "datasets/allenai/c4");
}

TEST(Names, IdsHaveOneSlashAtMost) {
  for (const char* good : {"gpt2", "facebook/opt-125m", "a_b/c.d-E"})
    EXPECT_TRUE(is_id(good)) << good;
  for (const char* bad :
       {"", "/a", "a/", "a/b/c", "../a", "a/..", "a/.b", "a b", "a/b\n", "a--/../b"}) {
    EXPECT_FALSE(is_id(bad)) << bad;
  }
}

TEST(Names, PathsFromOutsideStayBelowTheirFolder) {
  for (const char* good :
       {"config.json", "en/c4-train.00000-of-01024.json.gz", "a b/\xC3\xA4", "..a"}) {
    EXPECT_TRUE(is_path_below(good)) << good;
  }
  for (const char* bad : {"", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "./a", "a/.", "a\\b",
                          "a\nb", "\x1b[2J", "\xff"}) {
    EXPECT_FALSE(is_path_below(bad)) << shown(bad);
  }
}

TEST(Names, WhatMessagesShowIsPrintable) {
  EXPECT_EQ(shown("a\x1b\xC3\xA4\xff"), "\"a\\x1B\xC3\xA4\\xFF\"");
  EXPECT_EQ(shown(std::string(300, 'x')).size(), 205U);
  EXPECT_EQ(without_query("https://a/b?Signature=x"), "https://a/b");
}

TEST(Names, ModelNamesHaveFileAndRevision) {
  const auto plain = parse_model_name("facebook/opt-125m");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->revision, "main");
  const auto full = parse_model_name("org/name:Q4_K_M@refs/pr/1");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->id, "org/name");
  EXPECT_EQ(full->file, "Q4_K_M");
  EXPECT_EQ(full->revision, "refs/pr/1");
  for (const char* bad :
       {"../x", "a/b:", "a/b:../c", "a/b@", "a/b@../../x", "a b", "./a", "a/b/c"}) {
    EXPECT_FALSE(parse_model_name(bad)) << bad;
  }
}

// printf abc | sha256sum; printf abc | git hash-object --stdin
TEST(BlobDigest, IsSha256OrGitsSha1) {
  const auto fits = [](const std::string& etag, std::int64_t size) {
    BlobDigest digest(etag, size);
    digest.update(test::bytes_of("ab"));
    digest.update(test::bytes_of("c"));
    return digest.matches();
  };
  const std::string sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  const std::string git = "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f";
  EXPECT_TRUE(fits(sha256, 3));
  EXPECT_TRUE(fits(sha256, -1));
  EXPECT_TRUE(fits(git, 3));
  EXPECT_FALSE(fits(git, 4));
  EXPECT_TRUE(fits(git, -1)) << "git's hash needs the size";
  EXPECT_FALSE(fits(std::string(64, '0'), 3));
  EXPECT_TRUE(fits("some-mirror-tag", 3));
}

}  // namespace
}  // namespace sgpt_mi::hub
