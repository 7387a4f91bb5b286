#include "progress_bar.h"

#include <gtest/gtest.h>

#include "units.h"

namespace tempera::cli {
namespace {

TEST(FormatProgress, ShowsStepRateAndTimeLeft) {
  EXPECT_EQ(format_progress({"denoise", 9, 20, 1.5}, 60),
            "denoise  45% [========          ] 9/20  1.50 it/s  0:08 left");
  EXPECT_EQ(format_progress({"denoise", 1, 20, 0.25}, 60),
            "denoise   5% [                  ] 1/20  4.00 s/it  1:16 left");
}

TEST(FormatProgress, SaysNothingOfARateItDoesNotKnow) {
  EXPECT_EQ(format_progress({"load", 0, 4, 0}, 30), "load      0% [           ] 0/4");
  EXPECT_EQ(format_progress({"load", 0, 0, 0}, 30), "load      0% [           ] 0/0");
}

TEST(FormatProgress, BytesHaveTheirOwnUnits) {
  EXPECT_EQ(format_progress({"write", 1 << 30, 1 << 30, 1 << 20, "B"}, 70),
            "write   100% [======================] 1.00 GiB of 1.00 GiB  1.00 MiB/s");
}

TEST(FormatProgress, NeverExceedsTheColumns) {
  for (int columns = 0; columns < 120; ++columns) {
    EXPECT_LE(format_progress({"denoise", 9999, 10000, 0.001}, columns).size(), static_cast<size_t>(columns));
  }
}

TEST(FormatDuration, RoundsUpToWholeSeconds) {
  EXPECT_EQ(format_duration(0), "0:00");
  EXPECT_EQ(format_duration(8.2), "0:09");
  EXPECT_EQ(format_duration(723), "12:03");
  EXPECT_EQ(format_duration(3723), "1:02:03");
}

TEST(Units, KeepThreeDigits) {
  EXPECT_EQ(format_bytes(512), "512 B");
  EXPECT_EQ(format_bytes(1536), "1.50 KiB");
  EXPECT_EQ(format_bytes(6.94e9), "6.46 GiB");
  EXPECT_EQ(format_flops(5.98e12), "5.98 TFLOP");
  EXPECT_EQ(format_flops(123.4e12), "123 TFLOP");
}

TEST(ProgressBar, WritesNothingIntoAFile) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  {
    ProgressBar bar(file);
    bar.update("denoise", 0, 2);
    bar.update("denoise", 2, 2);
    bar.clear();
  }
  EXPECT_EQ(std::ftell(file), 0);
  std::fclose(file);
}

}  // namespace
}  // namespace tempera::cli
