#include "cli/download_line.h"

#include <gtest/gtest.h>

#include "sgpt_mi/cli/settings.h"

namespace sgpt_mi::cli {
namespace {

TEST(DownloadLine, ShowsBytesRateAndTime) {
  hub::Progress progress{"org/m", 60'000'000, 40'000'000, 100'000'000, 3, false, false};
  EXPECT_EQ(download_text(progress, 10.0), "org/m: 60.0 MB of 100 MB, 4.0 MB/s, 10 s left");
  progress.fetched = 0;
  EXPECT_EQ(download_text(progress, 0.0), "org/m: 60.0 MB of 100 MB, 0 B/s, ? left");
  progress.fetched = 40'000'000;
  progress.waiting = true;
  EXPECT_EQ(download_text(progress, 10.0),
            "org/m: 60.0 MB of 100 MB, waiting for another download");
}

TEST(DownloadLine, TheRevisionStandsBehindTheModel) {
  flags::Settings typed;
  typed.model = "org/m";
  EXPECT_EQ(model_of(typed), "org/m");
  typed.revision = "v2";
  EXPECT_EQ(model_of(typed), "org/m@v2");
}

}  // namespace
}  // namespace sgpt_mi::cli
