#include "sgpt_mi/blocks/block_types.h"

#include <algorithm>
#include <cctype>

#include "block_layouts.h"

namespace sgpt_mi::blocks {
namespace {

constexpr std::int64_t kBlockElements = 32;   // elements of a block of the simple types
constexpr std::int64_t kSuperElements = 256;  // elements of a block of the K types

using Form = BlockForm;

constexpr std::array<BlockType, 15> kTypes{{
    {10, "Q2_K", kSuperElements, 84, {}, unpack_q2_k, pack_q2_k, Form::kOffset, 2, 16, 0, 0, 15},
    {11, "Q3_K", kSuperElements, 110, {}, unpack_q3_k, pack_q3_k, Form::kShift, 3, 16, 4, -32, 31},
    {23,
     "IQ4_XS",
     kSuperElements,
     136,
     {},
     unpack_iq4_xs,
     pack_iq4_xs,
     Form::kTable,
     4,
     32,
     0,
     -32,
     31},
    {2, "Q4_0", kBlockElements, 18, {}, unpack_q4_0, pack_q4_0, Form::kShift, 4, 32, 8},
    {20, "IQ4_NL", kBlockElements, 18, {}, unpack_iq4_nl, pack_iq4_nl, Form::kTable, 4, 32},
    {12, "Q4_K", kSuperElements, 144, {}, unpack_q4_k, pack_q4_k, Form::kOffset, 4, 32, 0, 0, 63},
    {3, "Q4_1", kBlockElements, 20, {}, unpack_q4_1, pack_q4_1, Form::kOffset, 4, 32},
    {6, "Q5_0", kBlockElements, 22, {}, unpack_q5_0, pack_q5_0, Form::kShift, 5, 32, 16},
    {13, "Q5_K", kSuperElements, 176, {}, unpack_q5_k, pack_q5_k, Form::kOffset, 5, 32, 0, 0, 63},
    {7, "Q5_1", kBlockElements, 24, {}, unpack_q5_1, pack_q5_1, Form::kOffset, 5, 32},
    {14,
     "Q6_K",
     kSuperElements,
     210,
     {},
     unpack_q6_k,
     pack_q6_k,
     Form::kShift,
     6,
     16,
     32,
     -128,
     127},
    {8, "Q8_0", kBlockElements, 34, {}, unpack_q8_0, pack_q8_0, Form::kShift, 8, 32, 128},
    {1, "F16", 1, 2, DType::kF16},
    {30, "BF16", 1, 2, DType::kBF16},
    {0, "F32", 1, 4, DType::kF32},
}};

/// Types that are read and not written.
constexpr std::array<BlockType, 11> kReadTypes{{
    {19, "IQ1_S", kSuperElements, 50, {}, unpack_iq1_s},
    {34, "TQ1_0", kSuperElements, 54, {}, unpack_tq1_0},
    {29, "IQ1_M", kSuperElements, 56, {}, unpack_iq1_m},
    {16, "IQ2_XXS", kSuperElements, 66, {}, unpack_iq2_xxs},
    {35, "TQ2_0", kSuperElements, 66, {}, unpack_tq2_0},
    {17, "IQ2_XS", kSuperElements, 74, {}, unpack_iq2_xs},
    {22, "IQ2_S", kSuperElements, 82, {}, unpack_iq2_s},
    {18, "IQ3_XXS", kSuperElements, 98, {}, unpack_iq3_xxs},
    {21, "IQ3_S", kSuperElements, 110, {}, unpack_iq3_s},
    {39, "MXFP4", kBlockElements, 17, {}, unpack_mxfp4},
    {40, "NVFP4", 2 * kBlockElements, 36, {}, unpack_nvfp4},
}};

struct UnreadType {
  std::uint32_t id;
  std::string_view name;
};

constexpr std::array<UnreadType, 8> kUnreadTypes{{
    {9, "Q8_1"},
    {15, "Q8_K"},
    {24, "I8"},
    {25, "I16"},
    {26, "I32"},
    {27, "I64"},
    {28, "F64"},
    {41, "Q1_0"},
}};

std::span<const BlockType> read_types() { return kReadTypes; }

bool same_letters(std::string_view left, std::string_view right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(), [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) ==
           std::tolower(static_cast<unsigned char>(b));
  });
}

}  // namespace

std::span<const BlockType> block_types() { return kTypes; }

const BlockType* find_block_type(std::uint32_t id) {
  for (const auto& types : {block_types(), read_types()}) {
    for (const BlockType& type : types) {
      if (type.id == id) return &type;
    }
  }
  return nullptr;
}

const BlockType* find_block_type(std::string_view name) {
  for (const BlockType& type : kTypes) {
    if (same_letters(type.name, name)) return &type;
  }
  return nullptr;
}

std::string read_type_names() {
  std::string names;
  for (const auto& types : {read_types(), block_types()}) {
    for (const BlockType& type : types) {
      if (!names.empty()) names += &type == &kTypes.back() ? " or " : ", ";
      names += type.name;
    }
  }
  return names;
}

std::string_view block_type_name(std::uint32_t id) {
  if (const BlockType* type = find_block_type(id); type != nullptr) return type->name;
  for (const UnreadType& type : kUnreadTypes) {
    if (type.id == id) return type.name;
  }
  return "of an unknown number";
}

}  // namespace sgpt_mi::blocks
