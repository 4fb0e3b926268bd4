#include "sgpt_mi/kernels/dequantize_packed.h"

#include "cuda_twins.h"
#include "packed_walk.h"
#include "sgpt_mi/core/error.h"
#include "shapes.h"

namespace sgpt_mi::kernels {
namespace {

constexpr std::int64_t kDequantizedRows = 16;

bool in_bits(int value) { return value >= 1 && value <= 8; }

void check_packed(const PackedWeights& packed) {
  ensure(packed.stream_count <= kMostStreams && packed.values != nullptr &&
             packed.stride >= packed.columns,
         "dequantize_packed: too many streams, or no place for the values");
  const int value_width = width_of(packed.type);
  bool coded = false;
  std::int64_t columns = 0;
  for (std::size_t s = 0; s < packed.stream_count; ++s) {
    const CodeStream& stream = packed.streams[s];
    ensure(in_bits(stream.width) || stream.width == value_width,
           "dequantize_packed: a width is neither 1 to 8 nor the type's");
    coded = coded || stream.width != value_width;
    ensure(stream.column != nullptr || stream.columns == packed.columns,
           "dequantize_packed: a stream's columns are missing");
    ensure(stream.first != nullptr || packed.kept.bits == nullptr,
           "dequantize_packed: with a mask, the rows' first codes must be given");
    columns += stream.columns;
  }
  ensure(columns == packed.columns, "dequantize_packed: the streams have not all columns");
  const KeptStream& kept = packed.kept;
  ensure(kept.bits == nullptr ||
             (in_bits(kept.width) && in_bits(kept.size) && kept.pattern != nullptr),
         "dequantize_packed: a mask's width, size or pattern is wrong");
  if (!coded) return;
  const std::int64_t groups = packed.scale.columns;
  ensure(has_grid_shape(packed.scale, packed.rows, groups) &&
             has_grid_shape(packed.zero, packed.rows, groups) &&
             (groups == 1 || packed.group_of_column != nullptr),
         "dequantize_packed: scale and zero are not (rows, groups)");
}

void dequantize_stream(const PackedWeights& packed, const CodeStream& stream, std::int64_t row) {
  std::int64_t index = first_code(stream, row);
  for (std::int64_t i = 0; i < stream.columns; ++i) {
    const std::int64_t column = natural_column(stream, i);
    const bool kept = is_kept(packed.kept, row * packed.columns + column);
    store_weight(packed, stream, row, column, kept, index);
    index += kept ? 1 : 0;
  }
}

}  // namespace

void dequantize_packed(const PackedWeights& packed, const Backend& backend) {
  if (packed.rows == 0 || packed.columns == 0) return;
  check_packed(packed);
  if (backend.cuda) return cuda::dequantize_packed(packed, backend.cuda_stream);
  backend.parallel_for(packed.rows, kDequantizedRows, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      for (std::size_t s = 0; s < packed.stream_count; ++s) {
        dequantize_stream(packed, packed.streams[s], row);
      }
    }
  });
}

}  // namespace sgpt_mi::kernels
