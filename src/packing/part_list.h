#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "packed_record.h"
#include "sgpt_mi/packing/packed_matrix.h"

namespace sgpt_mi::packing {

/// Collects the parts; those without bytes are left out.
class PartList {
 public:
  explicit PartList(const std::string& name) : name_(name) {}

  void add(PackedPartKind kind, std::vector<std::byte> bytes) {
    const auto count = static_cast<std::int64_t>(bytes.size());
    add(kind, DType::kU8, {count}, std::move(bytes));
  }

  void add(PackedPartKind kind, DType dtype, std::vector<std::int64_t> shape,
           std::vector<std::byte> bytes) {
    if (bytes.empty()) return;
    const std::string part = name_ + std::string(packed_suffix(kind));
    parts_.push_back({kind, {part, dtype, std::move(shape)}, std::move(bytes)});
  }

  /// The parts, with the record's checksum filled in.
  std::vector<PackedPart> sealed(PackedRecord record) && {
    PackedParts found{{}, name_, {}};
    for (const PackedPart& part : parts_) {
      found.parts[static_cast<std::size_t>(part.kind)] =
          containers::TensorData{part.info, part.bytes, nullptr};
    }
    record.checksum = packed_checksum(found);
    const auto bytes = record_bytes(record);
    parts_.front().bytes.assign(bytes.begin(), bytes.end());
    return std::move(parts_);
  }

 private:
  const std::string& name_;
  std::vector<PackedPart> parts_;
};

}  // namespace sgpt_mi::packing
