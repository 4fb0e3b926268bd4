#include <spdlog/fmt/fmt.h>

#include "sgpt_mi/core/names.h"
#include "sgpt_mi/gguf/gguf_output.h"

namespace sgpt_mi::gguf {
namespace {

/// "-00001-of-00003" at the end of a file's stem.
constexpr std::size_t kSuffixBytes = 15;
constexpr std::size_t kDigits = 5;

}  // namespace

std::filesystem::path shard_path(const std::filesystem::path& target, std::size_t index,
                                 std::size_t count) {
  return target.parent_path() / fmt::format("{}-{:05}-of-{:05}{}", target.stem().string(),
                                            index + 1, count, target.extension().string());
}

bool is_shard_of(const std::filesystem::path& path, const std::filesystem::path& target) {
  const std::vector<std::filesystem::path> all = shard_paths(path);
  return all.front() == shard_path(target, 0, all.size());
}

std::vector<std::filesystem::path> shard_paths(const std::filesystem::path& part) {
  const std::string stem = part.stem().string();
  if (stem.size() <= kSuffixBytes) return {part};
  const std::string name = stem.substr(0, stem.size() - kSuffixBytes);
  const auto number =
      whole_number<std::size_t>(stem.substr(stem.size() - kSuffixBytes + 1, kDigits));
  const auto count = whole_number<std::size_t>(stem.substr(stem.size() - kDigits));
  const std::filesystem::path target = part.parent_path() / (name + part.extension().string());
  const bool inside = number && count && *number > 0 && *number <= *count;
  if (!inside || shard_path(target, *number - 1, *count) != part) return {part};
  std::vector<std::filesystem::path> paths;
  for (std::size_t i = 0; i < *count; ++i) paths.push_back(shard_path(target, i, *count));
  return paths;
}

}  // namespace sgpt_mi::gguf
