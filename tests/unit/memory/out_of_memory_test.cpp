#include "sgpt_mi/memory/out_of_memory.h"

#include <c10/core/CPUAllocator.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <new>

namespace sgpt_mi::memory {
namespace {

/// What out_of_memory() says of an exception that `run` throws; nothing when it throws none.
template <typename Run>
std::optional<Error> meaning_of(const Run& run) {
  try {
    run();
  } catch (const std::exception& failure) {
    return out_of_memory(failure);
  }
  ADD_FAILURE() << "nothing was thrown";
  return std::nullopt;
}

void expect_host(const std::optional<Error>& error) {
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind(), ErrorKind::kDevice);
  EXPECT_THAT(error->what(), testing::StartsWith("host: out of memory; fewer --nsamples"));
}

TEST(OutOfMemory, OfTheLanguageAndOfTorchOnTheHost) {
  expect_host(meaning_of([] { throw std::bad_alloc(); }));
  // More than any address space has: malloc refuses it on every machine.
  expect_host(meaning_of([] { (void)c10::GetCPUAllocator()->allocate(std::size_t{1} << 60); }));
}

TEST(OutOfMemory, OfOneDnn) {
  struct Refusal : std::exception {
    [[nodiscard]] const char* what() const noexcept override {
      return "could not execute a primitive";
    }
  };
  expect_host(meaning_of([] { throw Refusal(); }));
}

TEST(OutOfMemory, OfADeviceInOneLine) {
  const auto error = meaning_of([] {
    throw c10::OutOfMemoryError(c10::SourceLocation{"f", "g", 1}, "tried 2 GiB\nand more lines");
  });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind(), ErrorKind::kDevice);
  EXPECT_THAT(error->what(), testing::AllOf(testing::HasSubstr("device: out of memory"),
                                            testing::EndsWith("tried 2 GiB")));
}

TEST(OutOfMemory, NothingElse) {
  EXPECT_FALSE(meaning_of([] { fail(ErrorKind::kInput, "a file"); }));
  EXPECT_FALSE(meaning_of([] { TORCH_CHECK(false, "a shape"); }));
}

}  // namespace
}  // namespace sgpt_mi::memory
