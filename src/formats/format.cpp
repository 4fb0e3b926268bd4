#include "sgpt_mi/formats/format.h"

#include <algorithm>
#include <array>

#include "gguf_store.h"
#include "model_folders.h"
#include "sgpt_mi/core/error.h"

namespace sgpt_mi::formats {
namespace {

constexpr std::array<Format, 3> kFormats{{
    {"packed", "packed", true, false, open_packed_folder},
    {"hf", "Hugging Face folder", false, false, open_hf_folder},
    {"gguf", "GGUF file", false, true, open_gguf_store, check_gguf_model, true},
}};

}  // namespace

void SavingStore::split_above(std::int64_t /*bytes*/) {
  fail(ErrorKind::kUsage, "shard_bytes: this format chooses the size of its files itself");
}

const Format& find_format(std::string_view name) {
  std::string known = "auto";
  for (const Format& format : kFormats) {
    if (format.name == name) return format;
    known += fmt::format(", {}", format.name);
  }
  fail(ErrorKind::kUsage, "format: '{}' is unknown; there are {}", name, known);
}

const Format& default_format(bool holds_codes) {
  const auto* found = std::find_if(kFormats.begin(), kFormats.end(), [&](const Format& format) {
    return format.holds_codes == holds_codes;
  });
  ensure(found != kFormats.end(), "formats: no format of this kind");
  return *found;
}

}  // namespace sgpt_mi::formats
