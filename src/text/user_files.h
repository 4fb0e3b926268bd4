#pragma once

#include <string>
#include <vector>

#include "sgpt_mi/text/corpus.h"

namespace sgpt_mi::text {

/// What a file holds that the user named.
struct UserFile {
  bool has_documents = false;      ///< else one text
  std::vector<std::string> texts;  ///< never empty
};

/// Reads such a file, whatever its container (documents.h).
/// Throws Error(kInput) when there is none (the message also names the known sets, because a
/// mistyped set arrives here as a path), when it is a folder (the message lists the files in it
/// that would do) or when it holds no text.
[[nodiscard]] UserFile read_user_file(const std::string& path, const DataSettings& settings);

}  // namespace sgpt_mi::text
