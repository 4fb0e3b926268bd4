#include "user_files.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <system_error>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/utf8.h"
#include "sgpt_mi/documents/documents.h"

namespace sgpt_mi::text {
namespace {

namespace fs = std::filesystem;

/// Files of records in a folder and the folders in it, by name: those of a downloaded or saved data
/// set lie no deeper.
std::vector<std::string> record_files(const fs::path& folder) {
  constexpr int kDeepest = 2;
  std::vector<std::string> found;
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  for (; !error && entry != fs::end(entry); entry.increment(error)) {
    if (entry.depth() == kDeepest) entry.disable_recursion_pending();
    if (entry->is_regular_file(error) && documents::is_document_file(entry->path())) {
      found.push_back(printable(entry->path().lexically_relative(folder).string()));
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

[[noreturn]] void refuse_folder(const std::string& path) {
  constexpr std::size_t kMostNamed = 10;
  std::vector<std::string> files = record_files(path);
  const std::size_t count = files.size();
  files.resize(std::min(count, kMostNamed));
  fail(ErrorKind::kInput, "text: '{}' is a folder; expected a file{}{}{}", printable(path),
       files.empty() ? "" : ", such as one of those in it: ", fmt::join(files, ", "),
       count > kMostNamed ? fmt::format(" and {} more", count - kMostNamed) : "");
}

void require_file(const std::string& path) {
  std::error_code not_there;
  if (fs::is_directory(path, not_there)) refuse_folder(path);
  if (fs::exists(path, not_there)) return;
  fail(ErrorKind::kInput,
       "text: '{}' is neither a file nor a known set; expected wikitext2, ptb, c4 or a path",
       printable(path));
}

}  // namespace

UserFile read_user_file(const std::string& path, const DataSettings& settings) {
  require_file(path);
  UserFile file;
  file.has_documents = documents::holds_documents(path);
  if (file.has_documents) {
    constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();
    file.texts = documents::read_documents(path, kAll, settings.text_key);
  } else {
    file.texts.push_back(documents::read_text(path));
  }
  const bool nothing = std::all_of(file.texts.begin(), file.texts.end(),
                                   [](const std::string& text) { return text.empty(); });
  if (nothing) {
    fail(ErrorKind::kInput, "text: '{}' holds no text ({}); use another file", printable(path),
         file.has_documents ? fmt::format("{} records", file.texts.size()) : "it is empty");
  }
  return file;
}

}  // namespace sgpt_mi::text
