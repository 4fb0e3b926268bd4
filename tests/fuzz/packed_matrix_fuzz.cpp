#include <algorithm>
#include <cstring>

#include "fuzz_target.h"
#include "support/coded_chunks.h"
#include "support/packed_examples.h"

namespace {

using sgpt_mi::DType;
using sgpt_mi::packing::PackedPart;
using sgpt_mi::packing::PackedPartKind;

/// The record's fields that decide how other parts are typed and shaped.
struct Hints {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t grid_rows = 0;
  std::int64_t groups = 0;
  std::uint8_t type = 0;

  explicit Hints(const std::vector<std::byte>& record) {
    if (record.size() < 35) return;
    const auto u32 = [&](std::size_t at) {
      std::uint32_t number = 0;
      std::memcpy(&number, record.data() + at, sizeof number);
      return static_cast<std::int64_t>(number);
    };
    rows = u32(4);
    columns = u32(8);
    grid_rows = u32(12);
    groups = u32(16);
    type = std::to_integer<std::uint8_t>(record[34]);
  }
};

/// Parts of a file whose safetensors header is sound: kind, 16-bit length and bytes of each.
std::vector<PackedPart> parts_of(std::span<const std::byte> file) {
  std::vector<PackedPart> parts;
  while (file.size() >= 3) {
    const auto kind = static_cast<PackedPartKind>(std::to_integer<unsigned>(file[0]) %
                                                  sgpt_mi::packing::kPackedPartKinds);
    std::uint16_t length = 0;
    std::memcpy(&length, file.data() + 1, sizeof length);
    const auto bytes = file.subspan(3, std::min<std::size_t>(length, file.size() - 3));
    file = file.subspan(3 + bytes.size());
    const bool is_new = std::none_of(parts.begin(), parts.end(),
                                     [&](const PackedPart& part) { return part.kind == kind; });
    if (!is_new) continue;  // a safetensors header has no name twice
    parts.push_back({kind, {"m", DType::kU8, {}}, {bytes.begin(), bytes.end()}});
  }
  return parts;
}

/// Types and shapes that the reader cannot refuse at first sight, where the bytes allow them.
void shape_parts(std::vector<PackedPart>& parts) {
  const Hints hints(parts.front().bytes);
  constexpr DType kTypes[] = {DType::kF32, DType::kF16, DType::kBF16};
  for (PackedPart& part : parts) {
    if (part.kind == PackedPartKind::kScale || part.kind == PackedPartKind::kColumnScale) {
      part.info.dtype = DType::kF16;
    }
    if (part.kind == PackedPartKind::kValues) part.info.dtype = kTypes[hints.type % 3];
    const std::size_t size = sgpt_mi::dtype_size(part.info.dtype);
    part.bytes.resize(part.bytes.size() / size * size);
    const auto count = static_cast<std::int64_t>(part.bytes.size() / size);
    part.info.shape = {count};
    if (part.kind == PackedPartKind::kScale && hints.groups > 0 && count % hints.groups == 0 &&
        hints.grid_rows == count / hints.groups) {
      part.info.shape = {hints.grid_rows, hints.groups};
    }
  }
}

/// Checksums of the chunks of a matrix of levels that the reader believes.
void reseal_levels(std::vector<PackedPart>& parts) {
  const Hints hints(parts.front().bytes);
  constexpr std::int64_t kMostSide = 1 << 20;
  if (hints.rows < 1 || hints.columns < 1 || hints.rows > kMostSide || hints.columns > kMostSide) {
    return;
  }
  const auto find = [&](PackedPartKind kind) {
    return std::find_if(parts.begin(), parts.end(),
                        [&](const PackedPart& part) { return part.kind == kind; });
  };
  const auto tables = find(PackedPartKind::kTables);
  const auto codes = find(PackedPartKind::kCodes);
  if (tables == parts.end() || codes == parts.end()) return;
  sgpt_mi::test::reseal_chunks(hints.rows, hints.columns, tables->bytes, codes->bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return sgpt_mi::fuzz::fuzz_reader(data, size, [](std::span<const std::byte> file) {
    std::vector<PackedPart> parts = parts_of(file);
    if (parts.empty()) return;
    shape_parts(parts);
    PackedPart& record = parts.front();
    if (record.kind == PackedPartKind::kRecord && record.bytes.size() == 44) {
      reseal_levels(parts);
      sgpt_mi::test::reseal("m", parts);  // else no input would pass the checksum
    }
    const sgpt_mi::packing::PackedParts found = sgpt_mi::test::found("m", parts);
    const auto info = sgpt_mi::packing::describe_packed(found);
    // What is read has the promised size.
    if (sgpt_mi::packing::unpack_matrix(found).size() != info.dense.bytes()) std::abort();
  });
}
