#pragma once

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sgpt_mi/io/byte_cursor.h"

namespace sgpt_mi::fuzz {

/// A folder of this process, emptied for every input, for readers that take paths.
class InputFolder {
 public:
  explicit InputFolder(const std::string& target)
      : path_(std::filesystem::temp_directory_path() /
              (target + "_fuzz." + std::to_string(::getpid()))) {}
  ~InputFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  InputFolder(const InputFolder&) = delete;
  InputFolder& operator=(const InputFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

  void clear() const {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directory(path_);
  }

  void put(const std::string& name, std::span<const std::byte> bytes) const {
    std::ofstream(path_ / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }

  /// Writes, beside what is there, the files of an input that pack() made and a fuzzer changed: of
  /// each the place of its name among `names`, its size in three bytes and its bytes, as far as
  /// there are any.
  void unpack(std::span<const std::byte> input, const std::vector<std::string>& names) const {
    while (input.size() > 4) {
      const std::size_t name = std::to_integer<std::size_t>(input[0]) % names.size();
      const auto size = io::number_at<std::uint32_t>(input) >> 8;
      input = input.subspan(4);
      const std::size_t bytes = std::min<std::size_t>(size, input.size());
      put(names[name], input.first(bytes));
      input = input.subspan(bytes);
    }
  }

 private:
  std::filesystem::path path_;
};

/// The input that unpack() makes these files of; a name is given by its place.
[[nodiscard]] inline std::string pack(
    const std::vector<std::pair<std::size_t, std::string>>& files) {
  std::string input;
  for (const auto& [name, bytes] : files) {
    input += static_cast<char>(name);
    for (const int shift : {0, 8, 16}) input += static_cast<char>(bytes.size() >> shift);
    input += bytes;
  }
  return input;
}

/// Files of a tokenizer, of a checkpoint and of a journal, in the order of pack().
inline const std::vector<std::string> kTokenizerFiles{
    "tokenizer.json",        "tokenizer.model",         "vocab.json",        "merges.txt",
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "config.json"};
inline const std::vector<std::string> kCheckpointFiles{"config.json",
                                                       "model.safetensors",
                                                       "model.safetensors.index.json",
                                                       "pytorch_model.bin",
                                                       "model-00001-of-00002.safetensors",
                                                       "model-00002-of-00002.safetensors"};

inline const std::vector<std::string> kJournalFiles{"out.partial/journal",
                                                    "out.partial/block-0/model.safetensors"};

}  // namespace sgpt_mi::fuzz
