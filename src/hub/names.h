#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sgpt_mi::hub {

enum class Kind : std::uint8_t { kModel, kDataset };

/// A repository of the Hub.
struct Repo {
  Kind kind = Kind::kModel;
  std::string id;

  [[nodiscard]] std::string word() const { return kind == Kind::kModel ? "model" : "data set"; }
  /// "facebook/opt-125m" or "datasets/allenai/c4": the path of its page and of its files.
  [[nodiscard]] std::string page() const;
  /// Its folder in the cache: models--facebook--opt-125m.
  [[nodiscard]] std::string folder() const;
};

/// Whether a text can be an id: NAME or ORG/NAME of letters, digits, '-', '_' and '.'.
[[nodiscard]] bool is_id(std::string_view text);

/// Whether a name from outside can be a path below a folder: no empty part, no "." or "..", no
/// backslash, no control character, valid UTF-8.
[[nodiscard]] bool is_path_below(std::string_view name);

/// Whether a text from outside can be one plain file name: letters, digits, '-', '_' and '.', no
/// dot in front, at most 128.
[[nodiscard]] bool is_plain_name(std::string_view text);

/// Whether a revision is a whole commit, which needs no ref.
[[nodiscard]] bool is_commit(std::string_view revision);

/// A text from outside as a message can show it: printable(), in quotes, and cut when it is long.
[[nodiscard]] std::string shown(std::string_view text);

/// An address without its query, which may hold a signature.
[[nodiscard]] std::string without_query(std::string_view address);

}  // namespace sgpt_mi::hub
