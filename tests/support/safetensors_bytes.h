#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sgpt_mi/core/dtype.h"
#include "sgpt_mi/integer_layouts/integer_matrix.h"
#include "support/gguf_writer.h"

namespace sgpt_mi::test {

/// A safetensors file of these tensors.
inline std::string safetensors_bytes(const std::vector<integer_layouts::NamedTensor>& tensors) {
  nlohmann::json header;
  std::string data;
  for (const auto& [info, bytes] : tensors) {
    header[info.name] = {{"dtype", dtype_name(info.dtype)},
                         {"shape", info.shape},
                         {"data_offsets", {data.size(), data.size() + bytes.size()}}};
    data.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  const std::string text = header.dump();
  return gguf::GgufWriter::number<std::uint64_t>(text.size()) + text + data;
}

}  // namespace sgpt_mi::test
