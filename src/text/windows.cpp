#include "sgpt_mi/text/windows.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "sgpt_mi/containers/safetensors.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/hash.h"
#include "sgpt_mi/core/python_random.h"

namespace sgpt_mi::text {
namespace {

constexpr const char* kTensor = "input_ids";

/// Reads integers of type Stored; `bytes` may be unaligned.
template <typename Stored>
std::vector<std::int32_t> read_ids(std::span<const std::byte> bytes, const std::string& file) {
  std::vector<std::int32_t> ids(bytes.size() / sizeof(Stored));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    Stored value = 0;
    std::memcpy(&value, bytes.data() + i * sizeof(Stored), sizeof(Stored));
    if (value < 0 || value > std::numeric_limits<std::int32_t>::max()) {
      fail(ErrorKind::kInput, "text: {}: '{}' has {} at position {}; expected token ids >= 0", file,
           kTensor, value, i);
    }
    ids[i] = static_cast<std::int32_t>(value);
  }
  return ids;
}

TokenWindows some_windows(const TokenWindows& windows, std::int64_t first, std::int64_t count) {
  const auto begin = windows.ids.begin() + first * windows.seqlen;
  return {{begin, begin + count * windows.seqlen}, count, windows.seqlen};
}

}  // namespace

std::string TokenWindows::sha256() const { return token_sha256(ids); }

TokenWindows cut_windows(std::span<const std::int32_t> ids, std::int64_t seqlen) {
  ensure(seqlen > 0, "text: windows need seqlen > 0");
  const auto tokens = static_cast<std::int64_t>(ids.size());
  if (tokens < seqlen) {
    fail(ErrorKind::kInput,
         "text: the text has {} tokens; expected at least one window of {}; use a longer text or a "
         "smaller --seqlen",
         tokens, seqlen);
  }
  const std::int64_t windows = tokens / seqlen;
  const auto kept = ids.first(static_cast<std::size_t>(windows * seqlen));
  return {{kept.begin(), kept.end()}, windows, seqlen};
}

TokenWindows random_windows(std::int64_t vocabulary, std::int64_t windows, std::int64_t seqlen,
                            std::uint64_t seed) {
  ensure(vocabulary > 0 && windows > 0 && seqlen > 0, "text: random windows of no size");
  PythonRandom random(seed);
  TokenWindows result{{}, windows, seqlen};
  result.ids.resize(static_cast<std::size_t>(windows * seqlen));
  for (std::int32_t& id : result.ids) {
    id = static_cast<std::int32_t>(random.randint(0, vocabulary - 1));
  }
  return result;
}

TokenWindows read_recorded_windows(const std::filesystem::path& path) {
  const std::unique_ptr<containers::TensorSource> source = containers::open_safetensors(path);
  const containers::TensorInfo* info = source->find(kTensor);
  if (info == nullptr) {
    fail(ErrorKind::kInput, "text: {} has no tensor '{}'; expected recorded windows", path.string(),
         kTensor);
  }
  const bool integer = info->dtype == DType::kI32 || info->dtype == DType::kI64;
  if (!integer || info->shape.size() != 2 || info->count() == 0) {
    fail(ErrorKind::kInput,
         "text: {}: '{}' is {} with {} dimensions and {} elements; expected I32 or I64 (windows, "
         "seqlen)",
         path.string(), kTensor, dtype_name(info->dtype), info->shape.size(), info->count());
  }
  const containers::TensorData data = source->read(kTensor);
  TokenWindows result;
  result.ids = info->dtype == DType::kI32 ? read_ids<std::int32_t>(data.bytes, path.string())
                                          : read_ids<std::int64_t>(data.bytes, path.string());
  result.windows = info->shape[0];
  result.seqlen = info->shape[1];
  return result;
}

TokenWindows first_windows(const TokenWindows& windows, std::int64_t count) {
  return some_windows(windows, 0, count);
}

TokenWindows last_windows(const TokenWindows& windows, std::int64_t count) {
  return some_windows(windows, windows.windows - count, count);
}

}  // namespace sgpt_mi::text
