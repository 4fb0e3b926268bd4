#include <algorithm>
#include <array>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "gguf_file.h"
#include "gguf_names.h"
#include "metadata_builder.h"
#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/gguf/gguf_output.h"
#include "sgpt_mi/io/mapped_file.h"
#include "sgpt_mi/io/output.h"

namespace sgpt_mi::gguf {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kVersion = 3;
constexpr std::uint64_t kAlignment = 32;
constexpr std::uint32_t kQuantizationVersion = 2;  // of the block layouts
constexpr std::string_view kMagic = "GGUF";

std::uint64_t aligned(std::uint64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// general.file_type of a file whose linears mostly have this type, by type number (llama.h,
/// llama_ftype). Of k-quants it is the mixed variety, the only one that may hold several types.
constexpr std::array<std::pair<std::uint32_t, std::uint32_t>, 15> kFileTypes{{{0, 0},
                                                                              {1, 1},
                                                                              {2, 2},
                                                                              {3, 3},
                                                                              {6, 8},
                                                                              {7, 9},
                                                                              {8, 7},
                                                                              {10, 10},
                                                                              {11, 12},
                                                                              {12, 15},
                                                                              {13, 17},
                                                                              {14, 18},
                                                                              {20, 25},
                                                                              {23, 30},
                                                                              {30, 32}}};

/// A tensor with its type, as the header lists it.
struct Placed {
  const GgufSlot* slot = nullptr;
  const blocks::BlockType* type = nullptr;
  std::uint64_t bytes = 0;
  std::uint64_t place = 0;  ///< of its data in the growing file
};

std::uint64_t data_bytes(const GgufSlot& slot, const blocks::BlockType& type) {
  std::int64_t count = 1;
  for (const std::int64_t size : slot.shape) count *= size;
  ensure(slot.shape.back() % type.block_elements == 0, "gguf: rows do not divide into blocks");
  return static_cast<std::uint64_t>(count / type.block_elements * type.block_bytes);
}

std::uint32_t file_type(const std::vector<Placed>& tensors) {
  std::map<std::uint32_t, std::int64_t> weights;
  for (const Placed& tensor : tensors) {
    if (tensor.slot->shape.size() != 2 || !split_block_name(tensor.slot->name)) continue;
    weights[tensor.type->id] += tensor.slot->shape[0] * tensor.slot->shape[1];
  }
  if (weights.empty()) return 0;
  const auto most = std::max_element(
      weights.begin(), weights.end(),
      [](const auto& left, const auto& right) { return left.second < right.second; });
  for (const auto& [type, number] : kFileTypes) {
    if (type == most->first) return number;
  }
  fail(ErrorKind::kInternal, "gguf: no file type for tensors of type {}", most->first);
}

/// Where a file stands among those of a split model.
struct Split {
  std::size_t index = 0;
  std::size_t count = 1;
  std::size_t tensors = 0;  ///< of the whole model
};

/// The part of a file in front of the data, padded. The first file describes the model.
std::string header(const GgufDescription& description, const std::vector<Placed>& tensors,
                   std::uint32_t type, const Split& split) {
  MetadataBuilder metadata;
  std::uint64_t entries = 0;
  std::string described;
  if (split.index == 0) {
    metadata.whole("general.quantization_version", kQuantizationVersion);
    metadata.whole("general.file_type", type);
    entries = description.entries;
    described = description.metadata;
  }
  if (split.count > 1) {
    metadata.short_whole("split.no", static_cast<std::uint16_t>(split.index));
    metadata.short_whole("split.count", static_cast<std::uint16_t>(split.count));
    metadata.signed_whole("split.tensors.count", static_cast<std::int32_t>(split.tensors));
  }
  std::string bytes(kMagic);
  append_number(bytes, kVersion);
  append_number<std::uint64_t>(bytes, tensors.size());
  append_number<std::uint64_t>(bytes, entries + metadata.entries());
  bytes += described + metadata.bytes();
  std::uint64_t offset = 0;
  for (const Placed& tensor : tensors) {
    append_text(bytes, tensor.slot->name);
    append_number(bytes, static_cast<std::uint32_t>(tensor.slot->shape.size()));
    for (auto size = tensor.slot->shape.rbegin(); size != tensor.slot->shape.rend(); ++size) {
      append_number(bytes, static_cast<std::uint64_t>(*size));
    }
    append_number(bytes, tensor.type->id);
    append_number(bytes, offset);
    offset += aligned(tensor.bytes);
  }
  bytes.resize(static_cast<std::size_t>(aligned(bytes.size())), '\0');
  return bytes;
}

/// The slots of the extra tensors are made here, so that they are written like all others.
std::vector<GgufSlot> all_slots(const GgufDescription& description) {
  std::vector<GgufSlot> slots = description.slots;
  for (const GgufExtra& extra : description.extras) {
    slots.push_back({extra.name, extra.name, {static_cast<std::int64_t>(extra.values.size())}});
  }
  return slots;
}

/// Rows from the checkpoint's order into rotary pairs.
std::vector<std::byte> paired(const GgufSlot& slot, std::span<const std::byte> bytes) {
  const std::int64_t rows = slot.shape.front();
  const std::size_t row_bytes = bytes.size() / static_cast<std::size_t>(rows);
  std::vector<std::byte> result(bytes.size());
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t from = unpaired_row(row, rows / slot.paired_heads);
    std::memcpy(result.data() + static_cast<std::size_t>(row) * row_bytes,
                bytes.data() + static_cast<std::size_t>(from) * row_bytes, row_bytes);
  }
  return result;
}

bool is_gguf(const fs::path& path) {
  const io::MappedFile file(path);
  return file.bytes().size() >= kMagic.size() &&
         std::memcmp(file.bytes().data(), kMagic.data(), kMagic.size()) == 0;
}

void refuse_other_file(const fs::path& target) {
  std::error_code not_there;
  if (fs::is_directory(target, not_there)) {
    fail(ErrorKind::kUsage, "save: {} is a folder; a GGUF model is one file: give a file name",
         target.string());
  }
  if (!fs::exists(target, not_there)) return;
  if (fs::file_size(target, not_there) == 0 || is_gguf(target)) return;
  fail(ErrorKind::kUsage, "save: {} is a file that is not GGUF and is not replaced; choose another",
       target.string());
}

/// Refuses a model beside which `file` would stay: a name that leads to two models.
[[noreturn]] void refuse_beside(const fs::path& file) {
  fail(ErrorKind::kUsage,
       "save: {} is there, which readers could take for a part of the new model or for the model; "
       "remove it or choose another name",
       file.string());
}

}  // namespace

