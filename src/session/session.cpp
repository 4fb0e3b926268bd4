#include "sgpt_mi/session/session.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <sched.h>
#include <torch/cuda.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "sgpt_mi/core/error.h"
#include "sgpt_mi/core/names.h"
#include "sgpt_mi/cpu_kernels/bfloat16_product.h"
#include "sgpt_mi/formats/saved_size.h"
#include "sgpt_mi/formats/weight_store.h"
#include "sgpt_mi/model/fit_checkpoint.h"
#include "sgpt_mi/quant/tensor_view.h"
#include "sgpt_mi/ranks/device_wire.h"
#include "sgpt_mi/walk/stage_clock.h"

namespace sgpt_mi::session {
namespace {

constexpr Names<torch::ScalarType, 3> kComputeTypes{
    {{"float32", torch::kFloat32}, {"float16", torch::kFloat16}, {"bfloat16", torch::kBFloat16}}};

int parse_device_index(const std::string& text, const std::string& device) {
  const auto index = whole_number<int>(text);
  if (!index || *index < 0) {
    fail(ErrorKind::kUsage, "device: '{}' is not auto, cpu, cuda or cuda:N", device);
  }
  return *index;
}

/// \param assume  a GPU that is not here is taken for one.
/// \param local_rank  which of the visible GPUs is taken where none is named; ranks beyond their
///                    number share them.
torch::Device resolve_device(const std::string& name, bool assume, int local_rank) {
  if (name == "cpu") return torch::kCPU;
  int index = local_rank % std::max<int>(1, torch::cuda::device_count());
  if (name == "auto") {
    return torch::cuda::is_available()
               ? torch::Device(torch::kCUDA, static_cast<c10::DeviceIndex>(index))
               : torch::Device(torch::kCPU);
  }
  if (name.rfind("cuda:", 0) == 0) {
    index = parse_device_index(name.substr(5), name);
  } else if (name != "cuda") {
    fail(ErrorKind::kUsage, "device: '{}' is not auto, cpu, cuda or cuda:N", name);
  }
  const c10::DeviceIndex count = torch::cuda::device_count();
  if (index >= count && !(assume && count == 0)) {
    fail(ErrorKind::kDevice,
         "device: {} asked for, but {} CUDA devices are visible; use --device cpu, or check the "
         "driver and CUDA_VISIBLE_DEVICES",
         name, count);
  }
  return {torch::kCUDA, static_cast<c10::DeviceIndex>(index)};
}

torch::ScalarType resolve_dtype(const std::string& name, torch::Device device, DType stored) {
  if (name == "auto") {
    return device.is_cuda() ? model::to_scalar_type(stored) : torch::kFloat32;
  }
  for (const auto& [known, type] : kComputeTypes) {
    if (name == known) return type;
  }
  fail(ErrorKind::kUsage, "dtype: '{}' is not one of auto, float32, float16, bfloat16", name);
}

/// Whether at most half of a model's bytes are float32 as it is saved.
bool is_stored_narrow(const formats::Checkpoint& checkpoint) {
  const formats::SavedTypes types(checkpoint);
  std::size_t wide = 0;
  for (const containers::TensorInfo& info : types.tensors()) {
    if (info.dtype == DType::kF32) wide += info.bytes();
  }
  return 2 * wide <= types.bytes();
}

model::Placement narrow_placement(const formats::Checkpoint& checkpoint,
                                  const model::Placement& placement, const std::string& dtype) {
  const bool narrow = dtype == "auto" && placement.device.is_cpu() &&
                      cpu_kernels::multiplies_bfloat16() && is_stored_narrow(checkpoint);
  return {placement.device, narrow ? torch::kBFloat16 : placement.dtype};
}

/// Waits for the work that this thread has given to a GPU; nothing where there is none.
std::function<void()> fence_of(torch::Device device) {
  if (!device.is_cuda() || !torch::cuda::is_available()) return {};  // a plan can do without
  return [device] { c10::impl::VirtualGuardImpl(device.type()).getStream(device).synchronize(); };
}

/// As asked for, or LibTorch's choice within this rank's share of its machine: of its cores, or of
/// those that the launcher has bound it to.
int threads_of(const ModelOptions& options) {
  if (options.threads > 0) return options.threads;
  const auto share = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)) / options.world.local_size();
  cpu_set_t bound;
  const bool known = sched_getaffinity(0, sizeof(bound), &bound) == 0;
  const int cores = known ? std::min(share, CPU_COUNT(&bound)) : share;
  return std::clamp(cores, 1, at::get_num_threads());
}

}  // namespace

obs::RowPlacement Session::rows_for(const obs::CompressOptions& options) const {
  // A matrix of 576 rows then has parts for four ranks, and products are nearly as fast as uncut.
  constexpr std::int64_t kCpuProductRows = 128;
  obs::RowPlacement cut = rows;
  if (!placement.device.is_cuda() && options.refine.any()) cut.product_rows = kCpuProductRows;
  return cut;
}

obs::RowPlacement place_rows(const std::string& device, torch::Device first, int visible) {
  // Enough rows to keep a large GPU busy with one product (with 4,096 columns one tile of 128 x 128
  // a multiprocessor), few enough that eight GPUs or ranks can share a matrix of 4,096 rows.
  constexpr std::int64_t kGpuProductRows = 512;
  if (!first.is_cuda()) return {};
  obs::RowPlacement rows{{first}, kGpuProductRows};
  const bool one = device.rfind("cuda:", 0) == 0;
  for (int index = 0; !one && index < visible; ++index) {
    if (index == first.index()) continue;
    rows.devices.emplace_back(torch::kCUDA, static_cast<c10::DeviceIndex>(index));
  }
  return rows;
}

