#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "sgpt_mi/packing/packed_matrix.h"

namespace sgpt_mi::test {

/// What kind of matrix random_matrix makes.
struct PackedForm {
  std::int64_t rows = 4;
  std::int64_t columns = 16;
  DType dtype = DType::kBF16;
  std::vector<int> widths = {4};  ///< of the groups, drawn at random; empty: prune only
  std::int64_t groups = 1;
  bool labels = false;  ///< random labels instead of neighbouring runs
  bool shared = false;  ///< one grid for all rows
  bool masked = false;
  double sparsity = 0.5;  ///< of an unstructured mask
  int prune_n = 0;
  int prune_m = 0;
  bool levels = false;         ///< instead of codes
  bool column_scaled = false;  ///< with levels
};

/// A packing::CodedMatrix with memory of its own.
struct CodedMatrixBuffers {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  DType dtype = DType::kF32;
  std::vector<std::uint8_t> codes;
  std::vector<std::byte> values;
  std::vector<std::uint8_t> pruned;
  int prune_n = 0;
  int prune_m = 0;
  std::int64_t grid_rows = 0;
  std::vector<std::uint16_t> scale;
  int scale_exponent = 0;
  std::vector<std::uint8_t> zero_point;
  std::vector<std::int32_t> group_of_column;
  std::vector<int> bits_of_group;
  std::vector<std::int16_t> levels;
  std::vector<std::uint16_t> column_scale;
  int column_exponent = 0;

  [[nodiscard]] packing::CodedMatrix view() const {
    return {rows,           columns,      dtype,           codes,         values,
            pruned,         prune_n,      prune_m,         grid_rows,     scale,
            scale_exponent, zero_point,   group_of_column, bits_of_group, false,
            levels,         column_scale, column_exponent};
  }
};

/// A matrix of this form with random contents. Where a weight is pruned, the code is any byte and
/// the value not a number: nobody may read them.
class RandomMatrix {
 public:
  RandomMatrix(const PackedForm& form, std::mt19937& engine) : form_(form), engine_(engine) {
    matrix_.rows = form.rows;
    matrix_.columns = form.columns;
    matrix_.dtype = form.dtype;
    if (form.masked) make_mask();
    if (form.levels) {
      make_levels();
    } else {
      form.widths.empty() ? make_values() : make_codes();
    }
  }

  [[nodiscard]] const CodedMatrixBuffers& buffers() const { return matrix_; }

 private:
  [[nodiscard]] int draw(int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(engine_);
  }

  [[nodiscard]] bool pruned(std::size_t i) const {
    return !matrix_.pruned.empty() && matrix_.pruned[i] != 0;
  }