std::vector<fs::path> files_named(const fs::path& target) {
  std::vector<fs::path> files;
  std::error_code not_there;
  const fs::path folder = target.has_parent_path() ? target.parent_path() : ".";
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, not_there)) {
    const fs::path path = target.parent_path() / entry.path().filename();
    const bool of_target = path == target || is_shard_of(path, target);
    if (of_target && entry.is_regular_file(not_there) && is_gguf(path)) files.push_back(path);
  }
  return files;
}

std::int64_t most_split_bytes(std::int64_t file_bytes, std::int64_t tensors,
                              std::int64_t shard_bytes) {
  if (shard_bytes == 0 || file_bytes <= shard_bytes) return 0;
  // Two neighbours together are above shard_bytes. A part's own: 24 bytes, three entries of 82 and
  // padding to 32.
  const std::int64_t parts = std::min(tensors, 2 * (file_bytes / shard_bytes + 1));
  return parts * static_cast<std::int64_t>(aligned(24 + 82 + kAlignment));
}

struct ModelWriter::State {
  State(fs::path path, GgufDescription described)
      : target(std::move(path)),
        description(std::move(described)),
        slots(all_slots(description)),
        file(target) {}

  void add(const GgufSlot& slot, const blocks::BlockType& type, std::span<const std::byte> bytes);
  [[nodiscard]] std::vector<std::vector<Placed>> shards() const;
  std::uint64_t write_shards(const std::vector<std::vector<Placed>>& shards);

  fs::path target;
  GgufDescription description;
  std::vector<GgufSlot> slots;                               ///< extras last
  std::unordered_map<std::string, const GgufSlot*> missing;  ///< by source
  std::vector<Placed> placed;
  io::StagedFile file;
  std::uint64_t end = 0;  ///< of what is written so far
  std::uint64_t shard_bytes = 0;
};

ModelWriter::ModelWriter(fs::path target, GgufDescription description) {
  refuse_other_file(target);
  for (const fs::path& file : files_named(target)) {
    if (file != target) refuse_beside(file);
  }
  state_ = std::make_unique<State>(std::move(target), std::move(description));
  std::vector<Placed> unknown_types;  // take the same room in a header
  for (const GgufSlot& slot : state_->slots) {
    state_->missing.emplace(slot.source, &slot);
    unknown_types.push_back({&slot, blocks::find_block_type(0)});
  }
  state_->end = header(state_->description, unknown_types, 0, {}).size();
}

ModelWriter::~ModelWriter() = default;

void ModelWriter::split_above(std::int64_t shard_bytes) {
  for (const fs::path& file : files_named(state_->target)) {
    if (shard_bytes > 0) refuse_beside(file);
  }
  state_->shard_bytes = static_cast<std::uint64_t>(shard_bytes);
}

