#include "gguf_store.h"

#include <cstring>
#include <optional>
#include <system_error>
#include <unordered_set>
#include <utility>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/interrupt.h"
#include "sgpt_mi/formats/gguf_size.h"
#include "sgpt_mi/gguf/gguf_output.h"
#include "sgpt_mi/kernels/half.h"

namespace sgpt_mi::formats {
namespace {

constexpr std::uint32_t kF32Id = 0;
constexpr std::uint32_t kF16Id = 1;
constexpr std::uint32_t kBF16Id = 30;

/// What general.name says: the last part of the path; of a cached Hub model that of its id.
std::string model_name(const Checkpoint& checkpoint) {
  std::error_code error;
  std::filesystem::path path = std::filesystem::weakly_canonical(checkpoint.location.path, error);
  if (!path.has_filename()) path = path.parent_path();
  if (path.parent_path().filename() != "snapshots") return path.filename().string();
  const std::string cached = path.parent_path().parent_path().filename().string();
  return cached.substr(cached.rfind("--") == std::string::npos ? 0 : cached.rfind("--") + 2);
}

gguf::GgufDescription describe(const Checkpoint& checkpoint) {
  const auto& tensors = checkpoint.tensors->tensors();
  const ModelLocation& location = checkpoint.location;
  if (location.is_gguf) return gguf::describe_gguf(location.path, checkpoint.config, tensors);
  std::optional<tokenizer::GgufVocabulary> vocabulary;
  if (location.is_folder()) {
    vocabulary = tokenizer::gguf_vocabulary_of(location.path, checkpoint.config);
  }
  return gguf::describe_model(checkpoint.config, model_name(checkpoint), vocabulary, tensors);
}

/// The type of a tensor that was not put in blocks: vectors, which llama.cpp adds and multiplies
/// with floats, in F32, matrices in the checkpoint's own.
const blocks::BlockType& plain_type(const containers::TensorInfo& info) {
  if (info.shape.size() == 1 || info.dtype == DType::kF32) return *blocks::find_block_type(kF32Id);
  if (info.dtype == DType::kF16) return *blocks::find_block_type(kF16Id);
  if (info.dtype == DType::kBF16) return *blocks::find_block_type(kBF16Id);
  fail(ErrorKind::kInput, "format: tensor '{}' is {}; a GGUF file takes F32, F16 and BF16",
       info.name, dtype_name(info.dtype));
}

/// A vector's values as F32.
std::vector<float> wide_values(const containers::TensorData& data) {
  std::vector<float> values(static_cast<std::size_t>(data.info.count()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint16_t half = 0;
    const std::byte* from = data.bytes.data() + i * dtype_size(data.info.dtype);
    if (data.info.dtype == DType::kF32) {
      std::memcpy(&values[i], from, sizeof(float));
      continue;
    }
    std::memcpy(&half, from, sizeof half);
    values[i] = data.info.dtype == DType::kF16 ? kernels::half_to_float(half)
                                               : kernels::bfloat16_to_float(half);
  }
  return values;
}

class GgufStore : public SavingStore {
 public:
  GgufStore(const std::filesystem::path& target, gguf::GgufDescription description,
            const SavedTypes& types)
      : types_(types) {
    for (const gguf::GgufSlot& slot : description.slots) missing_.insert(slot.source);
    writer_.emplace(target, std::move(description));
  }

  void put(const containers::TensorData& tensor) override {
    const containers::TensorInfo& info = types_.info_of(tensor.info.name);
    ensure(tensor.bytes.size() == info.bytes(), "formats: a compressed weight changed its size");
    const blocks::BlockType& type = plain_type(info);
    if (missing_.erase(info.name) == 0) return;  // a head that the embeddings stand in for
    if (type.dtype == info.dtype) {
      writer_->put(info.name, type, tensor.bytes);
    } else {
      const std::vector<float> values = wide_values({info, tensor.bytes, tensor.owner});
      writer_->put(info.name, type, std::as_bytes(std::span(values)));
    }
  }

  [[nodiscard]] bool takes_blocks() const override { return true; }

  void put_blocks(const std::string& name, const blocks::EncodedMatrix& matrix) override {
    const std::string tensor = name + ".weight";
    const containers::TensorInfo& info = types_.info_of(tensor);
    ensure(info.shape == std::vector<std::int64_t>({matrix.rows, matrix.columns}),
           "formats: a matrix in blocks changed its shape");
    if (missing_.erase(tensor) == 0) return;
    writer_->put(tensor, *matrix.type, matrix.bytes);
  }

  void split_above(std::int64_t bytes) override { writer_->split_above(bytes); }

  void finish(const RunReportText& run_report) override {
    for (const containers::TensorInfo& info : types_.tensors()) {
      if (!missing_.contains(info.name)) continue;
      check_interrupt();
      if (const blocks::BlockType* type = types_.kept_blocks(info.name); type != nullptr) {
        missing_.erase(info.name);
        writer_->put(info.name, *type, types_.stored_blocks(info.name)->bytes);
      } else {
        put(types_.read(info.name));
      }
    }
    (void)run_report(writer_->finish());
  }

 private:
  const SavedTypes& types_;
  std::optional<gguf::ModelWriter> writer_;
  std::unordered_set<std::string> missing_;  ///< tensors of the file without data so far
};

}  // namespace

std::unique_ptr<SavingStore> open_gguf_store(const std::filesystem::path& target,
                                             const Checkpoint& checkpoint,
                                             const SavedTypes& types) {
  require_other_place(target, checkpoint.location);
  return std::make_unique<GgufStore>(target, describe(checkpoint), types);
}

void check_gguf_model(const Checkpoint& checkpoint) { (void)describe(checkpoint); }

GgufSize gguf_size(const Checkpoint& checkpoint, const SavedTypes& saved, const BlockTypes& types) {
  constexpr std::string_view kSuffix = ".weight";
  const gguf::GgufDescription description = describe(checkpoint);
  std::vector<const blocks::BlockType*> chosen;
  GgufSize size;
  for (const gguf::GgufSlot& slot : description.slots) {
    const auto found = slot.source.ends_with(kSuffix)
                           ? types.find(slot.source.substr(0, slot.source.size() - kSuffix.size()))
                           : types.end();
    const bool in_blocks = found != types.end();
    const blocks::BlockType* kept = saved.kept_blocks(slot.source);
    chosen.push_back(in_blocks         ? found->second
                     : kept != nullptr ? kept
                                       : &plain_type(saved.info_of(slot.source)));
    (in_blocks ? size.blocks : size.dense) += gguf::slot_bytes(slot, *chosen.back());
  }
  size.file = gguf::gguf_file_bytes(description, chosen);
  return size;
}

}  // namespace sgpt_mi::formats
