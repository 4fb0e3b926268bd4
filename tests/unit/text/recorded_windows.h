#pragma once

#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace sgpt_mi::test {

/// A safetensors file with one tensor.
template <typename Value>
std::string safetensors_bytes(const std::string& name, const std::string& dtype,
                              const std::vector<std::int64_t>& shape,
                              const std::vector<Value>& values) {
  const std::size_t data_bytes = values.size() * sizeof(Value);
  std::string header =
      nlohmann::json{
          {name, {{"dtype", dtype}, {"shape", shape}, {"data_offsets", {0, data_bytes}}}}}
          .dump();
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = header.size();
  std::string bytes(sizeof(length), '\0');
  std::memcpy(bytes.data(), &length, sizeof(length));
  bytes += header;
  bytes.append(reinterpret_cast<const char*>(values.data()), data_bytes);
  return bytes;
}

}  // namespace sgpt_mi::test