void ModelWriter::put(const std::string& source, const blocks::BlockType& type,
                      std::span<const std::byte> bytes) {
  const auto found = state_->missing.find(source);
  if (found == state_->missing.end()) {
    fail(ErrorKind::kInternal, "gguf: tensor '{}' is unknown or was written twice", source);
  }
  const GgufSlot& slot = *found->second;
  if (bytes.size() != data_bytes(slot, type)) {
    fail(ErrorKind::kInternal, "gguf: tensor '{}' came with {} bytes; {} takes {}", source,
         bytes.size(), type.name, data_bytes(slot, type));
  }
  if (slot.paired_heads == 0) {
    state_->add(slot, type, bytes);
  } else {
    state_->add(slot, type, paired(slot, bytes));
  }
  state_->missing.erase(found);
}

void ModelWriter::State::add(const GgufSlot& slot, const blocks::BlockType& type,
                             std::span<const std::byte> bytes) {
  constexpr std::array<std::byte, kAlignment> kPadding{};
  file.write(end, bytes);
  placed.push_back({&slot, &type, bytes.size(), end});
  const std::uint64_t padding = aligned(bytes.size()) - bytes.size();
  file.write(end + bytes.size(), std::span(kPadding).first(static_cast<std::size_t>(padding)));
  end += aligned(bytes.size());
}

/// The tensors in order, cut where the next would make a file too large.
std::vector<std::vector<Placed>> ModelWriter::State::shards() const {
  std::vector<std::vector<Placed>> result(1);
  if (shard_bytes == 0 || end <= shard_bytes) {
    result.front() = placed;
    return result;
  }
  std::uint64_t data = 0;
  for (const Placed& tensor : placed) {
    std::vector<Placed>& shard = result.back();
    shard.push_back(tensor);
    data += aligned(tensor.bytes);
    const Split split{result.size() - 1, 2, placed.size()};  // all numbers take the same room
    if (shard.size() == 1 || header(description, shard, 0, split).size() + data <= shard_bytes) {
      continue;
    }
    shard.pop_back();
    result.push_back({tensor});
    data = aligned(tensor.bytes);
  }
  return result;
}

/// Copies the data out of the growing file; bytes of all files. The first file, which is asked for
/// by name, comes last.
std::uint64_t ModelWriter::State::write_shards(const std::vector<std::vector<Placed>>& shards) {
  const io::MappedFile source(file.staging());
  std::uint64_t written = 0;
  std::vector<std::unique_ptr<io::StagedFile>> files;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const fs::path path = shard_path(target, i, shards.size());
    refuse_other_file(path);
    files.push_back(std::make_unique<io::StagedFile>(io::PartialFolder(target), path));
    const std::string start =
        header(description, shards[i], file_type(placed), {i, shards.size(), placed.size()});
    files.back()->write(0, std::as_bytes(std::span(start)));
    std::uint64_t at = start.size();
    for (const Placed& tensor : shards[i]) {
      check_interrupt();
      const std::uint64_t bytes = aligned(tensor.bytes);
      files.back()->write(at, source.bytes().subspan(static_cast<std::size_t>(tensor.place),
                                                     static_cast<std::size_t>(bytes)));
      at += bytes;
    }
    written += at;
  }
  for (std::size_t i = files.size(); i-- > 0;) files[i]->commit();
  return written;
}

std::int64_t ModelWriter::finish() {
  const blocks::BlockType& f32 = *blocks::find_block_type(0);
  for (const GgufExtra& extra : state_->description.extras) {
    put(extra.name, f32, std::as_bytes(std::span(extra.values)));
  }
  if (!state_->missing.empty()) {
    fail(ErrorKind::kInternal, "gguf: tensor '{}' was never written",
         state_->missing.begin()->first);
  }
  const std::vector<std::vector<Placed>> shards = state_->shards();
  if (shards.size() > 1) return static_cast<std::int64_t>(state_->write_shards(shards));
  const std::string start =
      header(state_->description, state_->placed, file_type(state_->placed), {});
  state_->file.write(0, std::as_bytes(std::span(start)));
  state_->file.commit();
  return static_cast<std::int64_t>(state_->end);
}

std::int64_t slot_bytes(const GgufSlot& slot, const blocks::BlockType& type) {
  return static_cast<std::int64_t>(data_bytes(slot, type));
}

std::int64_t gguf_file_bytes(const GgufDescription& description,
                             const std::vector<const blocks::BlockType*>& types) {
  ensure(types.size() == description.slots.size(), "gguf: one type for each slot expected");
  const std::vector<GgufSlot> slots = all_slots(description);
  std::vector<Placed> placed;
  std::uint64_t data = 0;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const blocks::BlockType* type = i < types.size() ? types[i] : blocks::find_block_type(0);
    placed.push_back({&slots[i], type, data_bytes(slots[i], *type)});
    data += aligned(placed.back().bytes);
  }
  return static_cast<std::int64_t>(header(description, placed, 0, {}).size() + data);
}

}  // namespace sgpt_mi::gguf
