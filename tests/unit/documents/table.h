#pragma once

#include <arrow/api.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sgpt_mi::test {

using Values = std::vector<std::optional<std::string>>;

/// An array of strings or bytes.
template <typename Builder>
std::shared_ptr<arrow::Array> column_of(const Values& values, Builder&& builder = Builder()) {
  for (const auto& value : values) {
    EXPECT_TRUE((value ? builder.Append(*value) : builder.AppendNull()).ok());
  }
  return *builder.Finish();
}

inline std::shared_ptr<arrow::Array> strings(const Values& values) {
  return column_of<arrow::StringBuilder>(values);
}

/// The same with every value once, and codes.
inline std::shared_ptr<arrow::Array> dictionary(const Values& values) {
  return column_of<arrow::StringDictionaryBuilder>(values);
}

/// Two rows, lists of messages: "Hi", "Ho" and "a".
inline std::shared_ptr<arrow::Array> messages() {
  const auto turns = *arrow::StructArray::Make(
      {strings({"user", "assistant", "user"}), strings({"Hi", "Ho", "a"})},
      std::vector<std::string>{"role", "content"});
  arrow::Int32Builder offsets;
  EXPECT_TRUE(offsets.AppendValues({0, 2, 3}).ok());
  return *arrow::ListArray::FromArrays(**offsets.Finish(), *turns);
}

/// A struct column with the field "body".
inline std::shared_ptr<arrow::Array> nested(const Values& values) {
  const auto numbers =
      *arrow::MakeArrayFromScalar(arrow::Int32Scalar(7), static_cast<std::int64_t>(values.size()));
  return *arrow::StructArray::Make({numbers, strings(values)},
                                   std::vector<std::string>{"n", "body"});
}

/// A number column "n" and one more.
inline std::shared_ptr<arrow::Table> table_of(const std::string& name,
                                              const std::shared_ptr<arrow::Array>& column) {
  const auto numbers = *arrow::MakeArrayFromScalar(arrow::Int32Scalar(7), column->length());
  return arrow::Table::Make(
      arrow::schema({arrow::field("n", arrow::int32()), arrow::field(name, column->type())}),
      {numbers, column});
}

}  // namespace sgpt_mi::test