  void make_mask() {
    matrix_.pruned.resize(static_cast<std::size_t>(form_.rows * form_.columns));
    matrix_.prune_n = form_.prune_n;
    matrix_.prune_m = form_.prune_m;
    if (form_.prune_m == 0) {
      std::bernoulli_distribution prune(form_.sparsity);
      for (std::uint8_t& flag : matrix_.pruned) flag = prune(engine_) ? 1 : 0;
      return;
    }
    std::vector<std::uint8_t> tuple(static_cast<std::size_t>(form_.prune_m), 0);
    std::fill_n(tuple.begin(), form_.prune_n, std::uint8_t{1});
    for (std::size_t at = 0; at < matrix_.pruned.size(); at += tuple.size()) {
      std::shuffle(tuple.begin(), tuple.end(), engine_);
      std::copy(tuple.begin(), tuple.end(),
                matrix_.pruned.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }

  void make_values() {
    const std::size_t size = dtype_size(form_.dtype);
    const auto count = static_cast<std::size_t>(form_.rows * form_.columns);
    for (std::size_t i = 0; i < count * size; ++i) {
      const int byte = pruned(i / size) ? 0xff : draw(0, 255);
      matrix_.values.push_back(static_cast<std::byte>(byte));
    }
  }

  void make_codes() {
    const auto groups = static_cast<std::size_t>(form_.groups);
    for (std::size_t g = 0; g < groups; ++g) {
      matrix_.bits_of_group.push_back(form_.widths[static_cast<std::size_t>(
          draw(0, static_cast<int>(form_.widths.size()) - 1))]);
    }
    make_scales();
    for (std::int64_t row = 0; row < matrix_.grid_rows; ++row) {
      for (const int bits : matrix_.bits_of_group) {
        matrix_.zero_point.push_back(static_cast<std::uint8_t>(draw(0, (1 << bits) - 1)));
      }
    }
    for (std::size_t i = 0; i < static_cast<std::size_t>(form_.rows * form_.columns); ++i) {
      const auto column = i % static_cast<std::size_t>(form_.columns);
      const auto group = static_cast<std::size_t>(matrix_.group_of_column[column]);
      const int last = pruned(i) ? 255 : (1 << matrix_.bits_of_group[group]) - 1;
      matrix_.codes.push_back(static_cast<std::uint8_t>(draw(0, last)));
    }
  }

  /// Mostly small levels; the largest product of scales is finite.
  void make_levels() {
    make_scales();
    if (form_.column_scaled) {
      matrix_.column_exponent = draw(-125, std::min(112, 95 - matrix_.scale_exponent));
      for (std::int64_t j = 0; j < form_.columns; ++j) {
        matrix_.column_scale.push_back(static_cast<std::uint16_t>(draw(1, 0x7bff)));
      }
    }
    for (std::int64_t i = 0; i < form_.rows * form_.columns; ++i) {
      const int size = draw(0, 40) == 0 ? 32767 : 3;
      matrix_.levels.push_back(static_cast<std::int16_t>(draw(-size, size)));
    }
  }

  void make_scales() {
    const std::int64_t run = (form_.columns + form_.groups - 1) / form_.groups;
    for (std::int64_t j = 0; j < form_.columns; ++j) {
      const std::int64_t group =
          form_.labels ? draw(0, static_cast<int>(form_.groups) - 1) : j / run;
      matrix_.group_of_column.push_back(static_cast<std::int32_t>(group));
    }
    matrix_.grid_rows = form_.shared ? 1 : form_.rows;
    matrix_.scale_exponent = draw(-125, 112);
    for (std::int64_t i = 0; i < matrix_.grid_rows * form_.groups; ++i) {
      matrix_.scale.push_back(static_cast<std::uint16_t>(draw(1, 0x7bff)));
    }
  }

  PackedForm form_;
  std::mt19937& engine_;
  CodedMatrixBuffers matrix_;
};

/// Codes, values and levels in every layout and type; 7 x 48 weights, and levels in several chunks.
inline std::vector<PackedForm> packed_forms() {
  std::vector<PackedForm> forms;
  const DType types[] = {DType::kF32, DType::kF16, DType::kBF16};
  const auto add = [&](PackedForm form) {
    form.dtype = types[forms.size() % 3];
    forms.push_back(form);
  };
  for (const bool masked : {false, true}) {
    for (const int prune_m : {0, 4}) {
      if (!masked && prune_m > 0) continue;
      PackedForm form{7, 48};
      form.masked = masked;
      form.prune_m = prune_m;
      form.prune_n = prune_m / 2;
      for (const std::vector<int>& widths : {std::vector<int>{}, {3}, {2, 4, 8}}) {
        form.widths = widths;
        form.groups = widths.size() > 1 ? 5 : 1;
        form.labels = widths.size() > 1;
        add(form);
        form.shared = !widths.empty();
        if (form.shared) add(form);
        form.shared = false;
      }
    }
  }
  PackedForm levels{1300, 70};
  levels.levels = true;
  for (const bool column_scaled : {false, true}) {
    levels.column_scaled = column_scaled;
    for (const std::int64_t groups : {1, 3}) {
      levels.groups = groups;
      for (const bool shared : {false, true}) {
        levels.shared = shared;
        add(levels);
      }
    }
  }
  return forms;
}

inline CodedMatrixBuffers random_matrix(const PackedForm& form, std::mt19937& engine) {
  return RandomMatrix(form, engine).buffers();
}

/// Packed parts as a reader finds them; they point into `parts`.
inline packing::PackedParts found(const std::string& name,
                                  const std::vector<packing::PackedPart>& parts) {
  packing::PackedParts view{"test.safetensors", name, {}};
  for (const packing::PackedPart& part : parts) {
    view.parts[static_cast<std::size_t>(part.kind)] =
        containers::TensorData{part.info, part.bytes, nullptr};
  }
  return view;
}

/// Where the record's checksum lies.
inline constexpr std::size_t kChecksumOffset = 40;

/// Writes the checksum that parts changed by a test should have into their record.
inline void reseal(const std::string& name, std::vector<packing::PackedPart>& parts) {
  const std::uint32_t checksum = packing::packed_checksum(found(name, parts));
  for (std::size_t i = 0; i < sizeof checksum; ++i) {
    parts.front().bytes[kChecksumOffset + i] = static_cast<std::byte>(checksum >> (8 * i) & 0xffU);
  }
}

}  // namespace sgpt_mi::test
