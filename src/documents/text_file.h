#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "sgpt_mi/io/mapped_file.h"
#include "sgpt_mi/streams/byte_stream.h"

namespace sgpt_mi::documents {

enum class Content {
  kText,     ///< one text
  kJson,     ///< records: JSON objects one after another, or in arrays
  kParquet,  ///< records: rows of a table
  kArrow     ///< the same, as a stream or a file
};

/// A file that somebody wants to have read as text or as records, known by its content; by its name
/// only where the content leaves it open.
class TextFile {
 public:
  /// Throws Error(kInput) when the file cannot be read, or is something else by its content or, of
  /// tables, by its name: UTF-16, CSV, archives and the like, a Git LFS pointer.
  explicit TextFile(const std::filesystem::path& path);

  [[nodiscard]] Content content() const { return content_; }

  /// The file's name, for messages.
  [[nodiscard]] const std::string& label() const { return label_; }

  /// What packs it, such as "gzip"; empty when nothing does.
  [[nodiscard]] std::string_view packing() const { return packing_; }

  /// All bytes as they lie on the disk.
  [[nodiscard]] std::span<const std::byte> stored() const { return file_.bytes(); }

  /// The unpacked bytes, from the first on: like ByteStream::read.
  [[nodiscard]] std::size_t read(std::span<char> out);

  /// All unpacked bytes that read() has not given yet.
  [[nodiscard]] std::string read_rest();

 private:
  io::MappedFile file_;
  std::string label_;
  std::string_view packing_;
  std::unique_ptr<streams::ByteStream> stream_;
  std::string head_;       ///< what was unpacked to see what the file is
  std::size_t given_ = 0;  ///< of head_
  Content content_ = Content::kText;
};

/// Whether a name is that of a file of records, in any case, packed or not.
[[nodiscard]] bool has_record_name(const std::filesystem::path& path);

}  // namespace sgpt_mi::documents