std::string scalar_type_name(torch::ScalarType type) {
  for (const auto& [name, known] : kComputeTypes) {
    if (type == known) return std::string(name);
  }
  return c10::toString(type);
}

void tell_notes(const formats::Checkpoint& checkpoint, report::Events& events) {
  for (const std::string& note : checkpoint.notes) events.warning(note);
}

void ModelOptions::validate() const {
  if (model.empty())
    fail(ErrorKind::kUsage, "MODEL is empty; give a folder, a GGUF file or a Hub id");
  if (threads < 0 || threads > 4096) {
    fail(ErrorKind::kUsage, "threads: {} is not in 0..4096 (0: automatic)", threads);
  }
}

Session::Session(const ModelOptions& options)
    : checkpoint(model::open_model(options.model, quant::torch_threads())),
      world(options.world),
      weights(options.broadcast_weights ? world : ranks::World(), *checkpoint.tensors),
      model(model::parse_model_spec(checkpoint.config), weights,
            options.broadcast_weights ? nullptr : checkpoint.codes) {
  options.validate();
  placement.device = resolve_device(options.device, options.assume_device, world.local_rank());
  rows = place_rows(options.device, placement.device,
                    placement.device.is_cuda() && world.alone() ? torch::cuda::device_count() : 0);
  if (!options.assume_device) world.use(ranks::connect_devices(world, placement.device));
  placement.dtype = resolve_dtype(options.dtype, placement.device, stored_dtype());
  narrow = narrow_placement(checkpoint, placement, options.dtype);
  walk::set_stage_fence(fence_of(placement.device));
  at::set_num_threads(threads_of(options));
}

nlohmann::json Session::arithmetic() const {
  return {{"device", c10::DeviceTypeName(placement.device.type())},
          {"type to compute in", scalar_type_name(placement.dtype)},
          {"type to calibrate in", scalar_type_name(narrow.dtype)},
          {"instruction set", at::get_cpu_capability()},
          {"bfloat16 product", cpu_kernels::multiplies_bfloat16()},
          {"tile product", cpu_kernels::has_bfloat16_tiles()},
          {"number of threads", at::get_num_threads()}};
}

DType Session::stored_dtype() const {
  std::set<std::string> decoded;  // exact products are float32, whatever the model computes in
  for (const packing::PackedMatrixInfo& matrix : checkpoint.packed_matrices) {
    decoded.insert(matrix.dense.name);
  }
  std::map<DType, std::size_t> bytes;
  for (const containers::TensorInfo& info : checkpoint.tensors->tensors()) {
    if (is_floating(info.dtype) && !decoded.contains(info.name)) bytes[info.dtype] += info.bytes();
  }
  const auto most = std::max_element(
      bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most == bytes.end()) {
    fail(ErrorKind::kInput, "model: {} holds no floating-point tensor",
         checkpoint.location.path.string());
  }
  return most->first;
}

std::int64_t Session::parameters() const {
  std::int64_t count = 0;
  for (const containers::TensorInfo& info : checkpoint.tensors->tensors()) count += info.count();
  return count;
}

std::int64_t Session::stored_bytes() const {
  if (!is_random()) return formats::weight_file_bytes(checkpoint.location);
  std::size_t bytes = 0;
  for (const containers::TensorInfo& info : checkpoint.tensors->tensors()) bytes += info.bytes();
  return static_cast<std::int64_t>(bytes);
}

std::int64_t Session::resolve_seqlen(std::int64_t asked) const {
  constexpr std::int64_t kLongestDefault = 2048;  // the published perplexities' window
  if (asked == 0) return std::min(model.spec().max_positions, kLongestDefault);
  if (const std::int64_t longest = model::longest_window(model.spec()); asked > longest) {
    fail(ErrorKind::kUsage, "seqlen: {} is beyond the model's {} positions", asked, longest);
  }
  return asked;
}

std::unique_ptr<tokenizer::Tokenizer> load_tokenizer_of(const formats::Checkpoint& checkpoint) {
  if (checkpoint.gguf_vocabulary) return tokenizer::load_tokenizer(*checkpoint.gguf_vocabulary);
  if (checkpoint.location.is_random) {
    fail(ErrorKind::kUsage, "text: {} has no tokenizer; it is calibrated with random token ids",
         checkpoint.location.path.string());
  }
  if (checkpoint.location.is_gguf) {
    fail(ErrorKind::kInput,
         "text: {} has no vocabulary: its metadata lack 'tokenizer.ggml.model' and "
         "'tokenizer.ggml.tokens' or say that there is none; expected them where a text is to be "
         "read; take a file with a vocabulary, or recorded windows of token ids",
         checkpoint.location.path.string());
  }
  return tokenizer::load_tokenizer(checkpoint.location.path);
}

std::unique_ptr<tokenizer::Tokenizer> open_tokenizer(const std::string& model) {
  const formats::ModelLocation location = formats::locate_tokenizer(model);
  if (!location.is_folder())
    return load_tokenizer_of(model::open_model(model, quant::torch_threads()));
  return tokenizer::load_tokenizer(location.path);
}

}  // namespace sgpt_mi::session
