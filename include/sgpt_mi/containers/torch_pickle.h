#pragma once

#include <filesystem>
#include <memory>

#include "sgpt_mi/containers/tensor_source.h"

namespace sgpt_mi::containers {

/// Opens a pytorch_model.bin: a zip archive as torch.save writes it since PyTorch 1.6, holding a
/// dictionary of tensors (a state dict).
///
/// The pickle inside is read by a restricted unpickler: it makes tensors and plain containers and
/// never runs code; anything else that the pickle asks for is refused by name. (LibTorch's own
/// unpickler replaces every OrderedDict by None, and with it the whole state dict of a module.)
/// Tensor data stays in the memory-mapped file; read() points into it, or copies a tensor that is
/// not stored contiguously (transposed). Tensors may share a storage or start in its middle.
///
/// Throws Error(kInput) naming the file, and the tensor where there is one, when the archive is
/// cut or damaged, written before PyTorch 1.6, compressed, big-endian, not a dictionary of
/// tensors, of an unknown dtype, or when a tensor reaches outside its storage.
[[nodiscard]] std::unique_ptr<TensorSource> open_torch_pickle(const std::filesystem::path& path);

}  // namespace sgpt_mi::containers
