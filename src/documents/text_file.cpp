#include "text_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "foreign_formats.h"
#include "json_shape.h"
#include "sgpt_mi/core/lower_case.h"
#include "sgpt_mi/core/utf8.h"
#include "sgpt_mi/streams/packing.h"

namespace sgpt_mi::documents {
namespace {

using namespace std::string_view_literals;

/// Enough for the first record of most files, little enough to unpack it twice.
constexpr std::size_t kHeadBytes = 1 << 16;

constexpr std::array kJsonEndings{".jsonl"sv, ".json"sv, ".ndjson"sv, ".jsonlines"sv, ".jl"sv};
constexpr std::array kParquetEndings{".parquet"sv, ".pq"sv};
constexpr std::array kArrowEndings{".arrow"sv, ".feather"sv};

template <typename Endings>
bool ends_with_any(std::string_view name, const Endings& endings) {
  return std::any_of(endings.begin(), endings.end(),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

std::string lower_case_name(const std::filesystem::path& path) {
  return lower_case(path.filename().string());
}

bool is_parquet(std::string_view head) {
  return head.starts_with("PAR1") || head.starts_with("PARE");  // the latter: encrypted
}

/// A file, or a stream's mark before its first message.
bool is_arrow(std::string_view head) {
  return head.starts_with("ARROW1\0\0"sv) || head.starts_with("\xFF\xFF\xFF\xFF"sv);
}

/// \param name  in lower case, without the ending of a packing.
Content content_of(std::string_view head, std::string_view name, std::string_view packing,
                   const std::string& label) {
  const bool parquet = is_parquet(head);
  if (parquet || is_arrow(head)) {
    if (!packing.empty()) {
      refuse_content(label, packing, parquet ? "a parquet file" : "an Arrow file",
                     "unpack it first");
    }
    return parquet ? Content::kParquet : Content::kArrow;
  }
  refuse_foreign_content(head, packing, label);
  if (looks_like_records(head)) return Content::kJson;
  if (ends_with_any(name, kParquetEndings)) return Content::kParquet;
  if (ends_with_any(name, kArrowEndings)) return Content::kArrow;
  if (ends_with_any(name, kJsonEndings)) return Content::kJson;
  refuse_foreign_name(name, label);
  return Content::kText;
}

}  // namespace

TextFile::TextFile(const std::filesystem::path& path)
    : file_(path), label_(printable(path.string())) {
  const std::string name = lower_case_name(path);
  streams::Packing packing = streams::open_packing(file_.bytes(), name, label_);
  packing_ = packing.name;
  stream_ = std::move(packing.stream);
  head_.resize(kHeadBytes);
  head_.resize(stream_->read(head_));
  content_ = content_of(head_, streams::without_packing(name), packing_, label_);
}

std::size_t TextFile::read(std::span<char> out) {
  const std::size_t from_head = std::min(out.size(), head_.size() - given_);
  if (from_head > 0) std::memcpy(out.data(), head_.data() + given_, from_head);
  given_ += from_head;
  return from_head > 0 ? from_head : stream_->read(out);
}

std::string TextFile::read_rest() {
  std::string text = head_.substr(given_);
  given_ = head_.size();
  if (packing_.empty()) text.reserve(stored().size());
  return streams::read_all(*stream_, std::move(text));
}

bool has_record_name(const std::filesystem::path& path) {
  const std::string lower = lower_case_name(path);
  const std::string_view name = streams::without_packing(lower);
  return ends_with_any(name, kJsonEndings) || ends_with_any(lower, kParquetEndings) ||
         ends_with_any(lower, kArrowEndings);
}

}  // namespace sgpt_mi::documents
